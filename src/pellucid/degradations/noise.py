"""Noise (`noisy`). Official DA-CLIP definition: Gaussian, sigma 50, clipped.

`FORMS` are noise after other models; each draws its own strength.
"""

import numpy as np

from .fields import log_uniform, luma, size, soften
from .jpeg import compress
from .raw import Camera, noise_levels, sensor_noise

MAX_SIGMA = 50.0  # of 255, the official test strength; severity 0.5 is the common sigma 25


def noisy(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of standard deviation `50 * severity` (of 255) and clip.

    The official script also truncates to 8 bit; rounding is left to whoever stores the image.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return np.clip(image + noise * np.float32(MAX_SIGMA * severity / 255), 0, 1)


def field(
    rng: np.random.Generator, h: int, w: int, channels: int = 3, softness: float = 0
) -> np.ndarray:
    """Noise `(h, w, channels)` of variance 1, correlated over `softness` px (sigma)."""
    noise = rng.standard_normal((h, w, channels), dtype=np.float32)
    if softness:
        noise = soften(noise, softness)
        noise /= max(float(noise.std()), 1e-6)
    return noise


def sigma(rng: np.random.Generator, least: float = 2, most: float = 75) -> np.float32:
    """A standard deviation of `least` to `most` levels of 255, uniform in its square root."""
    return np.float32(rng.uniform(least**0.5, most**0.5) ** 2 / 255)


def _added(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return np.clip(image + noise, 0, 1).astype(np.float32, copy=False)


def gaussian(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise, independent in the colours, sigma 2 to 75 (DnCNN, PromptIR)."""
    return _added(image, sigma(rng) * field(rng, *size(image)))


def gaussian_grey(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """White Gaussian noise, the same in the three colours, as on a grey picture."""
    return _added(image, sigma(rng) * field(rng, *size(image), 1))


def shot(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Poisson noise of the sRGB values (ImageNet-C: 60 to 3 photons at white; here from 3000)."""
    photons = log_uniform(rng, 3, 3000)
    return _added(np.zeros_like(image), (rng.poisson(image * photons) / photons).astype(np.float32))


def impulse(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black and white values, or any values, at 0.3 to 40 % of the places (ImageNet-C: 3 to 27 %).

    Places are drawn for each colour, or for all of them.
    """
    h, w = image.shape[:2]
    channels = 3 if rng.random() < 0.6 else 1
    hit = rng.random((h, w, channels), dtype=np.float32) < log_uniform(rng, 0.003, 0.4)
    value = rng.random((h, w, channels), dtype=np.float32)
    if rng.random() < 0.7:
        value = (value < rng.choice((0.5, 0.5, 0.0, 1.0))).astype(np.float32)
    return np.where(hit, value, image)


def speckle(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise that multiplies the values, 0.02 to 0.6 (ImageNet-C: 0.15 to 0.6)."""
    channels = 3 if rng.random() < 0.7 else 1
    noise = np.float32(log_uniform(rng, 0.02, 0.6)) * field(rng, *size(image), channels)
    return _added(image, image * noise)


def raw(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shot and read noise in raw, mosaicked, then a simple ISP (Brooks et al. 2019)."""
    camera = Camera.draw(rng)
    values = camera.unprocess(image)
    levels = noise_levels(rng, 0.0001, 0.012)
    return camera.process(values + sensor_noise(values, *levels, rng, rng.random() < 0.8))


def correlated(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise blurred over 0.4 to 2 px, in part common to the colours, sigma 2 to 40
    (coarse noise less)."""
    softness = log_uniform(rng, 0.4, 2.0)
    noise = field(rng, *size(image), 4, softness)
    common = rng.uniform(0, 1)
    mixed = common * noise[..., 3:] + (1 - common**2) ** 0.5 * noise[..., :3]
    return _added(image, sigma(rng, 2, 40 / max(softness, 1)) * mixed.astype(np.float32))


def chroma(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour blotches of 0.5 to 4 px over fine grey grain, as of telephones in the dark."""
    h, w = image.shape[:2]
    colour = field(rng, h, w, 3, log_uniform(rng, 0.5, 4.0))
    colour -= luma(colour)
    grey = field(rng, h, w, 1, rng.choice((0, 0.5)))
    strength = sigma(rng, 2, 40)
    return _added(image, strength * (colour + np.float32(rng.uniform(0, 0.7)) * grey))


def camera_file(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a camera's own denoiser leaves of raw noise, sigma 1.5 to 14, then JPEG 75 to 98.

    After the noise of real camera files (Nam et al., CVPR 2016, "CC"): it grows with the signal's
    darkness through the tone curve, is correlated over pixels, and colour noise is coarser than
    grey noise. The denoiser is ours: it lets a blurred part of the noise through.
    """
    camera = Camera.draw(rng)
    values = camera.unprocess(image)
    noise = sensor_noise(values, *noise_levels(rng, 0.0003, 0.006), rng)
    noise = camera.process(values + noise) - image
    grey = luma(noise)
    fine, coarse = log_uniform(rng, 0.3, 1.2), log_uniform(rng, 0.5, 4.0)
    noise = soften(grey, fine) + np.float32(rng.uniform(0.3, 1.5)) * soften(noise - grey, coarse)
    noise *= np.float32(log_uniform(rng, 1.5, 14) / 255) / max(float(noise.std()), 1e-6)
    made = _added(image, noise)
    return compress(made, int(rng.integers(75, 99)), rng=rng) if rng.random() < 0.8 else made


FORMS = (
    gaussian,
    gaussian,
    gaussian_grey,
    gaussian_grey,
    shot,
    impulse,
    speckle,
    raw,
    raw,
    correlated,
    chroma,
    camera_file,
    camera_file,
    camera_file,
)  # those named more often are drawn more often
