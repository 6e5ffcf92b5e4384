"""Rain streaks (``rainy``): thresholded noise drawn out by motion, added to the scene.

The streak layers follow the published generator of Outdoor-Rain (HeavyRainRemoval, datagen),
without its veil: sums of one to three layers of nearly one direction, as Rain100L/H have them.
"""

import numpy as np
from PIL import Image

from .fields import convolve

LAYERS = 3


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
        length, turned = length_of_streaks(rng), angle + rng.uniform(-8, 8)
        layer += np.float32(weight) * rain_layer(rng, h, w, length, turned, dry_outside=False)
    # The mean is the even grey of thousands of far drops; single streaks stand out above it.
    layer = np.float32(2.4 * severity) * np.maximum(layer - 0.6 * layer.mean(), 0)
    return np.clip(image + layer[..., None], 0, 1), np.minimum(layer, 1)


def length_of_streaks(rng: np.random.Generator) -> int:
    """Draw the published 21 to 60 px."""
    return int(rng.integers(1, 41)) + 20


def rain_layer(
    rng: np.random.Generator, h: int, w: int, length: int, angle: float, dry_outside: bool = True
) -> np.ndarray:
    """Streaks ``(h, w)`` >= 0: thresholded noise, enlarged, drawn out over ``length`` px.

    ``dry_outside``: nothing comes in over the border, as published; or the border is a mirror, so
    that small windows have as much rain as large pictures.
    """
    mean = -4 * (0.2 + 0.05 * rng.random())
    variance = 0.7 + 0.3 * rng.random()
    scale = 1.01 + 0.2 * rng.random()
    noise = np.clip(mean + np.sqrt(variance) * rng.standard_normal((h, w)), 0, 1)
    tall, wide = int(np.ceil(h * scale)), int(np.ceil(w * scale))
    drops = Image.fromarray(noise.astype(np.float32)).resize((wide, tall), Image.Resampling.BICUBIC)
    top, left = rng.integers(tall - h + 1), rng.integers(wide - w + 1)
    drops = np.asarray(drops)[top : top + h, left : left + w]
    kernel = motion_filter(length, angle)
    reach = kernel.shape[0] // 2, kernel.shape[1] // 2
    if dry_outside:
        drops = np.pad(drops, [(n, n) for n in reach])
        drawn = convolve(drops, kernel)[reach[0] : reach[0] + h, reach[1] : reach[1] + w]
    else:
        drawn = convolve(drops, kernel)
    gain = 0.05 * rng.random() + 0.04 * length + 0.2
    return np.float32(gain) * np.maximum(drawn, 0)


def motion_filter(length: float, angle: float) -> np.ndarray:
    """MATLAB's motion kernel: 1 - the distance to a line of ``length`` - 1 px, at least 0, sum 1.

    ``angle`` is in degrees, anticlockwise from the horizontal.
    """
    half = (max(length, 1) - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rx, ry = (int(half * abs(part) + 1 - 1e-6) for part in (cos, sin))  # where it is above 0
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    along, across = x * cos - y * sin, x * sin + y * cos  # y counts downwards
    beyond = np.maximum(np.abs(along) - half, 0)
    kernel = np.maximum(1 - np.hypot(across, beyond), 0)
    return (kernel / kernel.sum()).astype(np.float32)
