"""`pellucid-bench`: damaged windows of clean photographs, the same to the last bit for everyone.

One window of 256 x 256 px from the middle of each photograph (`scripts/fetch_photos.py` makes the
folder; any folder of clean pictures works), damaged by every degradation at three severities and by
two mixtures, and left alone once. The seed is the number of the photograph and of the degradation,
so a case does not depend on which others are run. JPEG damage depends on libjpeg; `images.csv`
holds the sha256 of every input, so that two machines can compare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data.files import pictures, read_pixels
from pellucid.degradations import CLASSES, CLEAN, WORDS, chain
from pellucid.errors import ImageError, UsageError
from pellucid.evaluation.cases import Case

SIDE = 256
SEVERITIES = (0.25, 0.5, 0.75)
MIXED = ("hazy+rainy", "low-light+noisy")  # weather, and a photograph at night; both at 0.5

COLUMNS = {
    **{f"{word}@{severity}": (word, severity) for word in WORDS for severity in SEVERITIES},
    **{f"{words}@0.5": (words, 0.5) for words in MIXED},
    CLEAN: (CLEAN, 0.0),
}


@dataclass(frozen=True)
class BenchCase(Case):
    """One damaged window; `index`, the photograph's number, is the first part of the seed."""

    eight_bit: bool = True

    def load(self) -> tuple[np.ndarray, np.ndarray]:
        """Damaged and clean window, float32 `(3, 256, 256)` in [0, 1]."""
        assert self.truth is not None
        clean = window(self.truth)
        words, severity = COLUMNS[self.column]
        if words == CLEAN:
            return clean.transpose(2, 0, 1), clean.transpose(2, 0, 1)
        steps = [(word, severity) for word in words.split("+")]
        rng = np.random.default_rng([self.index, *(CLASSES.index(word) for word, _ in steps)])
        damaged = chain(clean, steps, rng)
        if self.eight_bit:
            damaged = np.round(damaged * 255) / np.float32(255)
        return damaged.transpose(2, 0, 1), clean.transpose(2, 0, 1)


def window(path: Path) -> np.ndarray:
    """The middle of a photograph, float32 `(256, 256, 3)` in [0, 1].

    Raises:
        ImageError: it is smaller, or cannot be read.
    """
    pixels = read_pixels(path)
    if min(pixels.shape[:2]) < SIDE:
        raise ImageError(f"{path} is smaller than {SIDE} x {SIDE} px; take it out of the folder")
    top, left = ((n - SIDE) // 2 for n in pixels.shape[:2])
    return pixels[top : top + SIDE, left : left + SIDE].astype(np.float32) / 255


def bench_cases(root: Path, eight_bit: bool = True) -> Iterator[BenchCase]:
    """Cases of a folder of clean photographs, in the order of `COLUMNS` and of the files' names.

    Args:
        root: the folder.
        eight_bit: damaged pictures are rounded to the 256 levels of a file, as cameras' are.

    Raises:
        UsageError: there is no such folder, or no picture in it.
    """
    files = pictures(root)
    if not files:
        raise UsageError(f"{root}: no picture in it")
    for column in COLUMNS:
        for index, path in enumerate(files):
            name = path.relative_to(root).with_suffix("").as_posix()
            yield BenchCase(column, name, index, path, None, eight_bit=eight_bit)
