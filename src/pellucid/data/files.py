"""Picture files of a folder, and pairs of damaged and clean ones; `layouts` finds them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pellucid.errors import ImageError, UsageError
from pellucid.imaging import formats, io
from pellucid.imaging.photo import to_integers

log = logging.getLogger(__name__)
LQ, GT = "LQ", "GT"  # damaged and clean, as the official datasets call them


@dataclass(frozen=True)
class Pair:
    """A damaged picture and its clean one.

    The clean one may have `border` px more at every side, as in RESIDE's indoor part.
    """

    lq: Path
    gt: Path
    border: int = 0


def check_readable(folder: Path) -> None:
    """`UsageError` for a folder that is not there or may not be read."""
    if not folder.is_dir():
        what = "is a file; name a folder" if folder.exists() else "no such folder"
        raise UsageError(f"{folder}: {what}")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise UsageError(f"{folder}: no permission to read this folder")


# What a data set says of which the choice of pictures leaves none.
NONE_LEFT = (
    "none is left by --data.fold and --data.held-out; of few pictures, hold out a larger share, or "
    "name others with --data.validation"
)


def pictures(folder: str | Path) -> list[Path]:
    """All picture files below `folder`, sorted by path; hidden files and folders are left out.

    So are folders below it that may not be read, with a warning.
    """
    folder = Path(folder)
    check_readable(folder)
    found = []
    for here, inside, names in os.walk(folder, onerror=left_out):
        inside[:] = [name for name in inside if name[0] != "."]
        paths = (Path(here, name) for name in names if name[0] != ".")
        found += [p for p in paths if p.suffix.lower() in formats.BY_SUFFIX and p.is_file()]
    return sorted(found)


def left_out(error: OSError) -> None:
    """Warn of a folder that cannot be read, once."""
    pass_over(str(error.filename), error.strerror or type(error).__name__)


@cache
def pass_over(folder: str, reason: str) -> None:
    """Warn of a folder that is left out, once."""
    log.warning("left out %r: %s", folder, reason)  # a name may hold control characters


def stable_name(path: Path, folder: Path) -> str:
    """Path of a picture below a folder as a name, without suffix; moving the folder keeps it."""
    return "-".join(path.relative_to(folder).with_suffix("").parts)


def read_pixels(path: str | Path) -> np.ndarray:
    """Upright uint8 `(H, W, 3)` of a picture file; grey becomes three channels, alpha is dropped.

    Raises:
        ImageError: the file cannot be read.
    """
    return to_integers(io.read(path).pixels, 8)


def read_pair(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Damaged and clean uint8 `(H, W, 3)`; `ImageError` if unreadable or of unequal size."""
    gt = read_pixels(pair.gt)
    lq = gt if pair.lq == pair.gt else read_pixels(pair.lq)
    if trimmed(gt.shape[:2], lq.shape[:2], pair.border):
        gt = gt[pair.border : -pair.border, pair.border : -pair.border]
    if lq.shape != gt.shape:
        sizes = " and ".join(f"{p.shape[1]}x{p.shape[0]}" for p in (lq, gt))
        raise ImageError(
            f"{pair.lq} and {pair.gt} differ in size ({sizes}); `pellucid data check` lists every "
            "such file"
        )
    return lq, gt


def trimmed(truth: Sequence[int], damaged: Sequence[int], border: int) -> bool:
    """Whether a truth of a size has a border (see `Pair`) that the damaged picture lacks."""
    return border > 0 and all(t == d + 2 * border for t, d in zip(truth, damaged, strict=True))
