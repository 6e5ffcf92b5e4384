"""Heavy rain as in the data set Outdoor-Rain: streaks under a veil that grows with distance.

Formulas and ranges are those of the published generator (Li et al., CVPR 2019, HeavyRainRemoval,
datagen; written anew from them). Unlike ``rain.py``, whose strength is a severity and whose streaks
stand alone, this makes the pictures of a benchmark. `rain100` is ours: the same streaks without
veil and blur, in numbers and directions like those of Rain100L and Rain100H, whose generator is not
published. A picture made here is not one of those data sets; numbers on it must say so.
"""

from typing import Literal, NamedTuple

import numpy as np
from PIL import Image

from .fields import convolve, gaussian_kernel, smooth_field

ANGLES = (80, 85, 90, 95, 100)  # of the streaks, degrees; 90 = straight down
# beta and airlight: lowest value, extent. "val" is what the published file runs; those of the
# training set stand in it, too, but are overwritten.
VEIL = {"train": ((3.0, 1.2), (0.3, 0.6)), "val": ((2.6, 2.0), (0.25, 0.7))}


class HeavyRain(NamedTuple):
    """A picture in heavy rain, and what was done to it: image = rainy t + (1 - t) airlight."""

    image: np.ndarray  # (H, W, 3) float32 in [0, 1]
    streaks: np.ndarray  # (H, W) >= 0, what the rain added to the light before it was clipped at 1
    transmission: np.ndarray  # (H, W) in (0, 1], t
    airlight: float


def outdoor_rain(
    image: np.ndarray,
    rng: np.random.Generator,
    inverse_depth: np.ndarray | None = None,
    split: Literal["train", "val"] = "train",
) -> HeavyRain:
    """Draw heavy rain over ``(H, W, 3)`` float32 RGB in [0, 1]; the sharp picture is the truth.

    The published pictures have 720 x 480 px, and lengths are in px. With ``inverse_depth``,
    ``(H, W)`` in [0, 1], 1 = near, the veil is the published one. Without, a ramp that recedes
    towards the top, with 30 % relief, stands for the depth (ours).
    """
    h, w = image.shape[:2]
    blurred = blur(image, min(1.0, abs(rng.normal(0.5, 0.5))))
    streaks = rain_layer(rng, h, w, int(rng.integers(1, 41)) + 20, float(rng.choice(ANGLES)))
    rainy = np.minimum(blurred + streaks[..., None], 1)
    (low_beta, more_beta), (low_light, more_light) = VEIL[split]
    beta = low_beta + more_beta * rng.random()
    airlight = float(low_light + more_light * rng.random())
    d = ramp(rng, h, w) if inverse_depth is None else distance(inverse_depth)
    t = np.exp(-beta * d).astype(np.float32)
    hazy = rainy * t[..., None] + (1 - t[..., None]) * np.float32(airlight)
    return HeavyRain(np.clip(hazy, 0, 1).astype(np.float32), streaks, t, airlight)


def rain100(image: np.ndarray, rng: np.random.Generator, heavy: bool = False) -> np.ndarray:
    """Streaks without a veil: one direction of faint ones, or ``heavy``, two to five directions.

    Maps ``(H, W, 3)`` float32 RGB in [0, 1] to the same.
    """
    h, w = image.shape[:2]
    if heavy:
        layers = [
            rain_layer(rng, h, w, int(rng.integers(1, 41)) + 20, rng.uniform(60, 120))
            for _ in range(rng.integers(2, 6))
        ]
        streaks = np.sum(layers, axis=0)
    else:
        length = int(rng.integers(15, 31))
        streaks = np.float32(0.4) * rain_layer(rng, h, w, length, rng.uniform(70, 110))
    return np.clip(image + streaks[..., None], 0, 1)


def rain_layer(rng: np.random.Generator, h: int, w: int, length: int, angle: float) -> np.ndarray:
    """Streaks ``(h, w)`` >= 0: thresholded noise, enlarged, drawn out over ``length`` px."""
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
    outside_is_dry = np.pad(drops, [(n, n) for n in reach])
    drawn = convolve(outside_is_dry, kernel)[reach[0] : reach[0] + h, reach[1] : reach[1] + w]
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


def distance(inverse_depth: np.ndarray) -> np.ndarray:
    """The generator's distance ``(H, W)`` in (0, 1] from inverse depth in [0, 1]."""
    d = 1 / (inverse_depth.astype(np.float32) + 0.1)
    return blur(d / d.max(), 5.0)


def ramp(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A stated substitute for the distance, ``(h, w)`` in (0, 1]."""
    y = np.arange(h, dtype=np.float32)[:, None]
    d = (1 - y / h) * (1 + 0.3 * smooth_field(rng, h, w, 4))
    return d / d.max()


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; a sigma near 0 leaves the image as it is."""
    return convolve(image, gaussian_kernel(sigma))
