"""Several degradations on one image, in the order in which light, lens, sensor and file would cause
them."""

from collections.abc import Sequence

import numpy as np

CLEAN = "clean"
# scene -> air -> lens -> exposure -> sensor -> file -> damage to the picture
PHYSICAL_ORDER: tuple[str, ...] = (
    "shadowed",
    "hazy",
    "rainy",
    "snowy",
    "raindrop",
    "motion-blurry",
    "low-light",
    "noisy",
    "jpeg-compressed",
    "uncompleted",
)


def chain(
    image: np.ndarray, steps: Sequence[tuple[str, float]], rng: np.random.Generator
) -> np.ndarray:
    """Apply ``(word, severity)`` steps one after the other, in the order given."""
    from . import degrade

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

    ``clean`` and ``double`` are probabilities. Severity is uniform in [0.02, 1] for one
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
