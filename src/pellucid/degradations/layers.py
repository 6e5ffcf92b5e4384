"""What the weather and scene forms share: noise layers, scattered stamps, soft edges.

Fields are float32 `(H, W)`; lengths and sizes are in px. Nothing here has a border effect: what
reaches over the border of a window is made on a larger canvas and cut.
"""

import numpy as np
from PIL import Image

from .fields import _fast_length


def plasma(rng: np.random.Generator, h: int, w: int, roughness: float) -> np.ndarray:
    """Fractal noise `(h, w)` in [0, 1], its spectrum falling as f^-roughness (2 = clouds).

    It is cut from a periodic field a half larger, so that opposite borders differ.
    """
    tall, wide = _fast_length(h + h // 2), _fast_length(w + w // 2)
    fy, fx = np.fft.fftfreq(tall)[:, None], np.fft.rfftfreq(wide)[None]
    f = np.hypot(fy, fx).astype(np.float32)
    f[0, 0] = 1
    shape = (*f.shape, 2)
    noise = rng.standard_normal(shape, dtype=np.float32).view(np.complex64)[..., 0]
    spectrum = noise * f ** np.float32(-roughness)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (tall, wide))[:h, :w].astype(np.float32)
    low, high = field.min(), field.max()
    return (field - low) / max(high - low, 1e-12)


def grains(rng: np.random.Generator, h: int, w: int, size: float) -> np.ndarray:
    """Normal noise `(h, w)` with grains of `size` px (1 = white), mean 0, deviation 1."""
    if size <= 1:
        return rng.standard_normal((h, w), dtype=np.float32)
    tall, wide = int(np.ceil(h / size)) + 3, int(np.ceil(w / size)) + 3
    coarse = Image.fromarray(rng.standard_normal((tall, wide), dtype=np.float32))
    x, y = rng.uniform(1, 2, 2)
    box = (x, y, x + w / size, y + h / size)
    field = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC, box=box))
    return (field - field.mean()) / max(field.std(), 1e-6)


def top_share(field: np.ndarray, share: float, edge: float = 0.5) -> np.ndarray:
    """Values in [0, 1] that rise above 0 on the highest `share` of the field.

    `edge`: over how many deviations of the field they rise to 1 (0 = a hard mask).
    """
    level = np.quantile(field[::2, ::2], 1 - share)
    return np.clip((field - level) / max(edge * field.std(), 1e-6), 0, 1)


def valid(field: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve where the kernel lies wholly inside: `(H - k + 1, W - l + 1)`."""
    size = tuple(_fast_length(n) for n in field.shape)
    spectrum = np.fft.rfft2(field, size) * np.fft.rfft2(kernel, size)
    out = np.fft.irfft2(spectrum, size).astype(np.float32)
    return out[kernel.shape[0] - 1 : field.shape[0], kernel.shape[1] - 1 : field.shape[1]]


def drawn_out(rng, h: int, w: int, size: float, share: float, kernel: np.ndarray) -> np.ndarray:
    """The highest `share` of noise with grains of `size` px, moved along `kernel`."""
    kh, kw = kernel.shape
    noise = grains(rng, h + kh - 1, w + kw - 1, size)
    return np.maximum(valid(top_share(noise, share), kernel / kernel.sum()), 0)


def scatter(rng, h: int, w: int, stamp: np.ndarray, share: float, low: float = 0.3) -> np.ndarray:
    """Copies of `stamp` at random places, of heights in [low, 1]; where they overlap they add up.

    `share`: the part of the area that they would cover side by side. At least one is drawn.
    """
    kh, kw = stamp.shape
    tall, wide = h + kh - 1, w + kw - 1
    count = max(1, rng.poisson(share * tall * wide / stamp.sum()))
    y, x = rng.integers(0, tall, count), rng.integers(0, wide, count)
    heights = rng.uniform(low, 1, count).astype(np.float32)
    if count * (4000 + stamp.size) > 60 * tall * wide:  # measured: beyond it the FFT is faster
        canvas = np.zeros((tall, wide), np.float32)
        canvas[y, x] = heights
        return np.maximum(valid(canvas, stamp), 0)
    canvas = np.zeros((tall + kh - 1, wide + kw - 1), np.float32)
    for top, left, height in zip(y, x, heights, strict=True):
        canvas[top : top + kh, left : left + kw] += height * stamp
    return canvas[kh - 1 : tall, kw - 1 : wide]


def streak(length: float, angle: float, width: float, taper: float) -> np.ndarray:
    """A bright line, highest value 1: `angle` in degrees, anticlockwise from the horizontal.

    `taper`: the part of its half length over which it fades out (0 = blunt ends, 1 = a spindle).
    """
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    half = length / 2
    rx, ry = (int(np.ceil(half * abs(part) + width / 2 + 1)) for part in (cos, sin))
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1].astype(np.float32)
    along, across = np.abs(x * cos - y * sin), np.abs(x * sin + y * cos)  # y counts downwards
    ends = np.clip((half + 0.5 - along) / max(taper * half, 1), 0, 1)
    kernel = np.clip((width + 1) / 2 - across, 0, 1) * ends
    return (kernel / kernel.max()).astype(np.float32)


def tint(rng: np.random.Generator, low: float, high: float, spread: float) -> np.ndarray:
    """A nearly grey colour `(3,)`: a level in [low, high], each channel off by up to spread."""
    colour = rng.uniform(low, high) + rng.uniform(-spread, spread, 3)
    return np.clip(colour, 0, 1).astype(np.float32)


def bounded(image: np.ndarray) -> np.ndarray:
    """Clip to [0, 1] as float32."""
    return np.clip(image, 0, 1).astype(np.float32, copy=False)
