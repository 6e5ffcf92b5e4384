"""Which files are films or animations, and what an output file's container can hold."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from pellucid.errors import UsageError

FILMS = frozenset(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("mxf", "ogv", "qt", "ts", "vob", "webm", "wmv"),
    )
)
ANIMATIONS = {".gif": "gif", ".webp": "webp", ".png": "apng", ".apng": "apng"}


class Target(NamedTuple):
    """A container that is written.

    `muxer` is FFmpeg's name of it, `codec` what it gets if the source's own cannot be written into
    it.
    """

    muxer: str
    codec: str


TARGETS = {
    ".mp4": Target("mp4", "h264"),
    ".m4v": Target("mp4", "h264"),
    ".mov": Target("mov", "h264"),
    ".mkv": Target("matroska", "h264"),
    ".webm": Target("webm", "vp9"),
    ".avi": Target("avi", "h264"),
    ".ts": Target("mpegts", "h264"),
    ".gif": Target("gif", "gif"),
    ".webp": Target("webp", "webp"),
    ".png": Target("apng", "apng"),
    ".apng": Target("apng", "apng"),
}


def is_video(path: str | Path) -> bool:
    """Whether a file is a film, by its name, or an animation of several pictures, by its content.

    False for what cannot be read; a picture's reader says why.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in FILMS:
        return True
    return suffix in ANIMATIONS and is_animated(path)


def is_animated(path: Path) -> bool:
    """Whether a GIF, WebP or PNG has more than one picture."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, which have a limit of their own
            image = Image.open(path, formats=("GIF", "PNG", "WEBP"))
        with image:
            return getattr(image, "is_animated", False)
    except Exception:  # a damaged file may raise anything
        return False


def target_of(path: Path) -> Target:
    """The container of an output file; `UsageError` if it is none that can be written."""
    found = TARGETS.get(path.suffix.lower())
    if found is None:
        what = f"'{path.suffix}' films cannot be written" if path.suffix else "it has no suffix"
        raise UsageError(f"{path}: {what}; choose one of {' '.join(TARGETS)}")
    return found
