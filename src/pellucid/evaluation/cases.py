"""What is scored: a damaged picture and its truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pellucid.data.files import read_pixels, trimmed
from pellucid.errors import ImageError
from pellucid.evaluation.protocol_noise import Noisy


@dataclass(frozen=True)
class Case:
    """One damaged picture and its truth.

    Attributes:
        column: name of the column, or of the set.
        name: unique in the column.
        index: number in the column.
        truth: file of the clean picture; None if there is none.
        input: file of the damaged one; None: it is made from the truth.
        words: its degradations; ("clean",) for none; empty if they are not known.
        mask: file that is white where the picture has holes; None if there is none.
        noise: damages the (cropped) truth.
        crop: both are cut to multiples of this around their centres; 1 keeps all.
        border: px that the truth may have more at every side, see `data.files.Pair`.
    """

    column: str
    name: str
    index: int
    truth: Path | None
    input: Path | None
    words: tuple[str, ...] = ()
    mask: Path | None = None
    noise: Noisy | None = None
    crop: int = 1
    border: int = 0

    def load(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Damaged and clean picture, float32 `(3, H, W)`: levels of 8 bits divided by 255.

        Raises:
            ImageError: a file cannot be read, or the two differ in size.
        """
        truth = None if self.truth is None else read_pixels(self.truth)
        if self.input is not None:
            damaged = read_pixels(self.input)
            if truth is not None and trimmed(truth.shape[:2], damaged.shape[:2], self.border):
                truth = truth[self.border : -self.border, self.border : -self.border]
            damaged = cropped(damaged, self.crop)
        truth = None if truth is None else cropped(truth, self.crop)
        if self.input is None:
            assert truth is not None and self.noise is not None
            damaged = self.noise(truth)
        if truth is not None and damaged.shape != truth.shape:
            sizes = " and ".join(f"{p.shape[1]} x {p.shape[0]}" for p in (damaged, truth))
            raise ImageError(f"{self.input} and {self.truth} differ in size ({sizes})")
        return _planes(damaged), None if truth is None else _planes(truth)


def cropped(picture: np.ndarray, multiple: int) -> np.ndarray:
    """The middle of `(H, W, C)`, its sides the largest multiples."""
    height, width = (n - n % multiple for n in picture.shape[:2])
    top, left = ((n % multiple) // 2 for n in picture.shape[:2])
    return picture[top : top + height, left : left + width]


def _planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / np.float32(255)
