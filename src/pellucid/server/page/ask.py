"""From an event of the page to the server's worker and back."""

from __future__ import annotations

import contextvars
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from pellucid.errors import PellucidError
from pellucid.server.jobs import Restored, RestoreRequest, options_of
from pellucid.server.problems import Problem
from pellucid.server.uploads import IMAGE, Upload
from pellucid.server.work import Told

SAID = (Problem, PellucidError)  # errors that are shown to people
SHOWN = 20  # seconds, enough to read one aloud


def error(problem: Exception) -> gr.Error:
    """The same sentence for the person at the page; it goes, so that no later success has it."""
    return gr.Error(str(problem), title="", duration=SHOWN, print_exception=False)


def chosen(names: Mapping[str, Any], values: tuple[Any, ...]) -> RestoreRequest:
    """Options by the values of their widgets; what is empty is left out.

    Raises:
        Problem: one is out of range.
    """
    given = {n: v for n, v in zip(names, values, strict=True) if v not in (None, "", [])}
    if "words" in given:
        given["words"] = ",".join(given["words"])
    return options_of(RestoreRequest, given)


async def restored(
    service: Any,
    path: str,
    options: RestoreRequest,
    masks: Mapping[str, bytes] | None = None,
    progress: Callable[[float], Any] = lambda share: None,
) -> Restored:
    """Let the server's worker restore an uploaded file.

    Args:
        service: the server's, see `server.app.Service`.
        path: of the upload; its last part is the picture's name.
        options: as of a request.
        masks: files by the names of a request's.
        progress: is told the share that is done.

    Raises:
        Problem: the queue is full, or it took too long.
        PellucidError: it cannot be restored.
    """
    context = contextvars.copy_context()  # by which gradio finds the page that is to be told

    def job(told: Told) -> Restored:
        def both(share: float) -> None:
            told(share)
            context.run(progress, share)

        with open(path, "rb") as file:
            files = {name: io.BytesIO(data) for name, data in (masks or {}).items()}
            upload = Upload({IMAGE: file, **files}, Path(path).name, {})
            return service.jobs.restore(upload, options, both, damage=True)

    async with service.worker.place():
        return await service.worker.do(job)
