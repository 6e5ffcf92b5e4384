"""Measure what is wrong with a picture, without a network.

found = measure(photo.pixels, photo.quantisation)
found.noise.sigma                 # levels of 255
found.quality                     # of JPEG, 1..100, or None
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .estimators import (
    PATCH,
    Grid,
    Noise,
    blocks,
    blur_of,
    grid_of,
    impulses_of,
    noise_of,
    quantisation,
)
from .holes import Holes, codes_of, find_holes
from .photo import LUMA
from .shadows import Shadow, cast_shadow

WINDOW = 192  # px; a multiple of 16, so that windows agree on the grid of JPEG
LEAST = 24  # px; a smaller picture is padded, by reflection
WINDOWS = 3  # a side
OWN = 0.1  # share of patches without filled pixels from which on only they are measured
SKETCH = 384  # px along the longer side, at about which a picture is taken for a drawing or not
COLOURS = 0.03  # a drawing has fewer different colours than this share of its pixels
EVEN = 0.4  # and at least this share of pixels like both the right and the lower neighbour


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured on one picture."""

    noise: Noise = field(default_factory=Noise)
    """Levels of 255; see `estimators.Noise`."""
    impulses: float = 0.0
    """Share of values that are single black or white ones, in [0, 1]."""
    holes: Holes = field(default_factory=Holes)
    """See `holes.Holes`; `holes.mask` is `(H, W)` or None."""
    grid: Grid = field(default_factory=Grid)
    """The 8 x 8 grid in the pixels; see `estimators.Grid`."""
    file_quality: int | None = None
    """Quality 1..100 by the file's own tables; None: no JPEG file."""
    veil: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Dark channel (He, Sun and Tang, CVPR 2009) of 16 px patches, in [0, 1]: its 5 %, 25 % and
    50 % percentiles."""
    tones: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """1 %, 50 %, 90 % and 99 % percentiles of luma, in [0, 1]."""
    blur: float = 0.0
    """In [0, 1], 0 sharp; a hint, see `estimators.blur_of`."""
    drawing: bool = False
    """Mostly exactly even, in few colours, as a drawing or a part of a screen; never a JPEG file,
    which may be even by its compression."""

    shadow: Shadow | None = None
    """See `shadows.cast_shadow`."""

    @property
    def quality(self) -> int | None:
        """JPEG quality, 1..100: the lower of the file's and the pixels'; None without JPEG."""
        known = [q for q in (self.file_quality, self.grid.quality) if q is not None]
        return min(known, default=None)


def measure(
    image: np.ndarray,
    quantisation: Sequence[Sequence[int]] | None = None,
    filled: np.ndarray | None = None,
) -> Evidence:
    """Measure a picture, `(H, W, 3)` float32 in [0, 1].

    Holes, tones and a shadow are those of the whole picture; the rest is measured on nine windows
    of 192 px where it is larger than these.

    Args:
        image: RGB, as a file's levels divided by 255; what lies between them is rounded.
        quantisation: the tables of the JPEG file that it was read from (`Photo.quantisation`).
        filled: bool `(H, W)`, where holes were filled. What was filled has no noise of its own, so
            it is not measured, unless there is hardly a patch without it.
    """
    image = np.asarray(image, np.float32)
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture must be (H, W, 3), not {image.shape}")
    holes = find_holes(codes_of(image))
    padded = _padded(image)
    planes = np.ascontiguousarray(_windows(padded).transpose(3, 0, 1, 2))
    planes *= np.float32(255)
    known = None
    if holes.mask is not None:
        known = ~_windows(_padded(holes.mask))
    if filled is not None:
        own = ~_windows(_padded(filled))
        if blocks(own, PATCH).all(axis=(1, 2)).mean() >= OWN:
            known = own if known is None else known & own
    luma = np.tensordot(LUMA, planes, 1)
    return Evidence(
        noise=noise_of(luma, planes, known),
        impulses=impulses_of(planes, known),
        holes=holes,
        grid=grid_of(luma),
        file_quality=quality_of(quantisation),
        veil=_veil(planes),
        tones=_tones(image),
        blur=blur_of(luma),
        drawing=not quantisation and _is_drawing(image),
        shadow=cast_shadow(image),
    )


def quality_of(tables: Sequence[Sequence[int]] | None) -> int | None:
    """The quality of libjpeg whose luminance table is nearest to a file's, 1..100."""
    if not tables:
        return None
    qualities = np.arange(1, 101)
    # The order of the 64 does not matter to the sum; tables of others are matched by strength.
    sums = quantisation(qualities).sum(axis=(1, 2))
    return int(qualities[np.abs(sums - sum(tables[0])).argmin()])


def _padded(image: np.ndarray) -> np.ndarray:
    missing = [max(0, LEAST - side) for side in image.shape[:2]]
    if not any(missing):
        return image
    return np.pad(image, [(0, m) for m in missing] + [(0, 0)] * (image.ndim - 2), "symmetric")


def _windows(image: np.ndarray) -> np.ndarray:
    """`(n, h, w, ...)`: the whole picture, or nine windows spread over it."""
    height, width = image.shape[:2]
    if height * width <= (WINDOWS * WINDOW) ** 2:
        return image[None]
    starts, sides = [], [min(WINDOW, height), min(WINDOW, width)]
    for length, side in zip((height, width), sides, strict=True):
        count = min(WINDOWS, max(1, length // WINDOW))
        starts.append(np.linspace(0, length - side, count).astype(int) // 16 * 16)
    parts = [image[y : y + sides[0], x : x + sides[1]] for y in starts[0] for x in starts[1]]
    return np.stack(parts)


def _veil(planes: np.ndarray) -> tuple[float, float, float]:
    darkest = np.minimum(np.minimum(planes[0], planes[1]), planes[2])
    patches = blocks(darkest, 16).min(axis=(1, 2)) / 255
    low, quarter, half = np.percentile(patches, (5, 25, 50))
    return float(low), float(quarter), float(half)


def _tones(image: np.ndarray) -> tuple[float, float, float, float]:
    step = max(1, int((image.shape[0] * image.shape[1] / 65536) ** 0.5))
    luma = image[::step, ::step] @ LUMA
    black, half, bright, white = np.percentile(luma, (1, 50, 90, 99))
    return float(black), float(half), float(bright), float(white)


def _is_drawing(image: np.ndarray) -> bool:
    """Whether most pixels are exactly as their neighbours, in few colours (ours).

    No lens and sensor make that. The limits lie between a pale drawing (0.022 and 0.49) and
    photographs of fog, compressed as JPEG (0.059 and 0.45, 0.038 and 0.31).
    """
    step = max(1, round(max(image.shape[:2]) / SKETCH))
    codes = codes_of(image[::step, ::step])
    even = (codes[:-1, :-1] == codes[:-1, 1:]) & (codes[:-1, :-1] == codes[1:, :-1])
    few = len(np.unique(codes)) < COLOURS * codes.size
    return bool(few and even.size and even.mean() >= EVEN)
