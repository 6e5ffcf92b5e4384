"""Degradations by their official words: one on an image, or several in the order in which light,
lens, sensor and file would cause them."""

from collections.abc import Sequence

import numpy as np

from pellucid.errors import UsageError

from .table import PHYSICAL_ORDER, TABLE
from .words import CLASSES, CLEAN


def degrade(
    image: np.ndarray, word: str, severity: float, rng: np.random.Generator | int
) -> np.ndarray:
    """Degrade `(H, W, 3)` float32 RGB in [0, 1]; the result has the same shape, type and range.

    Args:
        image: the clean picture, at least 16 px a side.
        word: one of `CLASSES`; `clean` returns the image as it is.
        severity: from 0, almost nothing, to 1, as bad as it gets.
        rng: source of all randomness, or a seed.

    Raises:
        ValueError: an unknown word, or a severity outside [0, 1].
        UsageError: an array of another type or shape.
    """
    shape, kind = getattr(image, "shape", ()), getattr(image, "dtype", type(image).__name__)
    if not isinstance(image, np.ndarray) or kind != np.float32 or shape[2:] != (3,):
        given = f"{kind} {shape}" if shape else kind
        raise UsageError(f"the image must be a float32 array (H, W, 3) in [0, 1], not {given}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity {severity} is outside [0, 1]")
    if word == CLEAN:
        return image
    if word not in TABLE:
        raise ValueError(f"unknown degradation '{word}'; known: {', '.join(CLASSES)}")
    made = TABLE[word].degrade(image, severity, np.random.default_rng(rng))
    return (made[0] if TABLE[word].maps else made).astype(np.float32, copy=False)


def chain(
    image: np.ndarray, steps: Sequence[tuple[str, float]], rng: np.random.Generator
) -> np.ndarray:
    """Apply `(word, severity)` steps one after the other, in the order given; see `degrade`."""
    for word, severity in steps:
        image = degrade(image, word, severity, rng)
    return image


def sample(
    rng: np.random.Generator,
    clean: float = 1 / 11,
    double: float = 0.15,
    words: Sequence[str] = PHYSICAL_ORDER,
) -> list[tuple[str, float]]:
    """Draw steps for one training sample: nothing, one degradation, or two in physical order.

    `clean` and `double` are probabilities. Severity is uniform in [0.02, 1] for one
    degradation, so light damage is as frequent as heavy, and in [0.02, 0.7] for each of two. Words
    are drawn with equal chances.
    """
    kind = rng.random()
    if kind < clean:
        return []
    if kind < clean + double and len(words) > 1:
        pair = rng.choice(len(words), 2, replace=False)
        chosen = sorted((words[int(i)] for i in pair), key=PHYSICAL_ORDER.index)
        return [(word, float(rng.uniform(0.02, 0.7))) for word in chosen]
    return [(words[int(rng.integers(len(words)))], float(rng.uniform(0.02, 1.0)))]


def weather(
    image: np.ndarray, steps: Sequence[tuple[str, float]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Apply `(word, severity)` steps of `WEATHER` as `chain` does; also say where they are.

    The map `(H, W)` in [0, 1] is the share of the light that the weather put in the scene's place
    (z of snow, M of drops, 1 - t of haze) or, for streaks, added to it; of several steps what none
    of them left alone.
    """
    alone = np.ones(image.shape[:2], np.float32)
    for word, severity in steps:
        image, where = TABLE[word].degrade(image, severity, rng)
        alone *= 1 - where
    return image.astype(np.float32, copy=False), 1 - alone
