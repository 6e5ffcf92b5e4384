"""Additive white Gaussian noise (``noisy``). Official DA-CLIP definition: sigma 50, clipped."""

import numpy as np

MAX_SIGMA = 50.0  # of 255, the official test strength; severity 0.5 is the common sigma 25


def noisy(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of standard deviation ``50 * severity`` (of 255) and clip.

    The official script also truncates to 8 bit; rounding is left to whoever stores the image.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + noise * np.float32(MAX_SIGMA * severity / 255), 0, 1)
