"""Decide by measurement whether a restoration is kept, softened or refused (ours).

    verdict = judge(image, restored, measure(image), words=guidance.words)
    verdict.picture, verdict.decision, verdict.reason

Each kind of damage can only be undone in its own way: noise, JPEG and blur change no colour of a
whole region; low light is undone by brightening a dark picture, haze by darkening a veiled one; a
hole is filled where a hole was measured, and nothing else is touched. A change that is none of
these is not a restoration. Words that cannot be measured (rain, snow, drops, soft shadows) are
believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pellucid.degradations import CLEAN
from pellucid.imaging.evidence import Evidence
from pellucid.imaging.photo import LUMA
from pellucid.support import supports

Decision = Literal["kept", "softened", "refused"]

BLOCK = 16  # px; the mean of a block stands for its region
FINE = ("noisy", "jpeg-compressed", "motion-blurry")  # damage that leaves regions their colours
# What undoes these words adds light (1) or takes it away (-1).
SIGN = {"low-light": 1, "shadowed": 1, "rainy": -1, "snowy": -1}
LEAST = 0.35  # support below which a word that can be measured explains nothing
POSSIBLE = 0.2  # probability from which a word that was not found still explains a change
MATTERS = 2.5  # levels of 255; a smaller change of regions harms nobody
ALLOWED = 5.0  # rms change of regions for damage of FINE, levels
CLIPPED = 0.4  # mean of what a file cuts off noise of sigma 1 at black or white: 1 / sqrt(2 pi)
HIDES = 2.0  # noise, in levels, under which a grid of blocks cannot be seen
BLACK = 0.5 / 255  # median of luma where half of a picture is black: stars, fireworks
UNNAMED = 0.5  # strength of a restoration where no damage was found for certain
# Largest rms changes, in levels, where no damage was found: of details, as larger damage is found,
# and of the colours of regions.
LITTLE = 2.0
EVEN = 1.0
SOFTEST = 0.35  # a restoration that would be softened further is refused


@dataclass(frozen=True, eq=False)
class Verdict:
    """What becomes of a restoration.

    `picture` is float32 `(H, W, 3)`: `image + strength * (restored - image)`, with the known
    pixels of a picture with holes as they were. `strength` is 1 if it is kept, 0 if refused.
    `reason` is one plain sentence.
    """

    picture: np.ndarray
    decision: Decision
    strength: float
    reason: str


@dataclass(frozen=True)
class Change:
    """How a restoration changes a picture; levels of 255.

    `regions` is the rms of the change of blocks' mean colours, `details` that within blocks,
    `light` the mean change of luma. At least three quarters of the blocks become brighter by
    `lift` or more (0: they do not).
    """

    regions: float
    details: float
    light: float
    lift: float


def change_of(image: np.ndarray, restored: np.ndarray) -> Change:
    """Measure the change between two pictures `(H, W, 3)` in [0, 1]."""
    size = min(BLOCK, *image.shape[:2])
    rows, columns = image.shape[0] // size, image.shape[1] // size
    means, power = np.empty((rows, columns, 3), np.float32), 0.0
    for row in range(rows):  # little memory beside the pictures
        strip = slice(row * size, (row + 1) * size), slice(columns * size)
        difference = (restored[strip] - image[strip]).reshape(size, columns, size, 3)
        means[row] = difference.mean(axis=(0, 2)) * 255
        power += float(np.square(difference).mean(dtype=np.float64)) * 255**2 / rows
    regions = float(np.square(means).mean(dtype=np.float64))
    luma = means @ LUMA
    lift = max(0.0, float(np.percentile(luma, 25)))
    return Change(regions**0.5, max(0.0, power - regions) ** 0.5, float(luma.mean()), lift)


def judge(
    image: np.ndarray,
    restored: np.ndarray,
    before: Evidence,
    after: Evidence | None = None,
    words: Sequence[str] = (),
    probabilities: Mapping[str, float] | None = None,
    told: bool = False,
    unguided: bool = False,
    quality: tuple[Mapping[str, float], Mapping[str, float]] | None = None,
) -> Verdict:
    """Keep, soften or refuse a restoration.

    Args:
        image: float32 `(H, W, 3)` in [0, 1].
        restored: the same shape.
        before: what was measured on `image` (`imaging.evidence.measure`).
        after: the same of `restored`, for its noise and its grid; may be None.
        words: the damage that was found or told; none for a clean picture.
        probabilities: of all words, if there are such: what is not found, but possible, may
            explain a change.
        told: the words were given by a person, who knows better than any measurement: only known
            pixels, noise and quality are looked at.
        unguided: the network was told nothing, for nothing was found that it learned.
        quality: probabilities of "terrible", "mediocre" and "excellent" before and after, by a
            quality perceiver; may be None.
    """
    if image.shape != restored.shape:
        raise ValueError(f"{image.shape} was restored to {restored.shape}: shapes must be equal")
    mask = before.holes.mask
    if mask is not None and tuple(words) == ("uncompleted",):
        restored = np.where(mask[..., None], restored, image)
        reason = "Holes were measured; all other pixels are untouched."
        return Verdict(restored, "kept", 1.0, reason)
    strength, reason = 1.0, "The change is what the measured damage allows."
    for rule in (
        None if told else _unsupported(image, restored, before, words, probabilities or {}),
        _worse(before, after, words),
        _rated(quality),
        _unnamed(image, restored, before, words) if unguided else None,
    ):
        if rule is not None and rule[0] < strength:
            strength, reason = rule
    if strength >= 1:
        return Verdict(restored, "kept", 1.0, reason)
    if strength < SOFTEST:
        return Verdict(image, "refused", 0.0, reason)
    mixed = image + np.float32(strength) * (restored - image)
    return Verdict(mixed, "softened", strength, reason)


def _unnamed(
    image: np.ndarray, restored: np.ndarray, before: Evidence, words: Sequence[str]
) -> tuple[float, str]:
    """`(strength, reason)` where no damage was found, or none that the network learned."""
    found = "Nothing guided the network" if words else "No damage was found"
    if before.tones[1] < BLACK:
        return 0.0, f"{found}, and half of the picture is black."
    change = change_of(image, restored)
    allowed = 1 / max(change.details / LITTLE, change.regions / EVEN, 1e-6)
    if allowed < UNNAMED:
        return allowed, f"{found}, so a change as large as this is not made in full."
    return UNNAMED, f"{found}{'' if words else ' for certain'}, so half of the change is made."


def _unsupported(
    image: np.ndarray,
    restored: np.ndarray,
    before: Evidence,
    words: Sequence[str],
    probabilities: Mapping[str, float],
) -> tuple[float, str] | None:
    """`(strength, reason)` where a change is none that the words and the measurement allow."""
    if "uncompleted" in words and before.holes.mask is None:
        return 0.0, "A hole was filled, but the picture has no region of one even colour."
    change = change_of(image, restored)
    shift = _shift(image, before)
    if change.lift > MATTERS + shift and (supports(before, "low-light") or 0.0) < LEAST:
        return 0.0, "The whole picture was brightened, but it is not dark."
    possible = {*words, *(word for word, share in probabilities.items() if share >= POSSIBLE)}
    for word in possible - {CLEAN, *FINE}:
        support = supports(before, word)
        if (support is None or support >= LEAST) and SIGN.get(word, 0) * change.light >= 0:
            return None
    if change.regions <= ALLOWED + shift:
        return None
    return (
        (ALLOWED + shift) / change.regions,
        "Colours of whole regions change, and no damage was measured that explains it.",
    )


def _shift(image: np.ndarray, evidence: Evidence) -> float:
    """How far noise moved the mean colours of regions, in levels.

    A file cuts noise off at black and white, where up to half of the values are cut off; black and
    white impulses draw all means to grey.
    """
    cut = float(((image <= 0) | (image >= 1)).mean())
    clipped = CLIPPED * min(1.0, 2 * cut) ** 0.5 * evidence.noise.fine
    return clipped + 255 / 2 * evidence.impulses


def _worse(
    before: Evidence, after: Evidence | None, words: Sequence[str]
) -> tuple[float, str] | None:
    """`(strength, reason)` where the restoration adds noise or a grid."""
    if after is None or before.holes.mask is not None:
        return None
    brightened = "low-light" in words or "hazy" in words or "shadowed" in words
    noise = after.noise.fine - max(1.5, 1.5 * before.noise.fine)
    if noise > 0 and not brightened:
        return 1 / (1 + noise), "The restoration has more noise than the picture."
    grid = after.grid.strength - before.grid.strength
    if grid > 1 and not brightened and before.noise.fine < HIDES:
        return 1 / grid, "The restoration has a stronger grid of blocks than the picture."
    return None


def _rated(
    quality: tuple[Mapping[str, float], Mapping[str, float]] | None,
) -> tuple[float, str] | None:
    """`(strength, reason)` where a quality perceiver finds the restoration worse."""
    if quality is None:
        return None
    before, after = (row["excellent"] - row["terrible"] for row in quality)
    loss = before - after  # in [-2, 2]
    if loss <= 0.2:
        return None
    return max(0.0, 1 - loss), "The restoration looks worse than the picture."
