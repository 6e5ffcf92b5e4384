"""Haze (``hazy``): the atmospheric scattering model, I = J t + A (1 - t), t = exp(-beta d)."""

import numpy as np

from .fields import smooth_field

MAX_BETA = 3.0


def depth(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A stated substitute for a depth map, ``(h, w)`` in (0, 1]: a tilted plane times smooth
    relief.

    Photographs carry no depth here; a ramp that recedes towards the top with 40 % relief stands for
    it.
    """
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    tilt = rng.uniform(-0.3, 0.3)
    near = rng.uniform(0.2, 0.9)  # distance at the bottom of the frame
    ramp = 1 - y / max(h - 1, 1) + tilt * (x / max(w - 1, 1) - 0.5)
    ramp = near + (1 - near) * np.clip(ramp, 0, 1)
    relief = smooth_field(rng, h, w, 4)
    return np.clip(ramp * (1 - 0.4 * relief), 0.05, 1)


def hazy(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Veil of airlight A in [0.7, 1] (slightly tinted) with beta = 3 * severity (1.5 at medium, in
    RESIDE's range).

    Also returns 1 - t, ``(H, W)`` in [0, 1].
    """
    h, w = image.shape[:2]
    airlight = rng.uniform(0.7, 1.0) + rng.uniform(-0.04, 0.04, 3)
    airlight = np.clip(airlight, 0, 1).astype(np.float32)
    d = depth(rng, h, w)
    t = np.exp(-MAX_BETA * severity * d)[..., None].astype(np.float32)
    return np.clip(image * t + airlight * (1 - t), 0, 1), 1 - t[..., 0]


def reside(
    image: np.ndarray, depth: np.ndarray, rng: np.random.Generator, outdoor: bool = False
) -> np.ndarray:
    """Haze as in RESIDE, over a depth map ``(H, W)``; ``(H, W, 3)`` in [0, 1] to the same.

    Airlight is grey. Indoors depth is in metres, A in [0.7, 1], beta in [0.6, 1.8]; outdoors both
    are drawn from RESIDE's lists (5 x 7 = 35 pictures a scene) for the depth of its OTS. The ranges
    are those commonly cited for RESIDE, not checked against its own text.
    """
    if outdoor:
        airlight = rng.choice((0.8, 0.85, 0.9, 0.95, 1.0))
        beta = rng.choice((0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.2))
    else:
        airlight, beta = rng.uniform(0.7, 1.0), rng.uniform(0.6, 1.8)
    t = np.exp(-beta * depth)[..., None].astype(np.float32)
    return np.clip(image * t + np.float32(airlight) * (1 - t), 0, 1)
