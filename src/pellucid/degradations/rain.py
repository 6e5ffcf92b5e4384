"""Rain streaks (`rainy`): thresholded noise drawn out by motion, added to the scene.

The streak layers follow the published generator of Outdoor-Rain (HeavyRainRemoval, datagen),
without its veil: sums of one to three layers of nearly one direction, as Rain100L/H have them.

`rainy` has a severity; `FORMS` are for training, each `(H, W, 3)` float32 RGB in [0, 1] to the
same, from hardly visible to heavy.
"""

import numpy as np
from PIL import Image

from .fields import convolve, log_uniform, luma, soften
from .haze import some_depth, veiled
from .layers import bounded, drawn_out, scatter, streak, tint

LAYERS = 3


def rainy(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add streaks of up to three layers; their brightness grows with `severity`.

    Also returns the light added, `(H, W)` cut to [0, 1].
    """
    h, w = image.shape[:2]
    angle = rng.uniform(60, 120)
    weights = rng.dirichlet(np.ones(LAYERS))
    layer = np.zeros((h, w), np.float32)
    for weight in weights:
        length, turned = length_of_streaks(rng), angle + rng.uniform(-8, 8)
        layer += np.float32(weight) * rain_layer(rng, h, w, length, turned, dry_outside=False)
    # The mean is the even grey of thousands of far drops; single streaks stand out above it.
    layer = np.float32(2.4 * severity) * np.maximum(layer - 0.6 * layer.mean(), 0)
    return np.clip(image + layer[..., None], 0, 1), np.minimum(layer, 1)


def length_of_streaks(rng: np.random.Generator) -> int:
    """Draw the published 21 to 60 px."""
    return int(rng.integers(1, 41)) + 20


def rain_layer(
    rng: np.random.Generator, h: int, w: int, length: int, angle: float, dry_outside: bool = True
) -> np.ndarray:
    """Streaks `(h, w)` >= 0: thresholded noise, enlarged, drawn out over `length` px.

    `dry_outside`: nothing comes in over the border, as published; or the border is a mirror, so
    that small windows have as much rain as large pictures.
    """
    mean = -4 * (0.2 + 0.05 * rng.random())
    variance = 0.7 + 0.3 * rng.random()
    scale = 1.01 + 0.2 * rng.random()
    noise = np.clip(mean + np.sqrt(variance) * rng.standard_normal((h, w)), 0, 1)
    tall, wide = int(np.ceil(h * scale)), int(np.ceil(w * scale))
    drops = Image.fromarray(noise.astype(np.float32)).resize((wide, tall), Image.Resampling.BICUBIC)
    top, left = rng.integers(tall - h + 1), rng.integers(wide - w + 1)
    drops = np.asarray(drops)[top : top + h, left : left + w]
    kernel = motion_filter(length, angle)
    reach = kernel.shape[0] // 2, kernel.shape[1] // 2
    if dry_outside:
        drops = np.pad(drops, [(n, n) for n in reach])
        drawn = convolve(drops, kernel)[reach[0] : reach[0] + h, reach[1] : reach[1] + w]
    else:
        drawn = convolve(drops, kernel)
    gain = 0.05 * rng.random() + 0.04 * length + 0.2
    return np.float32(gain) * np.maximum(drawn, 0)


def motion_filter(length: float, angle: float) -> np.ndarray:
    """MATLAB's motion kernel: 1 - the distance to a line of `length` - 1 px, at least 0, sum 1.

    `angle` is in degrees, anticlockwise from the horizontal.
    """
    half = (max(length, 1) - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    rx, ry = (int(half * abs(part) + 1 - 1e-6) for part in (cos, sin))  # where it is above 0
    y, x = np.mgrid[-ry : ry + 1, -rx : rx + 1]
    along, across = x * cos - y * sin, x * sin + y * cos  # y counts downwards
    beyond = np.maximum(np.abs(along) - half, 0)
    kernel = np.maximum(1 - np.hypot(across, beyond), 0)
    return (kernel / kernel.sum()).astype(np.float32)


def thin_streaks(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bright streaks of one direction, added: the kind of Rain100L (Yang et al., CVPR 2017)."""
    h, w = image.shape[:2]
    angle = direction(rng)
    layer = clear_streaks(rng, h, w, angle, log_uniform(rng, 0.01, 0.2))
    return bounded(image + log_uniform(rng, 0.1, 1.2) * layer[..., None] * tint(rng, 1, 1, 0.04))


def crossing_streaks(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Streaks of two to five directions, added: the kind of Rain100H."""
    h, w = image.shape[:2]
    layer = np.zeros((h, w), np.float32)
    for _ in range(rng.integers(2, 6)):
        layer += clear_streaks(rng, h, w, direction(rng), log_uniform(rng, 0.01, 0.12))
    return bounded(image + log_uniform(rng, 0.08, 0.8) * layer[..., None])


def drawn_noise(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise drawn out by motion and screened over the scene: 14 directions and magnitudes of an
    image editor, as in DDN's Rain1400 (Fu et al., CVPR 2017) and Rain800 (Zhang et al., 2017)."""
    h, w = image.shape[:2]
    layer = noise_streaks(rng, h, w, direction(rng, 45))
    layer = np.clip(layer * log_uniform(rng, 0.15, 1.6), 0, 1)[..., None]
    if rng.random() < 0.3:
        image = dimmed(image, rng)
    return lay(image, layer, rng)


def under_veil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Streaks, then a veil that grows with distance: Outdoor-Rain (Li et al., CVPR 2019)."""
    h, w = image.shape[:2]
    image = soften(image, rng.uniform(0, 1.2))
    if rng.random() < 0.6:
        layer = rain_layer(rng, h, w, length_of_streaks(rng), direction(rng), dry_outside=False)
        layer *= log_uniform(rng, 0.2, 1.2)
    else:
        layer = log_uniform(rng, 0.1, 0.8) * noise_streaks(rng, h, w, direction(rng))
    t = np.exp(-log_uniform(rng, 0.1, 2.2) * some_depth(rng, image))
    rainy = np.minimum(image + layer[..., None], 1)
    return veiled(rainy, t, tint(rng, 0.3, 0.95, 0.04))


def by_distance(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Near streaks fade with distance while mist grows: I = J (1 - S - A) + S + A0 A
    (RainCityscapes, Hu et al., CVPR 2019)."""
    h, w = image.shape[:2]
    d = some_depth(rng, image)
    streaks = clear_streaks(rng, h, w, direction(rng), log_uniform(rng, 0.01, 0.2))
    seen = np.exp(-rng.uniform(0, 2) * d)
    streaks = np.clip(log_uniform(rng, 0.08, 0.7) * streaks * seen, 0, 1)
    mist = (1 - streaks) * (1 - np.exp(-log_uniform(rng, 0.05, 1.5) * d))
    streaks, mist = streaks[..., None], mist[..., None]
    light = tint(rng, 0.5, 1, 0.04)
    return bounded(image * (1 - streaks - mist) + streaks + light * mist)


def sized_layers(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to three blurred layers of drops of different sizes, drizzle to coarse, laid over one
    another; the kind of imgaug's Rain, drawn anew with our ranges."""
    h, w = image.shape[:2]
    angle, strength = direction(rng), log_uniform(rng, 0.15, 1.0)
    for _ in range(rng.integers(1, 4)):
        size = log_uniform(rng, 0.8, 5)
        length = size * log_uniform(rng, 5, 50)
        kernel = motion_filter(min(length, 200), angle + rng.uniform(-4, 4))
        layer = drawn_out(rng, h, w, size, log_uniform(rng, 0.02, 0.25), kernel)
        layer = soften(layer, rng.uniform(0, 0.35) * size)
        layer = contrasted(layer) * rng.uniform(0.3, 1) * strength
        image = lay(image, np.clip(layer, 0, 1)[..., None], rng)
    return image


def lit_streaks(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A streak shows the light of its wide surroundings for the part of the exposure in which it
    covers a pixel (Garg and Nayar, IJCV 2007): I = (1 - a) J + a L. Before a bright sky it is
    dark."""
    h, w = image.shape[:2]
    streaks = clear_streaks(rng, h, w, direction(rng), log_uniform(rng, 0.03, 0.4))
    alpha = np.clip(log_uniform(rng, 0.2, 1) * streaks, 0, 0.95)[..., None]
    around = soften(image, rng.uniform(0.05, 0.3) * max(h, w))
    sky = rng.uniform(0.55, 1)
    gain = rng.uniform(0.9, 1.4) if rng.random() < 0.8 else rng.uniform(0.3, 0.8)
    light = np.clip(gain * (0.5 * around + 0.5 * sky), 0, 1)
    if rng.random() < 0.4:
        image = dimmed(image, rng)
    return bounded(image * (1 - alpha) + light * alpha)


def direction(rng: np.random.Generator, spread: float = 25) -> float:
    """An angle in degrees, 90 = straight down, seldom further than `spread` from it."""
    return float(np.clip(90 + spread * rng.standard_normal(), 15, 165))


def clear_streaks(
    rng: np.random.Generator, h: int, w: int, angle: float, share: float
) -> np.ndarray:
    """Single streaks `(h, w)` >= 0 of one direction, length and width, with some spread."""
    length, width = log_uniform(rng, 6, 150), log_uniform(rng, 0.6, 4)
    length, width = max(length, 4 * width), min(width, 0.5 + length / 8)
    taper, kinds = rng.uniform(0, 1), rng.integers(1, 4)
    low, spread = rng.uniform(0.1, 0.9), rng.uniform(0, 5)
    layer = np.zeros((h, w), np.float32)
    for _ in range(kinds):
        stamp = streak(
            min(length * rng.uniform(0.6, 1.4), 200),
            angle + rng.uniform(-spread, spread),
            width * rng.uniform(0.7, 1.3),
            taper,
        )
        layer += scatter(rng, h, w, stamp, share / kinds, low)
    return soften(layer, rng.uniform(0, 0.8))


def noise_streaks(rng: np.random.Generator, h: int, w: int, angle: float) -> np.ndarray:
    """Noise of one grain, thresholded and moved; its brightest places are about 1."""
    size = log_uniform(rng, 0.8, 3)
    kernel = motion_filter(size * log_uniform(rng, 6, 60), angle)
    layer = drawn_out(rng, h, w, size, log_uniform(rng, 0.01, 0.4), kernel)
    return contrasted(layer)


def contrasted(layer: np.ndarray) -> np.ndarray:
    """Scale so that the 99.5th percentile is 1."""
    return layer / max(float(np.quantile(layer[::2, ::2], 0.995)), 1e-3)


def lay(image: np.ndarray, layer: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lay a light layer `(H, W, 1)` in [0, 1] over the scene: added, screened, the brighter of
    both, or as an even grey."""
    kind = rng.integers(4)
    if kind == 0:
        return bounded(image + layer)
    if kind == 1:
        return bounded(1 - (1 - image) * (1 - layer))
    if kind == 2:
        return bounded(np.maximum(image, layer))
    return bounded(image * (1 - layer) + tint(rng, 0.6, 1, 0.04) * layer)


def dimmed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The light of a rainy day: darker, with less colour and contrast."""
    pale = rng.uniform(0, 0.4)
    image = image * (1 - pale) + luma(image) * pale
    return image * rng.uniform(0.65, 1)


FORMS = (
    thin_streaks,
    crossing_streaks,
    drawn_noise,
    under_veil,
    by_distance,
    sized_layers,
    lit_streaks,
)
