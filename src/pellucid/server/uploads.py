"""One picture, its masks and its options from a request, within limits of length and time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple

import anyio
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from pellucid.server.problems import Problem

IMAGE = "image"  # the field of a form with the picture
MASKS = ("mask", "missing")
_IN_MEMORY = 1 << 20  # bytes; longer uploads wait on the disk
_FIELD = 1 << 14  # bytes of a text field
RETRY = 10  # seconds after which a client may come back for which there was no room


class Upload(NamedTuple):
    """Files by their field, open only inside `upload`; the picture's name; the options."""

    files: Mapping[str, IO[bytes]]
    name: str
    options: dict[str, str]


class Room:
    """Bytes of all uploads that arrive, wait or are worked on, and the most that there may be."""

    def __init__(self, most: int):
        self.most, self.taken = most, 0

    @contextmanager
    def part(self) -> Iterator[Callable[[int], None]]:
        """A function that takes so many more bytes; all are given back when the block ends.

        Raises:
            Problem: by the function, 429 with Retry-After if there is no room for them.
        """
        mine = 0

        def take(count: int) -> None:
            nonlocal mine
            if self.taken + count > self.most:
                raise Problem(
                    429,
                    f"the uploads that arrive or wait fill the {self.most / 1e6:.0f} MB that are "
                    "there for them; try again later",
                    {"Retry-After": str(RETRY), "Connection": "close"},
                )
            mine += count
            self.taken += count

        try:
            yield take
        finally:
            self.taken -= mine


@asynccontextmanager
async def upload(request: Request, most: int, seconds: float, room: Room) -> AsyncIterator[Upload]:
    """Read a picture: the field `image` of a form, or the whole body.

    Args:
        request: its query and, of a form, its text fields are the options.
        most: greatest length of the body in bytes.
        seconds: how long the body may take to arrive.
        room: shared by all uploads; what has come takes its bytes until the block ends.

    Raises:
        Problem: 413 too long, 408 too slow, 415 another content type, 400 a broken form, 429 no
            room.
    """
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_long(most)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    is_form = kind == "multipart/form-data"
    if not (is_form or kind.startswith("image/") or kind == "application/octet-stream"):
        raise Problem(
            415,
            f"a body of type {kind or '(none)'} cannot be read; send multipart/form-data with a "
            "field image, or the picture itself as image/* or application/octet-stream",
        )
    options = dict(request.query_params)
    async with AsyncExitStack() as opened:
        counted = _counted(request, most, opened.enter_context(room.part()))
        try:
            with anyio.fail_after(seconds):
                if is_form:
                    fields = len(MASKS) + 1
                    asked = counted.form(max_files=fields, max_fields=40, max_part_size=_FIELD)
                    form = await opened.enter_async_context(asked)
                else:
                    spooled = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
                    body = opened.enter_context(spooled)
                    async for piece in counted.stream():
                        body.write(piece)
                    body.seek(0)
        except TimeoutError as error:
            close = {"Connection": "close"}
            raise Problem(408, f"the upload did not arrive within {seconds:g} s", close) from error
        except (MultiPartException, HTTPException) as error:
            reason = getattr(error, "message", None) or getattr(error, "detail", error)
            raise Problem(400, f"the form cannot be read: {reason}") from error
        except ClientDisconnect as error:
            raise Problem(400, "the connection was closed before the upload ended") from error
        yield _of_form(form, options) if is_form else Upload({IMAGE: body}, "", options)


def _of_form(form: FormData, options: dict[str, str]) -> Upload:
    files = {name: part for name, part in form.items() if isinstance(part, UploadFile)}
    if IMAGE not in files:
        raise Problem(400, f"the form has no file in its field {IMAGE}")
    for name in files:
        if name not in (IMAGE, *MASKS):
            known = ", ".join((IMAGE, *MASKS))
            raise Problem(400, f"the form has a file in its field {name!r}; files are {known}")
    options = options | {name: text for name, text in form.items() if isinstance(text, str)}
    opened = {name: part.file for name, part in files.items()}
    return Upload(opened, files[IMAGE].filename or "", options)


def _counted(request: Request, most: int, take: Callable[[int], None]) -> Request:
    """The request, which raises when more than `most` bytes have come, whatever it announced.

    `take` is told of the bytes of each piece.
    """
    come = 0

    async def receive() -> Message:
        nonlocal come
        message = await request.receive()
        count = len(message.get("body", b""))
        come += count
        if come > most:
            raise _too_long(most)
        take(count)
        return message

    return Request(request.scope, receive)


def _too_long(most: int) -> Problem:
    return Problem(
        413,
        f"the upload is longer than {most / 1e6:.0f} MB, more than a picture within the limit of "
        "pixels needs",
        {"Connection": "close"},
    )
