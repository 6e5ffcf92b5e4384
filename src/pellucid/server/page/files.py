"""Files of the page: uploads, previews, results."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

from pellucid.imaging.encoder import to_pil
from pellucid.imaging.photo import Photo
from pellucid.server.jobs import Restored

SIDE = 2048  # px, the longest of a preview


@cache
def keep_files() -> tempfile.TemporaryDirectory:
    """Where all of them lie; gradio uses it too. It is deleted when the process ends."""
    files = tempfile.TemporaryDirectory(prefix="pellucid-page-")
    os.environ["GRADIO_TEMP_DIR"] = files.name
    return files


def folder() -> Path:
    """A new folder for files that the browser may fetch."""
    return Path(tempfile.mkdtemp(dir=keep_files().name))


def preview(photo: Photo, name: str = "preview") -> str:
    """Write a picture that a browser shows, of at most `SIDE` px; its path."""
    image = to_pil(photo.samples(8))
    image.thumbnail((SIDE, SIDE))
    path = folder() / f"{name}.{'jpg' if photo.alpha is None else 'png'}"
    image.save(path, icc_profile=photo.icc, quality=92, subsampling=0)
    return str(path)


def saved(restored: Restored, suffix: str | None, strength: float) -> str:
    """The restored picture as a file with the name of the upload; its path."""
    made = restored.made(suffix, strength=strength)
    path = folder() / made.name
    path.write_bytes(made.data)
    return str(path)
