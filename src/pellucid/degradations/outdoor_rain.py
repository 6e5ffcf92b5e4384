"""Heavy rain as in the data set Outdoor-Rain: streaks under a veil that grows with distance.

Formulas and ranges are those of the published generator (Li et al., CVPR 2019, HeavyRainRemoval,
datagen; written anew from them). Unlike `rain.rainy`, whose strength is a severity, this makes the
pictures of a benchmark. `rain100` is ours: the same streaks without veil and blur, in numbers and
directions like those of Rain100L and Rain100H, whose generator is not published. A picture made
here is not one of those data sets; numbers on it must say so.
"""

from typing import Literal, NamedTuple

import numpy as np

from .fields import convolve, gaussian_kernel
from .haze import depth
from .rain import length_of_streaks, rain_layer

ANGLES = (80, 85, 90, 95, 100)  # of the streaks, degrees; 90 = straight down
NEAREST = 1 / 11  # distance where the inverse depth is 1, in units of the farthest
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
    """Draw heavy rain over `(H, W, 3)` float32 RGB in [0, 1]; the sharp picture is the truth.

    The published pictures have 720 x 480 px, and lengths are in px. With `inverse_depth`,
    `(H, W)` in [0, 1], 1 = near, the veil is the published one. Without, `haze.depth`
    stands for it, stretched over the published range (ours).
    """
    h, w = image.shape[:2]
    blurred = blur(image, min(1.0, abs(rng.normal(0.5, 0.5))))
    streaks = rain_layer(rng, h, w, length_of_streaks(rng), float(rng.choice(ANGLES)))
    rainy = np.minimum(blurred + streaks[..., None], 1)
    (low_beta, more_beta), (low_light, more_light) = VEIL[split]
    beta = low_beta + more_beta * rng.random()
    airlight = float(low_light + more_light * rng.random())
    d = recession(rng, h, w) if inverse_depth is None else distance(inverse_depth)
    t = np.exp(-beta * d).astype(np.float32)
    hazy = rainy * t[..., None] + (1 - t[..., None]) * np.float32(airlight)
    return HeavyRain(np.clip(hazy, 0, 1).astype(np.float32), streaks, t, airlight)


def rain100(image: np.ndarray, rng: np.random.Generator, heavy: bool = False) -> np.ndarray:
    """Streaks without a veil: one direction of faint ones, or `heavy`, two to five directions.

    Their brightness is such that photographs end about as far from the truth as those of Rain100L
    and Rain100H are commonly said to be, 27 and 13 dB.

    Maps `(H, W, 3)` float32 RGB in [0, 1] to the same.
    """
    h, w = image.shape[:2]
    if heavy:
        layers = [
            rain_layer(rng, h, w, length_of_streaks(rng), rng.uniform(60, 120))
            for _ in range(rng.integers(2, 6))
        ]
        streaks = np.float32(0.4) * np.sum(layers, axis=0)
    else:
        length = int(rng.integers(15, 31))
        streaks = np.float32(0.5) * rain_layer(rng, h, w, length, rng.uniform(70, 110))
    return np.clip(image + streaks[..., None], 0, 1)


def distance(inverse_depth: np.ndarray) -> np.ndarray:
    """The generator's distance `(H, W)` in (0, 1] from inverse depth in [0, 1]."""
    d = 1 / (inverse_depth.astype(np.float32) + 0.1)
    return blur(d / d.max(), 5.0)


def recession(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A stated substitute for the distance, `(h, w)`, from NEAREST to 1."""
    d = depth(rng, h, w)
    return NEAREST + (1 - NEAREST) * (d - d.min()) / max(np.ptp(d), 1e-6)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur; a sigma near 0 leaves the image as it is."""
    return convolve(image, gaussian_kernel(sigma))
