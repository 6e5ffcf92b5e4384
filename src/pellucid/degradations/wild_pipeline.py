"""The second-order pipeline of wild DA-CLIP (arXiv 2404.09732; official code `random_degrade`,
after BSRGAN/Real-ESRGAN).

Three rounds in random order each: {blur, resize, noise, jpeg}, {blur, noise}, {blur, resize back,
jpeg}. Probabilities and ranges are the official code's. Different from it: measured point-spread
functions (its `psf.pkl`, `ucdpsf.pkl`) are not published with a licence, so random smooth ones
stand in for them, and nothing leaves [0, 1].
"""

import numpy as np
from PIL import Image

from .fields import convolve, line_kernel, resize, smooth_field
from .jpeg import compress

# the words that the official code gives to the text encoder
TEXTS = ("blur", "ringing artifact", "noise", "jpeg block")

_FILTERS = (Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.BILINEAR)
_KERNELS = {
    "iso": 0.35,
    "aniso": 0.2,
    "generalised iso": 0.1,
    "generalised aniso": 0.03,
    "plateau iso": 0.1,
    "plateau aniso": 0.03,
    "defocus": 0.1,
    "box": 0.03,
    "line": 0.03,
    "psf": 0.03,
}


def wild(image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, tuple[str, ...]]:
    """Damage a picture as the training of wild DA-CLIP does.

    Args:
        image: `(H, W, 3)` float32 sRGB in [0, 1].
        rng: source of all randomness.

    Returns:
        The picture, on the 256 levels of a file, and what was done to it, of "blur",
            "ringing artifact", "noise" and "jpeg block".
    """
    h, w = image.shape[:2]
    found: set[str] = set()
    resized = rng.random() < 0.8

    def blur(x: np.ndarray, p: float, radius: int, sinc: float, sigma: tuple[float, float]):
        if rng.random() < p:
            return _random_blur(x, rng, radius, sinc, sigma, found)
        if rng.random() < 0.2:
            return _under_display(x, rng, found)
        return x

    def shrink(x: np.ndarray) -> np.ndarray:
        if not resized:
            return x
        found.add("blur")
        scale = rng.uniform(0.5, 1.4)
        return _resize(x, max(1, round(h / scale)), max(1, round(w / scale)), rng)

    def noise(x: np.ndarray, p: float) -> np.ndarray:
        return _random_noise(x, rng, found) if rng.random() < p else x

    def jpeg(x: np.ndarray, low: int, high: int) -> np.ndarray:
        if rng.random() >= 0.4:
            return x
        found.add("jpeg block")
        return compress(x, int(rng.integers(low, high + 1)))

    rounds = (
        (
            lambda x: blur(x, 0.8, 10, 0.1, (0.2, 2.2)),
            shrink,
            lambda x: noise(x, 0.4),
            lambda x: jpeg(x, 60, 95),
        ),
        (lambda x: blur(x, 0.4, 5, 0.1, (0.2, 1.5)), lambda x: noise(x, 0.2)),
        (
            lambda x: blur(x, 0.8, 10, 0.8, (0.2, 1.0)),
            lambda x: _resize(x, h, w, rng) if resized else x,
            lambda x: jpeg(x, 80, 100),
        ),
    )
    for steps in rounds:
        for i in rng.permutation(len(steps)):
            image = np.clip(steps[i](image), 0, 1)
    return _round(image), tuple(word for word in TEXTS if word in found)


def _round(image: np.ndarray) -> np.ndarray:
    return (np.clip(image * 255, 0, 255).round() / 255).astype(np.float32)


