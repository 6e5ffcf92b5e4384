"""Weather as in public data sets, in their ranges instead of by severity.

Names are the sets'; a picture made here is not one of them, and numbers on it must say so. Where a
set needs depth, `depth` of `haze.py` stands for it (ours), so far away that hazy photographs are
about as bad as those of SOTS are commonly said to be: 12 dB from the truth indoors, 16 outdoors.
"""

from collections.abc import Callable

import numpy as np

from .haze import depth, reside
from .outdoor_rain import outdoor_rain, rain100
from .snow import snowy

Generator = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _snow(sizes: int) -> Generator:
    return lambda image, rng: snowy(image, rng.uniform(0.25, 0.75), rng, sizes)[0]


def snow_veil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flakes of all sizes behind the veil of heavy snow, I = K t + A (1 - t), K the snowy picture.

    The form of JSTASR (ECCV 2020); ranges are ours.
    """
    snow = snowy(image, rng.uniform(0.25, 0.75), rng)[0]
    t = np.exp(-rng.uniform(0.4, 1.2) * depth(rng, *image.shape[:2])).astype(np.float32)[..., None]
    return snow * t + np.float32(rng.uniform(0.7, 0.95)) * (1 - t)


def _reside(outdoor: bool, farthest: float) -> Generator:
    def make(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return reside(image, farthest * depth(rng, *image.shape[:2]), rng, outdoor)

    return make


PUBLIC_SETS: dict[str, Generator] = {
    "outdoor-rain": lambda image, rng: outdoor_rain(image, rng).image,
    "rain100l": rain100,
    "rain100h": lambda image, rng: rain100(image, rng, heavy=True),
    "snow100k-s": _snow(1),
    "snow100k-m": _snow(2),
    "snow100k-l": _snow(3),
    "snow-veil": snow_veil,
    "reside-indoor": _reside(False, 1.2),
    "reside-outdoor": _reside(True, 7.0),
}
"""`(H, W, 3)` float32 RGB in [0, 1] and a generator to the same, by name."""
