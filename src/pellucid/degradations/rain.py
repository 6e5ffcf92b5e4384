"""Rain streaks (``rainy``): thresholded noise drawn out by motion, added to the scene.

The streak layers follow the published generator of Outdoor-Rain (HeavyRainRemoval, datagen),
without its veil: sums of one to three layers of nearly one direction, as Rain100L/H have them.
"""

import numpy as np

from .fields import convolve, line_kernel

LAYERS = 3


def streaks(rng: np.random.Generator, h: int, w: int, angle: float) -> np.ndarray:
    """One layer ``(h, w)`` >= 0: clip(m + sqrt(v) n, 0, 1) filtered by a motion of 20 to 60 px."""
    mean = -4 * (0.2 + 0.05 * rng.random())
    variance = 0.7 + 0.3 * rng.random()
    length = int(rng.integers(1, 41)) + 20
    gain = 0.05 * rng.random() + 0.04 * length + 0.2
    scale = 1.01 + 0.4 * rng.random()  # thickness: the noise is generated small and enlarged
    noise = rng.standard_normal((int(np.ceil(h / scale)) + 1, int(np.ceil(w / scale)) + 1))
    drops = np.clip(mean + np.sqrt(variance) * noise, 0, 1).astype(np.float32)
    rows = np.minimum((np.arange(h) / scale).astype(int), drops.shape[0] - 1)
    columns = np.minimum((np.arange(w) / scale).astype(int), drops.shape[1] - 1)
    return np.maximum(convolve(drops[np.ix_(rows, columns)], line_kernel(length, angle)), 0) * gain


def rainy(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add streaks of up to three layers; their brightness grows with ``severity``.

    Also returns the light added, ``(H, W)`` cut to [0, 1].
    """
    h, w = image.shape[:2]
    angle = rng.uniform(60, 120)
    weights = rng.dirichlet(np.ones(LAYERS))
    layer = np.zeros((h, w), np.float32)
    for weight in weights:
        layer += np.float32(weight) * streaks(rng, h, w, angle + rng.uniform(-8, 8))
    # The mean is the even grey of thousands of far drops; single streaks stand out above it.
    layer = np.float32(2.2 * severity) * np.maximum(layer - 0.6 * layer.mean(), 0)
    return np.clip(image + layer[..., None], 0, 1), np.minimum(layer, 1)
