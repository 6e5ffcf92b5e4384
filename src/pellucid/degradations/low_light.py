"""Under-exposure (`low-light`): fewer photons in linear light, shot and read noise, the display
gamma.

`FORMS` range from a flat and slightly dark camera default to night, with and without noise.
"""

import numpy as np

from .fields import GAMMA, levels, log_uniform, luma, smooth_field, smoothstep
from .raw import Camera, sensor_noise

MAX_STOPS = 6.0


def low_light(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Expose `6 * severity` stops less, with noise of variance `a x + b` in linear light."""
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


def _linear(image: np.ndarray) -> np.ndarray:
    return image ** np.float32(GAMMA)


def _shown(linear: np.ndarray) -> np.ndarray:
    return (np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)).astype(np.float32, copy=False)


def _cast(rng: np.random.Generator, most: float) -> np.ndarray:
    """Gains (3,) of mean 1: warmer or colder, with a little green or magenta."""
    warm, green = rng.uniform(-most, most), rng.uniform(-most, most) / 3
    gains = np.exp(np.array([warm, green, -warm]))
    return (gains / gains.mean()).astype(np.float32)


def _grainy(image: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> np.ndarray:
    """Noise of sRGB values, sigma 0.5 to 12 of 255, in a `share` of the cases.

    It grows with the root of the value; a third of it is common to the colours.
    """
    if rng.random() >= share:
        return image
    strength = np.float32(log_uniform(rng, 0.5, 12) / 255)
    noise = rng.standard_normal((*image.shape[:2], 4), dtype=np.float32)
    noise = 0.8 * noise[..., :3] + 0.6 * noise[..., 3:]
    return np.clip(image + strength * (0.4 + np.sqrt(image)) * noise, 0, 1)


def under_exposed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0.4 to 5 stops less light, in linear light, in half of the cases with a colour cast."""
    light = np.float32(2.0 ** -log_uniform(rng, 0.4, 5))
    cast = _cast(rng, 0.35) if rng.random() < 0.5 else np.float32(1)
    return _grainy(_shown(_linear(image) * light * cast), rng)


def gamma_curve(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """b (a x)^g with a in [0.9, 1], b in [0.5, 1], g in [1.2, 5] (AgLLNet, IJCV 2021: g from 1.5),
    with noise in half of the cases."""
    a, b, g = rng.uniform(0.9, 1), 1 - 0.5 * rng.random() ** 2, log_uniform(rng, 1.2, 5)
    return _grainy((np.float32(b) * (np.float32(a) * image) ** np.float32(g)), rng)


def dark_raw(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """1 to 6 stops less light in raw, with the sensor's noise, then a simple ISP that lifts a part.

    Unprocessing as in Brooks et al. 2019; noise as of high ISO, in a third of the cases with rows
    or columns that differ, and values in 12 bits (ELD, Wei et al., CVPR 2020).
    """
    camera = Camera.draw(rng)
    stops = rng.uniform(1, 6)
    raw = camera.unprocess(image) * np.float32(2.0**-stops)
    shot = log_uniform(rng, 1e-5, 2e-3)
    read = (0.3 * shot) ** 1.5
    raw = raw + sensor_noise(raw, shot, read, rng)
    if rng.random() < 1 / 3:
        band = (image.shape[0], 1, 1) if rng.random() < 0.7 else (1, image.shape[1], 1)
        strength = np.float32(rng.uniform(0.1, 0.7) * read**0.5)
        raw = raw + strength * rng.standard_normal(band, dtype=np.float32)
    lifted = np.float32(2.0 ** (stops * rng.uniform(0, 0.7)))
    return camera.process(np.round(raw * 4095) / 4095 * lifted)


def uneven(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light that differs over the picture: a vignette, one lit spot, one side, or patches."""
    h, w = image.shape[:2]
    kind = rng.integers(4)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x, y = x / max(w - 1, 1) - 0.5, y / max(h - 1, 1) - 0.5
    cx, cy = rng.uniform(-0.5, 0.5, 2).astype(np.float32)
    if kind == 0:
        share = 1 - (np.hypot(x - 0.3 * cx, y - 0.3 * cy) / 0.71) ** np.float32(rng.uniform(1, 4))
    elif kind == 1:
        share = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / np.float32(log_uniform(rng, 0.01, 0.5)))
    elif kind == 2:
        angle = rng.uniform(0, 2 * np.pi)
        along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
        share = smoothstep(0.5 + (along - cx / 2) / np.float32(rng.uniform(0.3, 1.5)))
    else:
        share = smooth_field(rng, h, w, log_uniform(rng, 1, 2.5))
    dark, bright = 2.0 ** -log_uniform(rng, 1, 6), 2.0 ** -rng.uniform(0, 0.8)
    light = np.float32(dark) + np.float32(bright - min(dark, bright)) * np.clip(share, 0, 1)
    return _grainy(_shown(_linear(image) * light[..., None] * _cast(rng, 0.15)), rng)


def flat(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slightly dark, flat, pale and tinted: a camera's default before it is retouched (MIT-5K)."""
    stops = rng.uniform(0.3, 2.2)
    x = _shown(_linear(image) * np.float32(2.0**-stops) * _cast(rng, 0.12))
    contrast = np.float32(rng.uniform(0.55, 1.0))
    pivot = np.float32(x.mean())
    x = pivot + contrast * (x - pivot)
    saturation = np.float32(rng.uniform(0.5, 1.05))
    grey = luma(x)
    return _grainy(np.clip(grey + saturation * (x - grey), 0, 1), rng, 0.25)


def night(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0.8 to 6 stops less, blue or yellow, paler where darker; what was brightest still shines."""
    linear = _linear(image)
    grey = luma(linear)
    pale = np.float32(rng.uniform(0, 0.6))
    linear = linear + pale * (1 - grey) * (grey - linear)
    dark = linear * np.float32(2.0 ** -log_uniform(rng, 0.8, 6)) * _cast(rng, 0.6)
    lamps = smoothstep((image.max(axis=-1, keepdims=True) - 0.85) / 0.15)
    lamps *= rng.uniform(0, 0.7) * (lamps.mean() < 0.15)  # a white wall is no lamp
    return _grainy(_shown(dark + lamps.astype(np.float32) * linear), rng, 0.7)


def dark_file(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As `under_exposed` by 2 to 5 stops, stored in 8 bits and lifted again by a part of it.

    What an editor leaves: noise and steps of the few levels, on a picture that is half as dark.
    """
    stops = rng.uniform(2, 5)
    dark = levels(_grainy(_shown(_linear(image) * np.float32(2.0**-stops)), rng))
    return _shown(_linear(dark) * np.float32(2.0 ** (stops * rng.uniform(0.2, 0.7))))


FORMS = (
    under_exposed,
    gamma_curve,
    dark_raw,
    uneven,
    flat,
    flat,
    night,
    dark_file,
)
