"""Files of a run, whole or absent, and what is said where one cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pellucid.errors import PellucidError


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a name to write to; the file gets `path` after the block, over what was there.

    The data are on the disk before the old file goes.

    Raises:
        PellucidError: the disk is full, or the folder may not be written; `path` is as it was.
    """
    temporary = path.with_name(f"{path.name}.partial")
    try:
        with said(path):
            yield temporary
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    except BaseException:
        with said(path):
            temporary.unlink(missing_ok=True)  # what is in it fills the disk
        raise


def write_text(path: Path, text: str) -> None:
    """Write a file of text, whole or not at all; see `written`."""
    with written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def said(path: Path) -> Iterator[None]:
    """Make a sentence of what a full disk, or a folder without permission, throws.

    Raises:
        PellucidError: says it.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save makes its own error of a full disk
        cause = error if isinstance(error, OSError) else error.__context__
        if not isinstance(cause, OSError):
            raise
        raise PellucidError(
            f"{path} cannot be written: {cause.strerror or cause}; what was saved before is whole: "
            "when this is mended, the same command goes on from there"
        ) from error
