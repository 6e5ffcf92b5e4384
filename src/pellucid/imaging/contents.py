"""The bytes of a file, if it is one that may be a picture."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from pellucid.errors import ImageError

_SLACK = 1 << 26  # bytes of metadata
_BYTES_A_PIXEL = 8  # the most that a picture needs, 16 bits of R, G, B and alpha
_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOTDIR: "no such file",
    errno.EACCES: "cannot be read: permission denied",
    errno.ENXIO: "is no regular file but a pipe, a socket or a device",
    errno.ELOOP: "is a link that leads back to itself",
    errno.ENAMETOOLONG: "no such file: the name is too long",
}


def contents(path: Path, max_pixels: int) -> bytes:
    """The whole file; `ImageError` if it is no regular one, empty, or too long for a picture.

    A pipe, a socket or a device is never read: it may have no end.
    """
    try:
        # without O_NONBLOCK, opening a pipe waits for who writes into it
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise ImageError(_folder(path))
            if not stat.S_ISREG(status.st_mode):
                raise ImageError("is no regular file but a pipe, a socket or a device")
            check_length(status.st_size, max_pixels)
            data = file.read(status.st_size + 1)
    except ValueError as error:  # a NUL in the name
        raise ImageError(f"no such file ({error})") from error
    except OSError as error:
        if os.path.isdir(path):  # which Windows does not open
            raise ImageError(_folder(path)) from error
        reason = _REASONS.get(error.errno or 0, f"cannot be read: {error.strerror or error}")
        if error.errno == errno.ENOENT and os.path.islink(path):
            reason = "is a link that leads nowhere"
        raise ImageError(reason) from error
    check_length(len(data), max_pixels)
    if not data:
        raise ImageError("the file is empty (0 bytes)")
    return data


def _folder(path: Path) -> str:
    searchable = os.access(path, os.R_OK | os.X_OK)
    return "is a folder, not a picture" if searchable else "is a folder without access"


_BINARY = getattr(os, "O_BINARY", 0)


def most(max_pixels: int) -> int:
    """The greatest length in bytes of a file that is read."""
    return _BYTES_A_PIXEL * max_pixels + _SLACK


def check_length(length: int, max_pixels: int) -> None:
    """`ImageError` for more bytes than any picture within the limit needs."""
    if length > most(max_pixels):
        raise ImageError(
            f"{length / 1e6:.0f} MB are more than a picture of {max_pixels / 1e6:.0f} megapixels "
            "needs; if you trust the file, raise max_pixels (--max-pixels)"
        )
