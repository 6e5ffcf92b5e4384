"""Cut, pad, mirror and transpose windows of pictures."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

BLOCK = 8  # px; second crops stay on the block grid of JPEG files, which networks learn to see


class Samples(Protocol):
    """A data set of known length; an index may go beyond it where it says so."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> dict: ...


def filled(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Extend `(H, W, C)` to at least `(height, width)` by reflection to the right and below.

    The edge itself is not repeated; a much smaller picture is reflected several times.
    """
    down, right = max(0, height - picture.shape[0]), max(0, width - picture.shape[1])
    if not (down or right):
        return picture
    mode = "reflect" if min(picture.shape[:2]) > 1 else "edge"
    return np.pad(picture, ((0, down), (0, right), (0, 0)), mode=mode)


def random_window(
    height: int, width: int, side: int, rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of a random square of `side` px, or of the whole where it is smaller."""
    top = int(rng.integers(max(0, height - side) + 1))
    left = int(rng.integers(max(0, width - side) + 1))
    return slice(top, top + side), slice(left, left + side)


def turned(picture: np.ndarray, turn: int) -> np.ndarray:
    """One of the square's eight symmetries; bits of `turn`: left-right, up-down, transposed."""
    if turn & 1:
        picture = picture[:, ::-1]
    if turn & 2:
        picture = picture[::-1]
    return picture.swapaxes(0, 1) if turn & 4 else picture


def as_tensor(picture: np.ndarray) -> Tensor:
    """Float32 `(3, H, W)` in [0, 1] of float `(H, W, 3)` in [0, 1] or of uint8."""
    pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
    return pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()


def eight_bit(picture: np.ndarray) -> np.ndarray:
    """Round float values in [0, 1] to the 256 levels of a file."""
    return np.rint(picture * np.float32(255)) / np.float32(255)


class TwoCrops(Dataset):
    """Samples of larger windows, cut to `crop` px, with another cut of the damaged picture.

    That is `positive`, mirrored on its own: a picture with the same damage, which Perceive-IR's
    contrastive loss draws near. The official code cuts both from the whole picture.

    Args:
        dataset: its samples' pictures are more than `crop` px high and wide.
        crop: side of the cuts.
        seed: another seed gives other cuts.
    """

    def __init__(self, dataset: Dataset, crop: int, seed: int = 0):
        self.dataset, self.crop, self.seed = dataset, crop, seed
        self.notes: list[str] = getattr(dataset, "notes", [])
        self.sources: dict[str, list[str]] = getattr(dataset, "sources", {})

    def __getitem__(self, index: int) -> dict:
        sample = self.dataset[index]
        rng = np.random.default_rng((self.seed, int(index), 2))
        spare = np.array(sample["lq"].shape[1:]) - self.crop
        own, other = (rng.integers(spare // BLOCK + 1) * BLOCK for _ in range(2))
        flips = [axis for axis in (1, 2) if rng.random() < 0.5]
        cut = {
            name: self._cut(value, own)
            for name, value in sample.items()
            if isinstance(value, Tensor) and value.ndim == 3 and name != "view"  # that stays whole
        }
        positive = self._cut(sample["lq"], other).flip(flips)
        return {**sample, **cut, "positive": positive}

    def _cut(self, picture: Tensor, corner: np.ndarray) -> Tensor:
        top, left = corner
        return picture[:, top : top + self.crop, left : left + self.crop].contiguous()
