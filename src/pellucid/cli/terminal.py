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


def one_line(text: str) -> str:
    """`plain` text such as the name of a file, which may hold the end of a line, too."""
    return plain(text).replace("\n", r"\n")


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


_ENDS = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}
_came: list[int] = []


def obey_signals() -> None:
    """Let SIGTERM raise `Terminated` as Ctrl-C raises `KeyboardInterrupt`, so that unfinished
    files are removed; both are remembered."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        _came.append(number)
        raise _ENDS[signal.Signals(number)]

    _came.clear()
    with suppress(ValueError):  # not the main thread: signals are someone else's business
        signal.signal(signal.SIGTERM, stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell may ignore it
            signal.signal(signal.SIGINT, stop)


def raise_interrupt() -> None:
    """Raise what a signal raised in a library that made another error of it."""
    if _came:
        raise _ENDS[signal.Signals(_came[-1])]
