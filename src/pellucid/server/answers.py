"""A picture and its report as one HTTP answer."""

from __future__ import annotations

import base64
import json
import secrets
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from pellucid.server.jobs import Made

REPORT = "Pellucid-Report"
_HEADER = 6000  # characters; clients refuse headers of more than 8 KB


def answer(made: Made, accept: str) -> Response:
    """Answer as the client accepts: JSON, a form of two parts, or the picture with a header."""
    if "application/json" in accept:
        image = base64.b64encode(made.data).decode()
        body = {"name": made.name, "type": made.media, "image": image, "report": made.report}
        return JSONResponse(body)
    if "multipart/form-data" in accept:
        return _form(made)
    report = json.dumps(made.report, separators=(",", ":"))
    if len(report) > _HEADER:
        report = json.dumps({**made.report, "notes": ["too long for a header"]})
    headers = {REPORT: report, "Content-Disposition": _disposition("attachment", made.name)}
    return Response(made.data, media_type=made.media, headers=headers)


def _form(made: Made) -> Response:
    boundary = secrets.token_hex(16)
    report = json.dumps(made.report).encode()
    parts = (
        ('form-data; name="report"', "application/json", report),
        (_disposition('form-data; name="image"', made.name), made.media, made.data),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: {place}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + data
        + b"\r\n"
        for place, kind, data in parts
    )
    body += f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


def _disposition(kind: str, name: str) -> str:
    """With a file's name for all clients: in ASCII, and as RFC 8187 has it."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    exact = quote(name.encode("utf-8", "replace"), safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"
