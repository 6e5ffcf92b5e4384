"""Falling snow (``snowy``): I = a z + J (1 - z), the composition of Snow100K (DesnowNet).

Flakes of three sizes (small, medium, large, as in Snow100K-L), each blurred by its distance and by
one wind.
"""

import numpy as np

from .fields import convolve, disc_kernel, gaussian_kernel, line_kernel

# radius range in px, flakes per megapixel at severity 1, extra blur (sigma in px)
SIZES = (
    ((0.5, 1.5), 16000, 0.5),
    ((1.5, 3.5), 4000, 0.8),
    ((3.5, 9.0), 500, 1.6),
)
KERNELS_PER_SIZE = 2


def snowy(
    image: np.ndarray, severity: float, rng: np.random.Generator, sizes: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Cover the image with flakes; their number grows with ``severity`` (the same flakes stay).

    ``sizes``: 1 = small flakes alone, as in Snow100K-S; 2 = small and medium, as in its M; 3 = all.
    Also returns z, ``(H, W)`` in [0, 1].
    """
    h, w = image.shape[:2]
    wind = rng.uniform(45, 135)
    colour = rng.uniform(0.85, 1.0) + rng.uniform(-0.03, 0.03, 3)
    clear = np.ones((h, w), np.float32)  # 1 - z
    for (low, high), density, blur in SIZES[:sizes]:
        for _ in range(KERNELS_PER_SIZE):
            radius = rng.uniform(low, high)
            flake = convolve_small(disc_kernel(radius), gaussian_kernel(blur))
            flake = convolve_small(flake, line_kernel(rng.uniform(1, 3 + 2 * radius), wind))
            flake /= max(flake.max(), 1e-6)
            most = rng.poisson(density / KERNELS_PER_SIZE * h * w / 1e6) + 1
            rows, columns = rng.integers(0, h, most), rng.integers(0, w, most)
            opacity = rng.uniform(0.4, 1.0, most)
            seeds = np.zeros((h, w), np.float32)
            keep = round(most * severity)
            np.maximum.at(seeds, (rows[:keep], columns[:keep]), opacity[:keep].astype(np.float32))
            clear *= 1 - np.clip(convolve(seeds, flake), 0, 1)
    z, clear = 1 - clear, clear[..., None]
    return np.clip(colour.astype(np.float32) * (1 - clear) + image * clear, 0, 1), z


def convolve_small(kernel: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Convolve two kernels, growing the first so that nothing is cut."""
    pad = max(other.shape) // 2
    return convolve(np.pad(kernel, pad), other)
