"""Under-exposure (``low-light``): fewer photons in linear light, shot and read noise, the display
gamma."""

import numpy as np

from .fields import GAMMA

MAX_STOPS = 6.0


def low_light(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Expose ``6 * severity`` stops less, with noise of variance ``a x + b`` in linear light."""
    stops = MAX_STOPS * severity * rng.uniform(0.85, 1.0)
    shot = 10 ** rng.uniform(-4.5, -3.5)  # noise variance per unit of linear signal
    read = 10 ** rng.uniform(-3.6, -2.8)  # standard deviation in linear units
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    exposed = image**GAMMA * 2.0**-stops
    # An image taken in good light shows no noise at this scale, so noise comes in with the missing
    # stops.
    amount = min(1.0, stops)
    exposed = exposed + amount * np.sqrt(shot * exposed + read**2 * 0.1) * noise
    return (np.clip(exposed, 0, 1) ** (1 / GAMMA)).astype(np.float32)
