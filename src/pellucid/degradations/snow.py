"""Falling snow (`snowy`): I = a z + J (1 - z), the composition of Snow100K (DesnowNet).

Flakes of three sizes (small, medium, large, as in Snow100K-L), each blurred by its distance and by
one wind.
"""

import numpy as np

from .fields import (
    convolve,
    disc_kernel,
    gaussian_kernel,
    line_kernel,
    log_uniform,
    luma,
    size,
    soften,
)
from .haze import some_depth, veiled
from .layers import bounded, drawn_out, scatter, tint
from .rain import contrasted, lay, motion_filter

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
    """Cover the image with flakes; their number grows with `severity` (the same flakes stay).

    `sizes`: 1 = small flakes alone, as in Snow100K-S; 2 = small and medium, as in its M; 3 = all.
    Also returns z, `(H, W)` in [0, 1].
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


def flakes_of_sizes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small, medium and large flakes, I = a z + J (1 - z): Snow100K (Liu et al., TIP 2018)."""
    z = flakes(rng, *size(image), log_uniform(rng, 0.01, 0.35), (0.7, 6))
    z = z[..., None] * rng.uniform(0.3, 1)
    return bounded(image * (1 - z) + tint(rng, 0.8, 1, 0.03) * z)


def soft_flakes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Few large flakes out of focus near the lens, with some small ones far away (as the large
    masks of Snow100K-L and CSD, Chen et al., ICCV 2021)."""
    h, w = image.shape[:2]
    z = flakes(rng, h, w, log_uniform(rng, 0.01, 0.3), (4, 20), rng.uniform(0.3, 1.5))
    z = 1 - (1 - rng.uniform(0.2, 0.9) * z) * (
        1 - rng.uniform(0, 0.8) * flakes(rng, h, w, log_uniform(rng, 0.003, 0.05), (0.6, 2))
    )
    z = z[..., None]
    return bounded(image * (1 - z) + tint(rng, 0.75, 1, 0.04) * z)


def noise_flakes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three layers of thresholded noise, sized, blurred and moved; the kind of imgaug's
    Snowflakes, drawn anew with our ranges."""
    h, w = image.shape[:2]
    wind, strength = rng.uniform(0, 180), log_uniform(rng, 0.2, 1.0)
    for _ in range(rng.integers(1, 4)):
        size = log_uniform(rng, 1, 8)
        kernel = motion_filter(log_uniform(rng, 1, 4) * size, wind + rng.uniform(-15, 15))
        layer = drawn_out(rng, h, w, size, log_uniform(rng, 0.01, 0.12), kernel)
        layer = contrasted(soften(layer, rng.uniform(0, 0.4) * size))
        layer = np.clip(layer * rng.uniform(0.4, 1.2), 0, 1) * strength
        image = lay(image, layer[..., None], rng)
    return image


def whitened(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A lit winter scene under flying snow: the picture is lifted towards a bright grey copy of
    itself and a moved noise layer is added (the form of ImageNet-C, ICLR 2019; ranges ours)."""
    h, w = image.shape[:2]
    lift = log_uniform(rng, 0.03, 0.6)
    pale = luma(image) * rng.uniform(0.8, 1.8) + rng.uniform(0.2, 0.6)
    image = image * (1 - lift) + lift * np.maximum(image, pale)
    strength = log_uniform(rng, 0.1, 1)
    for _ in range(rng.integers(1, 3)):
        size = log_uniform(rng, 1, 7)
        kernel = motion_filter(log_uniform(rng, 1.5, 7) * size, rng.uniform(20, 160))
        layer = drawn_out(rng, h, w, size, log_uniform(rng, 0.01, 0.2), kernel)
        image = image + strength * np.minimum(contrasted(layer), 1.3)[..., None]
    return bounded(image)


def behind_veil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flakes, then the veil of heavy snowfall, I = K t + A (1 - t): JSTASR (Chen et al., ECCV
    2020) and CSD."""
    kinds = (flakes_of_sizes, soft_flakes, noise_flakes)
    image = kinds[rng.integers(len(kinds))](image, rng)
    t = np.exp(-log_uniform(rng, 0.08, 2) * some_depth(rng, image))
    return veiled(image, t, tint(rng, 0.6, 0.98, 0.03))


def drifting(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Short streaks of snow in the wind (those of CSD), bright or at half light."""
    h, w = image.shape[:2]
    wind = rng.uniform(0, 180)
    size = log_uniform(rng, 1, 5)
    kernel = motion_filter(log_uniform(rng, 2, 7) * size, wind)
    layer = contrasted(drawn_out(rng, h, w, size, log_uniform(rng, 0.01, 0.2), kernel))
    z = np.clip(layer * log_uniform(rng, 0.1, 0.9), 0, 1)[..., None]
    return bounded(image * (1 - z) + tint(rng, 0.7, 1, 0.03) * z)


def flakes(
    rng: np.random.Generator,
    h: int,
    w: int,
    share: float,
    radii: tuple[float, float],
    defocus: float = 0.3,
) -> np.ndarray:
    """Cover `(h, w)` in [0, 1] by flakes of three radii in `radii` px, moved by one wind.

    `defocus`: blur in units of the radius; 0.3 leaves a soft edge, 1 a faint patch.
    """
    wind, drift = rng.uniform(0, 180), log_uniform(rng, 0.3, 3)
    clear = np.ones((h, w), np.float32)
    for _ in range(3):
        radius = log_uniform(rng, *radii)
        stamp = flake(rng, radius, defocus)
        moved = motion_filter(1 + drift * radius * rng.uniform(0.5, 1.5), wind)
        stamp = np.pad(stamp, [(n // 2, n // 2) for n in moved.shape])
        stamp = convolve(stamp, moved)
        stamp = np.maximum(stamp / stamp.max(), 0)
        clear *= 1 - np.minimum(scatter(rng, h, w, stamp, share / 3), 1)
    return 1 - clear


def flake(rng: np.random.Generator, radius: float, defocus: float) -> np.ndarray:
    """One flake, highest value 1: an uneven disc, more ragged the sharper it is."""
    reach = int(np.ceil(radius * (1.4 + 2 * defocus))) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    angle = np.arctan2(y, x)
    edge = np.full_like(x, radius)
    for lobes in (2, 3, 5):
        edge *= 1 + rng.uniform(0, 0.2) * np.cos(lobes * angle + rng.uniform(0, 2 * np.pi))
    shape = np.clip(edge + 0.5 - np.hypot(x, y), 0, 1)
    shape = soften(shape, max(0.4, defocus * radius * rng.uniform(0.3, 1)))
    return shape / shape.max()


FORMS = (
    flakes_of_sizes,
    soft_flakes,
    noise_flakes,
    whitened,
    behind_veil,
    drifting,
)
