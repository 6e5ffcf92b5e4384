"""What measurement says of the words of degradations.

found = measure(photo.pixels, photo.quantisation)   # imaging.evidence
supports(found, "noisy")          # 1 measured, 0 excluded, None: cannot be measured
reweigh(probabilities, found)     # a tower's probabilities, corrected by what is measured
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pellucid.degradations import CLEAN
from pellucid.imaging.evidence import Evidence

CERTAIN = 0.95  # support from which a word is taken as measured
MEASURED = 0.6  # least probability of all measured words together
PRIOR = 0.02  # is added to the probability of a word that measurement favours
# Of a camera's noise (ours): correlation of the colours; sigma in levels of 255, below which it
# does no harm and above which it may be coloured texture.
APART = (-0.2, 0.68)
GRAIN = (1.8, 10.0)
# Of fine grain, as of film (ours): sigma of the highest frequencies in levels of 255, at least;
# correlation of neighbours and kurtosis, at most. Fine texture, as of asphalt, is coarser and less
# even.
FINE = 2.5
NEARLY_WHITE = 0.31
EVEN = 5.0


def supports(evidence: Evidence, word: str) -> float | None:
    """How far measurement supports a word: 1 measured, 0.5 undecided, 0 excluded.

    None for words that cannot be measured, such as "rainy", and for a shadow that was not found: it
    may be soft. The curves (ours) were laid through
    clean training photographs and their degraded copies, where a word is as frequent as its
    absence at 0.5.
    """
    curve = _CURVES.get(word)
    support = None if curve is None else curve(evidence)
    return None if support is None else float(np.clip(support, 0, 1))


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
    """A raised black level almost everywhere, and little contrast. A drawing may just be pale."""
    if found.drawing:
        return 0.0
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


def _shadowed(found: Evidence) -> float | None:
    return None if found.shadow is None else 1.0


_CURVES: dict[str, Callable[[Evidence], float | None]] = {
    "noisy": _noisy,
    "jpeg-compressed": _jpeg,
    "hazy": _hazy,
    "low-light": _low_light,
    "uncompleted": _uncompleted,
    "shadowed": _shadowed,
}
MEASURABLE = frozenset(_CURVES) - {"shadowed"}  # words that `supports` may exclude


def camera_noise(found: Evidence) -> bool:
    """Whether there is coarse noise whose colours hardly depend on each other.

    At the edges and in the texture of a scene colours change together, or against each other. What
    a camera's own processing leaves of its noise is too coarse to be told from texture by its
    frequencies, but it is mostly independent in red, green and blue.
    """
    noise = found.noise
    return APART[0] < noise.common < APART[1] and GRAIN[0] < noise.sigma < GRAIN[1]


def grain(found: Evidence) -> bool:
    """Whether what is finest in a picture is like noise: strong, nearly white and Gaussian."""
    noise = found.noise
    return noise.fine >= FINE and noise.lag <= NEARLY_WHITE and noise.tails <= EVEN


def reweigh(probabilities: Mapping[str, float], evidence: Evidence) -> dict[str, float]:
    """A tower's probabilities corrected by what is measured, most probable first, of sum 1.

    A word's odds change by support / (1 - support); what a word loses goes to "clean" (to all,
    where there is no such word). Words that are measured for certain share at least `MEASURED`;
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
        result = raised(result, measured)
    return dict(sorted(result.items(), key=lambda row: -row[1]))


def _normalised(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    if total <= 0:
        return {word: 1 / len(weights) for word in weights}
    return {word: weight / total for word, weight in weights.items()}


def raised(shares: Mapping[str, float], measured: Sequence[str]) -> dict[str, float]:
    """Give each measured word its part of `MEASURED` or more, at the expense of the others."""
    least = MEASURED / len(measured)
    raised = {word: max(shares[word], least) for word in measured}
    others = {word: share for word, share in shares.items() if word not in raised}
    left = max(0.0, 1 - sum(raised.values()))
    scale = left / max(sum(others.values()), 1e-12)
    return _normalised({**raised, **{word: share * scale for word, share in others.items()}})
