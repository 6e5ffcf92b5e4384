"""Find test pictures among training pictures, also re-encoded, rescaled or mirrored.

A perceptual hash: the signs of the lowest 16 x 16 frequencies of the picture's luma at 32 x 32 px,
without the mean (after the DCT hash of Zauner's pHash, 2010, which has 64 bits and the median for
zero). Signs around zero make the hash of a mirrored picture a known change of signs.

Why 255 bits and `NEAR` = 48: measured on 310 photographs, each against copies of itself, and the
47 895 pairs of two photographs, each also mirrored.

====================================================  ======  ===  ================
255 bits                                              median  max  max of the usual
                                                                   63 bits
====================================================  ======  ===  ================
JPEG quality 50                                            1    8                 3
half size, JPEG quality 50                                 2   11                 3
the same, mirrored                                         2   11                 3
128 px wide, JPEG quality 30                               7   34                 6
cropped to multiples of 16                                 0   31                 5
Gaussian noise, sigma 25                                   3   11                 4
2 % cut off at every side                                 31   65                11
two photographs                                          123   90  14 (min. of all)
====================================================  ======  ===  ================

The gap between 34 and 90 suffices for sets of 10^5 pictures (the distances of two photographs have
a standard deviation of 6.7); that of 63 bits, 6 to 14, does not. Photographs of one scene from
another place or time, as in a burst with a moving camera, are not found (348 such pairs: 101 and
more).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pellucid.data.files import read_pixels

NEAR = 48  # bits of 255 in which two pictures may differ and be the same

_SIDE, _KEPT = 32, 16
_FREQUENCIES = np.arange(_KEPT)
_DCT = np.cos(np.pi / _SIDE * np.outer(_FREQUENCIES, np.arange(_SIDE) + 0.5))
_MIRROR = np.tile(1 - 2 * (_FREQUENCIES % 2), _KEPT)[1:].astype(np.float32)
_BITS = _KEPT**2 - 1
_BLOCK = 256  # truths compared at once: 50 MB against 50 000 training pictures


class Leak(NamedTuple):
    """A test picture and the nearest training picture."""

    truth: Path
    train: Path
    distance: int
    """Differing bits of 255; 0 is (almost surely) the same picture."""
    mirrored: bool


def find_leaks(truths: Sequence[Path], train: Sequence[Path], threads: int = 4) -> list[Leak]:
    """Find the truths that are among the training pictures, in the order of the truths.

    Raises:
        ImageError: a file cannot be read.
    """
    if not truths or not train:
        return []
    truths = list(dict.fromkeys(truths))  # several cases share a truth
    with ThreadPoolExecutor(threads) as pool:
        tested, trained = (np.stack(list(pool.map(signs, f))) for f in (truths, train))
    leaks = []
    for start in range(0, len(truths), _BLOCK):
        block = tested[start : start + _BLOCK]
        agreement = np.stack([block @ trained.T, (block * _MIRROR) @ trained.T])
        distances = ((_BITS - agreement) / 2).astype(int)
        for truth, found in zip(
            truths[start : start + _BLOCK], distances.transpose(1, 0, 2), strict=True
        ):
            mirrored, nearest = np.unravel_index(found.argmin(), found.shape)
            if (distance := found[mirrored, nearest]) <= NEAR:
                leaks.append(Leak(truth, train[nearest], int(distance), bool(mirrored)))
    return leaks


def signs(path: Path) -> np.ndarray:
    """The hash of a picture file: float32 `(255,)` of -1 and 1.

    Raises:
        ImageError: the file cannot be read.
    """
    small = Image.fromarray(read_pixels(path)).convert("L")
    small = small.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    frequencies = _DCT @ np.asarray(small, np.float64) @ _DCT.T
    return np.where(frequencies.ravel()[1:] > 0, 1, -1).astype(np.float32)
