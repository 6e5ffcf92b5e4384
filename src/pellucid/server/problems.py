"""Errors as problem details (RFC 9457), with the sentences of the command line."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

from pellucid.errors import ImageError, PellucidError, UsageError


class Problem(Exception):
    """An answer that is an error: status, one sentence, and further headers."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None):
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers

    def response(self) -> JSONResponse:
        """The answer as `application/problem+json`."""
        body = {"title": HTTPStatus(self.status).phrase, "status": self.status}
        return JSONResponse(
            {"type": "about:blank", **body, "detail": self.detail},
            self.status,
            self.headers,
            "application/problem+json",
        )


def problem_of(error: PellucidError) -> Problem:
    """400 for arguments, 422 for a picture that cannot be read or written, 500 for the rest."""
    kinds = ((UsageError, 400), (ImageError, 422))
    status = next((status for kind, status in kinds if isinstance(error, kind)), 500)
    return Problem(status, str(error))
