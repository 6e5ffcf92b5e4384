"""Standard streams: encodings, control characters, signals."""

from __future__ import annotations

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from pellucid.errors import UsageError

_PART = 1 << 20  # bytes that are read at once


def prepare_streams() -> None:
    """Let the standard streams take any text: characters they cannot encode become escapes.

    Of those that were closed the numbers are taken, lest a file that is opened gets one and what is
    printed goes into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            stream.reconfigure(errors="backslashreplace")


def plain(text: str) -> str:
    """Text without control characters of the terminal, one line for each line.

    Names of files may hold control characters, and bytes that are no UTF-8.
    """
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def can_show(text: str, stream: object) -> bool:
    """Whether the encoding of a stream has all characters of a text."""
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def read_input(max_pixels: int) -> bytes:
    """All of standard input.

    Raises:
        UsageError: it is closed.
        ImageError: it is longer than a picture within the limit can be.
    """
    from pellucid.imaging.contents import check_length, most

    if sys.stdin is None:
        raise UsageError("standard input is closed: name a file, or redirect one into it")
    data = bytearray()
    while len(data) <= most(max_pixels) and (part := sys.stdin.buffer.read(_PART)):
        data += part
    check_length(len(data), max_pixels)
    return bytes(data)


class Terminated(KeyboardInterrupt):
    """SIGTERM came: ends a command as Ctrl-C does, with its own exit status."""


def obey_sigterm() -> None:
    """Let SIGTERM raise `Terminated`, so that unfinished files are removed."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    with suppress(ValueError):  # not the main thread: signals are someone else's business
        signal.signal(signal.SIGTERM, stop)
