"""Noise of published tests, bit for bit: which numbers are drawn, and for which picture.

A noise is made for one pass over a protocol's cases; `reserve` is called for every noisy case in
the protocol's order and returns what makes that case's picture. The result depends on the order of
the reservations alone, never on which pictures are made, in which order, or how often: a run that
was stopped, or one of a few columns, sees the same noise as a whole one.

Pictures are uint8 `(H, W, 3)`; sigma is in their grey levels. Noisy values are cut to 0..255 and
then *truncated* to integers, in both codes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import torch

Noisy = Callable[[np.ndarray], np.ndarray]
_CHUNK = 1 << 20


class ProtocolNoise(Protocol):
    """Noise of a published test."""

    def reserve(self, index: int, shape: tuple[int, int, int], sigma: float) -> Noisy:
        """What damages picture `index` of its column, of this shape `(H, W, 3)`."""
        ...


class NumpyNoise:
    """One stream of `numpy.random.RandomState(0).randn` through all pictures, columns in turn.

    Source: `adair3` of Perceive-IR's evaluate_stage2_adair.py, in float64 on `(H, W, 3)`.
    PromptIR's test.py draws the same numbers, but in the order of `os.listdir`, which differs from
    disk to disk; here, as in Perceive-IR, files are sorted.

    Going forward skips numbers by drawing them (about 50 million a second), going back starts
    again.
    """

    def __init__(self):
        self._reserved = 0
        self._drawn = 0
        self._state = np.random.RandomState(0)

    def reserve(self, index: int, shape: tuple[int, int, int], sigma: float) -> Noisy:
        """The next `H * W * 3` numbers of the stream; the index does not matter."""
        start = self._reserved
        self._reserved += math.prod(shape)
        return partial(self._noisy, start, sigma)

    def _noisy(self, start: int, sigma: float, clean: np.ndarray) -> np.ndarray:
        noise = self._normals(start, clean.shape)
        return np.clip(clean + noise * sigma, 0, 255).astype(np.uint8)

    def _normals(self, start: int, shape: tuple[int, ...]) -> np.ndarray:
        if start < self._drawn:
            self._state, self._drawn = np.random.RandomState(0), 0
        while self._drawn < start:
            skipped = min(start - self._drawn, _CHUNK)
            self._state.randn(skipped)
            self._drawn += skipped
        self._drawn += math.prod(shape)
        return self._state.randn(*shape)


class TorchNoise:
    """A generator of its own for each picture, seeded 3407 + index; the same for every sigma.

    Source: `adair5` of Perceive-IR's evaluate_stage2_adair.py, in float32 on `(3, H, W)`. Its
    255 * (level / 255) is the level again, exactly. PyTorch promises the same numbers only for one
    version and one kind of processor.
    """

    def reserve(self, index: int, shape: tuple[int, int, int], sigma: float) -> Noisy:
        """The seed of the picture; the shape does not matter."""
        return partial(self._noisy, 3407 + index, sigma)

    @staticmethod
    def _noisy(seed: int, sigma: float, clean: np.ndarray) -> np.ndarray:
        planes = torch.from_numpy(clean).permute(2, 0, 1).float()
        normals = torch.randn(planes.shape, generator=torch.Generator().manual_seed(seed))
        noisy = (planes + normals * sigma).clamp(0, 255).to(torch.uint8)
        return noisy.permute(1, 2, 0).numpy()