def _resize(image: np.ndarray, h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    method = _FILTERS[rng.integers(len(_FILTERS))]
    return image if image.shape[:2] == (h, w) else resize(image, h, w, method)


def _random_blur(image, rng, radius, sinc, sigma, found) -> np.ndarray:
    size = int(rng.integers(2, radius)) * 2 + 1  # 5 .. 2 radius - 1
    if rng.random() < sinc:
        cutoff = rng.uniform(np.pi / 3 if size < 13 else np.pi / 5, np.pi)
        found.add("ringing artifact")
        return convolve(image, sinc_kernel(cutoff, size))
    kernel = _mixed_kernel(rng, size, sigma)
    found.add("blur")
    blurred = convolve(image, kernel)
    if rng.random() < 0.1 and size // 2 < 8:
        found.add("ringing artifact")
        keep = rng.uniform(0.1, 0.5)
        return keep * image + (1 - keep) * wiener(blurred, kernel)
    return blurred


def _mixed_kernel(rng: np.random.Generator, size: int, sigma: tuple[float, float]) -> np.ndarray:
    kind = rng.choice(list(_KERNELS), p=list(_KERNELS.values()))
    half = size // 2
    if kind == "defocus":
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        kernel = np.clip(rng.uniform(0.6, 1.0) * half + 0.5 - np.hypot(x, y), 0, 1)
    elif kind == "box":
        kernel = np.ones((size, size))
    elif kind == "line":
        return line_kernel(rng.uniform(2, size), rng.uniform(0, 180))
    elif kind == "psf":
        kernel = smooth_field(rng, size, size, 3) ** 4 * gaussian_kernel_like(size)
    else:
        sx = rng.uniform(*sigma)
        sy = sx if kind.endswith(" iso") or kind == "iso" else rng.uniform(*sigma)
        angle = rng.uniform(-np.pi, np.pi)
        y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
        u = (np.cos(angle) * x + np.sin(angle) * y) / sx
        v = (-np.sin(angle) * x + np.cos(angle) * y) / sy
        r2 = u * u + v * v
        if kind.startswith("generalised"):
            kernel = np.exp(-0.5 * r2 ** rng.uniform(0.5, 2))
        elif kind.startswith("plateau"):
            kernel = 1 / (1 + r2 ** rng.uniform(1, 1.5))
        else:
            kernel = np.exp(-0.5 * r2)
        kernel = kernel * rng.uniform(0.9, 1.1, kernel.shape)
    return (kernel / kernel.sum()).astype(np.float32)


def gaussian_kernel_like(size: int) -> np.ndarray:
    """A broad Gaussian window of odd `size`, so that a random kernel fades out at its border."""
    line = np.exp(-0.5 * (np.linspace(-2, 2, size)) ** 2)
    return np.outer(line, line)


def sinc_kernel(cutoff: float, size: int) -> np.ndarray:
    """Ideal circular low-pass with `cutoff` in radians per px, sum 1: it leaves ringing at edges.

    The exact kernel is `cutoff J1(cutoff r) / (2 pi r)`; it is taken here as the transform of the
    sampled disc.
    """
    n = 8 * size
    f = 2 * np.pi * np.fft.fftfreq(n)
    disc = np.hypot(f[:, None], f[None]) <= cutoff
    kernel = np.fft.fftshift(np.fft.ifft2(disc).real)
    low = n // 2 - size // 2
    kernel = kernel[low : low + size, low : low + size]
    return (kernel / kernel.sum()).astype(np.float32)


def wiener(image: np.ndarray, kernel: np.ndarray, balance: float = 0.006) -> np.ndarray:
    """Wiener deconvolution with a constant noise-to-signal ratio (0.006 in the official code)."""
    h, w = image.shape[:2]
    pad = max(kernel.shape)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    otf = np.zeros(padded.shape[:2])
    otf[: kernel.shape[0], : kernel.shape[1]] = kernel
    otf = np.fft.rfft2(np.roll(otf, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1)))
    restore = (np.conj(otf) / (np.abs(otf) ** 2 + balance))[..., None]
    out = np.fft.irfft2(np.fft.rfft2(padded, axes=(0, 1)) * restore, padded.shape[:2], axes=(0, 1))
    return np.clip(out[pad : pad + h, pad : pad + w], 0, 1).astype(np.float32)


def _random_noise(image: np.ndarray, rng: np.random.Generator, found: set[str]) -> np.ndarray:
    if rng.random() < 0.6:
        found.add("noise")
        channels = 1 if rng.random() < 0.4 else 3
        sigma = rng.uniform(1, 5) / 255
        image = image + sigma * rng.standard_normal((*image.shape[:2], channels))
    if rng.random() < 0.4:
        found.add("noise")
        scale = rng.uniform(0.01, 0.5)
        base = np.clip(image, 0, 1)
        if rng.random() < 0.4:
            base = base.mean(-1, keepdims=True)
        image = image + scale * (rng.poisson(base * 255) / 255 - base)
    return _round(np.clip(image, 0, 1))


def _under_display(image: np.ndarray, rng: np.random.Generator, found: set[str]) -> np.ndarray:
    """A hazy copy under the image, as a camera behind a screen records it."""
    found.add("blur")
    spread = smooth_field(rng, 31, 31, 6) ** 3 * gaussian_kernel_like(31)
    keep = rng.uniform(0.1, 0.5)
    spread = (spread / spread.sum()).astype(np.float32)
    return keep * image + (1 - keep) * convolve(image, spread)
