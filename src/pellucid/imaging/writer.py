"""Writing a photograph: complete or not at all, and never over the file it was read from."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from pellucid.errors import ImageError, UsageError
from pellucid.imaging.encoder import encode_fitting
from pellucid.imaging.fit import fit
from pellucid.imaging.formats import output_format
from pellucid.imaging.photo import Photo

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
_TEMPORARY = ".pellucid-"  # how the name of an unfinished file begins
_STALE = 3600  # seconds after which nobody writes an unfinished file any more


def write(
    photo: Photo, path: str | Path, quality: int | None = None, overwrite: bool = False
) -> Path:
    """Write `photo` in the format of the suffix; return the path, or raise `ImageError`.

    The file appears complete or not at all: it is written under a temporary name in the same folder
    and renamed. The file that the photograph was read from is never replaced, `overwrite` or not,
    nor anything else without it.

    `quality` (1..100) is for JPEG, WebP, AVIF, HEIC and JPEG XL; see `encode`.
    """
    if not isinstance(photo, Photo):
        raise UsageError(
            f"write takes a Photo, not a {type(photo).__name__}; of an array, make one with "
            "Photo(pixels), float32 (H, W, 3) in [0, 1]"
        )
    path = Path(path)
    format = output_format(path)
    refuse_input(photo.path, path)
    if not overwrite and os.path.lexists(path):
        raise _exists(path)
    try:
        data = encode(photo, format.name, quality)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error.__cause__
    write_all({path: data}, overwrite, photo.path)
    return path


def encode(photo: Photo, format: str, quality: int | None = None) -> bytes:
    """The bytes of a file in `format` (Pillow's name).

    EXIF, XMP, IPTC, ICC profile, text and resolution go along wherever the format has a place for
    them (BMP: resolution only); where there is none for the profile, the colours are converted to
    sRGB. PNG and TIFF keep 16 bits, HEIC 10; other formats get 8. See `fit`, which says what
    does not fit.

    `quality` 1..100. JPEG: without chroma subsampling, 95 when not given, or the tables of the
    JPEG it was read from if those are finer. WebP: 95, or lossless if the input was, or for 100.
    Others: 95.

    Raises:
        ImageError: the format cannot hold the picture.
        UsageError: `quality` is out of range.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not in 1..100")
    return encode_fitting(fit(photo, format), format, quality)


def refuse_input(source: Path | None, path: Path) -> None:
    """`ImageError` if `path` is the file `source`, by whatever name or link."""
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise ImageError(
            f"{path}: is the input itself, which is never overwritten; choose another name"
        )


def write_all(
    files: Mapping[Path, bytes], overwrite: bool = False, source: Path | None = None
) -> None:
    """Write whole files or nothing, making folders; `ImageError` says why it failed.

    None of them may be `source`. The first is the result. If it exists and `overwrite` is not
    set, nothing is written, even if another process made it a moment ago. What lies beside it
    follows it and is replaced.
    """
    temporaries: dict[Path, Path] = {}
    for path in files:
        refuse_input(source, path)
    try:
        for path, data in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path.parent.absolute())
            temporary = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.tmp")
            temporaries[path] = temporary
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in temporaries.items():
            place(temporary, path, overwrite)
            overwrite = True
    except OSError as error:
        reason = _FULL.get(error.errno or 0, error.strerror or str(error))
        raise ImageError(f"{path}: could not be written, nothing was changed ({reason})") from error
    finally:  # Ctrl-C too must leave nothing behind
        for temporary in temporaries.values():
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Give a finished file its name, which nobody may have taken unless `overwrite`."""
    if overwrite:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)  # fails where the name is taken; a rename would not
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError:  # no links on this file system
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError as error:
            raise _exists(path) from error
        os.replace(temporary, path)


def _exists(path: Path) -> ImageError:
    return ImageError(f"{path}: exists already; choose another name or allow overwriting")


@lru_cache(maxsize=64)
def _sweep(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed long ago."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            if entry.name.startswith(_TEMPORARY) and entry.name.endswith(".tmp"):
                with suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _STALE:
                        os.unlink(entry.path)
