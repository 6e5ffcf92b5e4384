"""Measure what is wrong with a picture, without a network.

found = measure(photo.pixels, photo.quantisation)
supports(found, "noisy")          # 1 measured, 0 excluded, None: cannot be measured
reweigh(probabilities, found)     # what a tower says, corrected by what is measured
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .estimators import Grid, Noise, blocks, blur_of, grid_of, impulses_of, noise_of, quantisation
from .holes import Holes, codes_of, find_holes
from .photo import LUMA

WINDOW = 192  # px; a multiple of 16, so that windows agree on the grid of JPEG
LEAST = 24  # px; a smaller picture is padded, by reflection
WINDOWS = 3  # a side


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured on one picture."""

    noise: Noise = field(default_factory=Noise)
    """Levels of 255; see `estimators.Noise`."""
    impulses: float = 0.0
    """Share of values that are single black or white ones, in [0, 1]."""
    holes: Holes = field(default_factory=Holes)
    """See `holes.Holes`; ``holes.mask`` is ``(H, W)`` or None."""
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

    @property
    def quality(self) -> int | None:
        """Of JPEG, 1..100: the lower of the file's and that in the pixels; None without JPEG."""
        known = [q for q in (self.file_quality, self.grid.quality) if q is not None]
        return min(known, default=None)


def measure(image: np.ndarray, quantisation: Sequence[Sequence[int]] | None = None) -> Evidence:
    """Measure a picture, ``(H, W, 3)`` float32 in [0, 1].

    Holes and tones are those of the whole picture; the rest is measured on nine windows of 192 px
    where it is larger than these.

    Args:
        image: RGB, as a file's levels divided by 255; what lies between them is rounded.
        quantisation: the tables of the JPEG file that it was read from (``Photo.quantisation``).
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
    """``(n, h, w, ...)``: the whole picture, or nine windows spread over it."""
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


# ---- words ----

CLEAN = "clean"
CERTAIN = 0.95  # support from which a word is taken as measured
MEASURED = 0.6  # least probability of all measured words together
PRIOR = 0.02  # is added to the probability of a word that measurement favours


def supports(evidence: Evidence, word: str) -> float | None:
    """How far measurement supports a word: 1 measured, 0.5 undecided, 0 excluded.

    None for words that cannot be measured, such as "rainy". The curves (ours) were laid through
    clean training photographs and their degraded copies, where a word is as frequent as its
    absence at 0.5.
    """
    measured = _MEASURED.get(word)
    return None if measured is None else float(np.clip(measured(evidence), 0, 1))


def _noisy(found: Evidence) -> float:
    """Noise from sigma 2 on. What is not fine may be texture; what is not there is not noise."""
    if found.impulses > 0.003 and found.noise.fine > 2:
        return 1.0
    noise = found.noise
    most = np.interp(noise.sigma, (0.6, 1.2, 2.0), (0.0, 0.25, 1.0))
    white = np.interp(noise.lag, (0.15, 0.4), (0.15, 0.0))
    fine = np.interp(noise.fine, (0.2, 0.4, 0.8, 2, 4, 8), (0.2, 0.4, 0.5, 0.65, 0.75, 0.85))
    return float(min(most, fine + white))


def _jpeg(found: Evidence) -> float:
    """JPEG of quality 60 and below; above it, a file is as any file is."""
    seen = np.interp(found.grid.strength, (0.1, 0.3, 1.0, 2.0, 3.0), (0.2, 0.3, 0.5, 0.8, 0.95))
    if found.quality is None:
        return float(seen)
    return float(np.interp(found.quality, (45, 60, 70, 80), (1.0, 0.7, 0.3, 0.1)))


def _hazy(found: Evidence) -> float:
    """A raised black level almost everywhere, and little contrast."""
    black, _, half = found.veil
    contrast = found.tones[3] - found.tones[0]
    excluded = np.interp(half, (0.03, 0.08, 0.15), (0.0, 0.3, 1.0))
    raised = np.interp(black, (0.0, 0.08, 0.2), (0.25, 0.5, 0.75))
    flat = np.interp(contrast, (0.4, 0.6, 0.85), (0.1, 0.0, -0.2))
    return float(min(excluded, raised + flat))


def _low_light(found: Evidence) -> float:
    """A dark histogram without whites; where half of a picture is black, nothing is hidden."""
    _, half, bright, white = found.tones
    if half < 0.5 / 255:
        return 0.0
    most = np.interp(bright, (0.3, 0.45, 0.6, 0.8), (0.85, 0.7, 0.5, 0.0))
    return float(min(most, np.interp(white, (0.45, 0.6, 0.8, 0.97), (0.9, 0.7, 0.45, 0.1))))


def _uncompleted(found: Evidence) -> float:
    return 1.0 if found.holes.share else 0.0


_MEASURED = {
    "noisy": _noisy,
    "jpeg-compressed": _jpeg,
    "hazy": _hazy,
    "low-light": _low_light,
    "uncompleted": _uncompleted,
}
MEASURABLE = frozenset(_MEASURED)  # words of which `supports` has an opinion


def reweigh(probabilities: Mapping[str, float], evidence: Evidence) -> dict[str, float]:
    """A tower's probabilities corrected by what is measured, most probable first, of sum 1.

    A word's odds change by support / (1 - support); what a word loses goes to "clean" (to all,
    where there is no such word). Words that are measured for certain share at least ``MEASURED``;
    the picture is not clean then. An empty mapping stays empty.
    """
    if not probabilities:
        return {}
    weights, measured, lost = {}, [], 0.0
    for word, share in probabilities.items():
        support = supports(evidence, word)
        weights[word] = share
        if support is None:
            continue
        if support >= CERTAIN:
            measured.append(word)
        else:
            favoured = share + PRIOR if support > 0.5 else share
            weights[word] = favoured * support / (1 - support)
            lost += max(0.0, share - weights[word])
    if measured and CLEAN in weights:
        weights[CLEAN] = 0.0
    elif CLEAN in weights:
        weights[CLEAN] += lost
    result = _normalised(weights)
    if measured:
        result = _raised(result, measured)
    return dict(sorted(result.items(), key=lambda row: -row[1]))


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    if total <= 0:
        return {word: 1 / len(weights) for word in weights}
    return {word: weight / total for word, weight in weights.items()}


def _raised(shares: Mapping[str, float], measured: Sequence[str]) -> dict[str, float]:
    """Give each measured word its part of ``MEASURED`` or more, at the expense of the others."""
    least = MEASURED / len(measured)
    raised = {word: max(shares[word], least) for word in measured}
    others = {word: share for word, share in shares.items() if word not in raised}
    left = max(0.0, 1 - sum(raised.values()))
    scale = left / max(sum(others.values()), 1e-12)
    return _normalised({**raised, **{word: share * scale for word, share in others.items()}})
