"""What several degradations share: convolution, motion kernels, smooth random fields.

Arrays are float32, `(H, W)` or `(H, W, C)`. Every function draws the same number of random
values whatever the severity, so that one seed gives one scene and severity only scales it.
"""

import numpy as np
from PIL import Image

from pellucid.imaging.photo import LUMA

GAMMA = 2.2  # display gamma used to go to linear light and back


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high] whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def strength(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high], half of the time log-uniform: light damage is met, and heavy."""
    return float(rng.uniform(low, high)) if rng.random() < 0.5 else log_uniform(rng, low, high)


def luma(image: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) of `(H, W, 3)`, as `(H, W, 1)`."""
    return (image @ LUMA)[..., None]


def size(image: np.ndarray) -> tuple[int, int]:
    """Height and width of `(H, W)` or `(H, W, C)`."""
    height, width = image.shape[:2]
    return height, width


def levels(image: np.ndarray) -> np.ndarray:
    """Round to the 256 levels of a file; float32 in [0, 1]."""
    return np.round(np.clip(image, 0, 1) * 255).astype(np.float32) / np.float32(255)


def resize(image: np.ndarray, h: int, w: int, method: Image.Resampling) -> np.ndarray:
    """Resample `(H, W, C)` float32 to `(h, w, C)`; filters with lobes may leave the range."""
    channels = [
        Image.fromarray(np.ascontiguousarray(image[..., c])).resize((w, h), method)
        for c in range(image.shape[2])
    ]
    return np.stack([np.asarray(c) for c in channels], axis=-1)


def soften(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of `(H, W[, C])` with `sigma` px, in two passes, mirrored at the border."""
    radius = max(1, int(np.ceil(3 * sigma)))
    line = np.exp(-0.5 * (np.arange(radius + 1) / max(sigma, 1e-3)) ** 2)
    line = (line / (line[0] + 2 * line[1:].sum())).astype(np.float32)
    for axis in (0, 1):
        n = image.shape[axis]
        pad = [(radius, radius) if a == axis else (0, 0) for a in range(image.ndim)]
        padded = np.moveaxis(np.pad(image, pad, mode="symmetric"), axis, 0)
        out = line[0] * padded[radius : radius + n]
        for k in range(1, radius + 1):
            out += line[k] * (padded[radius - k :][:n] + padded[radius + k :][:n])
        image = np.moveaxis(out, 0, axis)
    return np.ascontiguousarray(image)


def convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve each channel of `(H, W[, C])` with `(k, l)`, reflecting at the border (FFT)."""
    ph, pw = kernel.shape[0] // 2, kernel.shape[1] // 2
    h, w = image.shape[:2]
    mode = "reflect" if h > ph and w > pw else "symmetric"
    pad = [(ph, ph), (pw, pw)] + [(0, 0)] * (image.ndim - 2)
    padded = np.moveaxis(np.pad(image, pad, mode=mode), (0, 1), (-2, -1))
    # What wraps round at this size lies in the border that is cut off below.
    size = tuple(_fast_length(n) for n in padded.shape[-2:])
    spectrum = np.fft.rfft2(padded, size) * np.fft.rfft2(kernel.astype(np.float32), size)
    full = np.fft.irfft2(spectrum, size)
    top, left = 2 * (kernel.shape[0] // 2), 2 * (kernel.shape[1] // 2)
    out = full[..., top : top + h, left : left + w]
    return np.ascontiguousarray(np.moveaxis(out, (-2, -1), (0, 1)), dtype=np.float32)


def _fast_length(n: int) -> int:
    """The next length whose only prime factors are 2, 3 and 5."""
    while True:
        m = n
        for p in (2, 3, 5):
            while m % p == 0:
                m //= p
        if m == 1:
            return n
        n += 1


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Isotropic Gaussian, cut at 3 sigma, sum 1."""
    radius = max(1, int(np.ceil(3 * sigma)))
    x = np.arange(-radius, radius + 1)
    line = np.exp(-0.5 * (x / max(sigma, 1e-3)) ** 2)
    kernel = np.outer(line, line)
    return (kernel / kernel.sum()).astype(np.float32)


def disc_kernel(radius: float) -> np.ndarray:
    """Anti-aliased disc with values in [0, 1] (not normalised)."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)


def line_kernel(length: float, angle: float) -> np.ndarray:
    """Straight motion of `length` px at `angle` degrees (0 = horizontal), sum 1."""
    half = max(0.0, (length - 1) / 2)
    t = np.linspace(-half, half, max(2, int(4 * length)))
    radians = np.deg2rad(angle)
    return splat(np.cos(radians) * t, -np.sin(radians) * t)


def splat(x: np.ndarray, y: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Rasterise points, in px around the centre, into an odd-sized kernel (bilinear, sum 1)."""
    reach = int(np.ceil(max(np.abs(x).max(), np.abs(y).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    x, y = x + reach, y + reach
    ix, iy = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - ix, y - iy
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            np.add.at(kernel, (iy + dy, ix + dx), weight * wy * wx)
    return (kernel / kernel.sum()).astype(np.float32)


def smooth_field(rng: np.random.Generator, h: int, w: int, cells: float) -> np.ndarray:
    """Smooth noise `(h, w)` in [0, 1] with about `cells` bumps along the longer side."""
    longer = max(h, w)
    gh, gw = max(2, round(cells * h / longer) + 2), max(2, round(cells * w / longer) + 2)
    coarse = Image.fromarray(rng.random((gh, gw), dtype=np.float32))
    field = np.asarray(coarse.resize((w, h), Image.Resampling.BICUBIC))
    low, high = field.min(), field.max()
    return (field - low) / max(high - low, 1e-6)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Cubic ramp from 0 to 1 for x in [0, 1], clipped outside."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)
