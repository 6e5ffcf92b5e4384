"""Haze (`hazy`): the atmospheric scattering model, I = J t + A (1 - t), t = exp(-beta d).

`hazy` has a severity and `reside` the ranges of a benchmark; `FORMS` are for training, each
`(H, W, 3)` float32 RGB in [0, 1] to the same, from hardly visible to heavy.
"""

import numpy as np

from .fields import log_uniform, luma, smooth_field, smoothstep, soften
from .layers import bounded, plasma, tint

MAX_BETA = 3.0


def depth(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A stated substitute for a depth map, `(h, w)` in (0, 1]: a tilted plane times smooth
    relief.

    Photographs carry no depth here; a ramp that recedes towards the top with 40 % relief stands for
    it.
    """
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    tilt = rng.uniform(-0.3, 0.3)
    near = rng.uniform(0.2, 0.9)  # distance at the bottom of the frame
    ramp = 1 - y / max(h - 1, 1) + tilt * (x / max(w - 1, 1) - 0.5)
    ramp = near + (1 - near) * np.clip(ramp, 0, 1)
    relief = smooth_field(rng, h, w, 4)
    return np.clip(ramp * (1 - 0.4 * relief), 0.05, 1)


def hazy(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Veil of airlight A in [0.7, 1] (slightly tinted) with beta = 3 * severity (1.5 at medium, in
    RESIDE's range).

    Also returns 1 - t, `(H, W)` in [0, 1].
    """
    h, w = image.shape[:2]
    airlight = rng.uniform(0.7, 1.0) + rng.uniform(-0.04, 0.04, 3)
    airlight = np.clip(airlight, 0, 1).astype(np.float32)
    d = depth(rng, h, w)
    t = np.exp(-MAX_BETA * severity * d)[..., None].astype(np.float32)
    return np.clip(image * t + airlight * (1 - t), 0, 1), 1 - t[..., 0]


def reside(
    image: np.ndarray, depth: np.ndarray, rng: np.random.Generator, outdoor: bool = False
) -> np.ndarray:
    """Haze as in RESIDE, over a depth map `(H, W)`; `(H, W, 3)` in [0, 1] to the same.

    Airlight is grey. Indoors depth is in metres, A in [0.7, 1], beta in [0.6, 1.8]; outdoors both
    are drawn from RESIDE's lists (5 x 7 = 35 pictures a scene) for the depth of its OTS. The ranges
    are those commonly cited for RESIDE, not checked against its own text.
    """
    if outdoor:
        airlight = rng.choice((0.8, 0.85, 0.9, 0.95, 1.0))
        beta = rng.choice((0.04, 0.06, 0.08, 0.1, 0.12, 0.16, 0.2))
    else:
        airlight, beta = rng.uniform(0.7, 1.0), rng.uniform(0.6, 1.8)
    t = np.exp(-beta * depth)[..., None].astype(np.float32)
    return np.clip(image * t + np.float32(airlight) * (1 - t), 0, 1)


def indoors(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RESIDE's indoor set (Li et al., TIP 2019): a ramp of some metres, grey airlight."""
    return reside(image, log_uniform(rng, 0.2, 1.6) * some_depth(rng, image), rng)


def outdoors(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """RESIDE's outdoor set, beta in [0.04, 0.2]; airlight in [0.7, 1] may have a colour."""
    depth = log_uniform(rng, 1.5, 13) * some_depth(rng, image)
    t = np.exp(-rng.uniform(0.04, 0.2) * depth)
    return veiled(image, t, tint(rng, 0.7, 1.0, rng.choice((0.0, 0.05, 0.12))))


def even_veil(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One transmission for the whole window, as at one distance (Koschmieder); light to dense."""
    t = np.full(image.shape[:2], 1 - log_uniform(rng, 0.05, 0.92), np.float32)
    return veiled(image, t, tint(rng, 0.6, 1.0, rng.choice((0.0, 0.04, 0.1))))


def machine_fog(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fog of a machine in a room, as I-HAZE and O-HAZE (Ancuti et al., 2018) record it; form ours.

    Dense, greyish-blue, lit unevenly by lamps and windows: the airlight is dark to middling and
    partly the blurred scene itself. What is seen through it is less lit and slightly soft.
    """
    h, w = image.shape[:2]
    density = log_uniform(rng, 0.15, 2.2)
    t = np.exp(-density * (0.6 + 0.4 * some_depth(rng, image)))
    airlight = rng.uniform(0.35, 0.9) + rng.uniform(0, 0.06) * np.array([-1, 0, 1])
    uneven = smooth_field(rng, h, w, rng.uniform(1, 2.5)) - 0.5
    airlight = airlight * (1 + rng.uniform(0, 0.8) * uneven[..., None])
    local = soften(image, rng.uniform(0.08, 0.3) * max(h, w))
    share = rng.uniform(0, 0.6)
    airlight = (1 - share) * airlight + share * local * rng.uniform(0.9, 1.3)
    scene = soften(image, rng.uniform(0, 0.8)) * rng.uniform(0.75, 1)
    return veiled(scene, t, airlight)


def plasma_fog(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fractal fog that is added, the sum scaled back to the picture's highest value (the form of
    ImageNet-C, Hendrycks and Dietterich, ICLR 2019); ranges and noise are ours."""
    h, w = image.shape[:2]
    heavy = rng.random() < 0.5
    amount = rng.uniform(1, 3) if heavy else log_uniform(rng, 0.08, 3.5)
    field = plasma(rng, h, w, rng.uniform(1.6, 2.8))
    low = rng.uniform(0, 0.5) * (rng.random() < 0.7)  # a window may be a piece of a larger fog
    high = rng.uniform(max(low, 0.7 * heavy), 1)
    fog = (low + (high - low) * field)[..., None] * tint(rng, 1, 1, 0.05)
    most = max(float(image.max()), 0.2)
    return bounded((image + amount * fog) * (most / (most + amount * rng.uniform(0.85, 1.1))))


def patchy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Heterogeneous and cloudy fog, as FRIDA has it (Tarel et al., 2012): density and airlight vary
    as fractal noise over the frame."""
    h, w = image.shape[:2]
    density = plasma(rng, h, w, rng.uniform(1.5, 2.5)) ** rng.uniform(0.7, 2)
    t = np.exp(-log_uniform(rng, 0.25, 3.5) * density * (0.4 + 0.6 * some_depth(rng, image)))
    cloudy = 1 + rng.uniform(0, 0.25) * (plasma(rng, h, w, 2.0)[..., None] - 0.5)
    return veiled(image, t, tint(rng, 0.6, 1.0, 0.05) * cloudy)


def coloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sand, smoke, dusk or water: airlight of a colour, channels fading differently (the spectral
    beta of Narasimhan and Nayar, IJCV 2002)."""
    warm = np.array([1, 0.75, 0.45]) if rng.random() < 0.6 else np.array([0.6, 0.8, 1])
    purity = rng.uniform(0.1, 0.8)
    airlight = rng.uniform(0.5, 1) * (1 - purity + purity * warm) + rng.uniform(-0.05, 0.05, 3)
    beta = log_uniform(rng, 0.1, 2) * rng.uniform(0.8, 1.25, 3)
    t = np.exp(-beta * some_depth(rng, image)[..., None])
    return veiled(image, t, np.clip(airlight, 0, 1))


def at_night(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Haze at night: light spreads round lamps, airlight is dark and local (Li et al., ICCV 2015).

    Lamps are the brightest parts of the scene and a few outside or behind it.
    """
    h, w = image.shape[:2]
    side = max(h, w)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    airlight = np.full((h, w, 3), rng.uniform(0.05, 0.35), np.float32)
    for _ in range(rng.integers(1, 4)):
        cy, cx = rng.uniform(-0.3, 1.3, 2) * (h, w)
        reach = rng.uniform(0.15, 0.8) * side
        glow = rng.uniform(0.2, 0.9) / (1 + ((y - cy) ** 2 + (x - cx) ** 2) / reach**2)
        lamp = np.array([1, rng.uniform(0.7, 1), rng.uniform(0.4, 1)])
        airlight += glow[..., None] * lamp.astype(np.float32)
    level = rng.uniform(0.6, 0.9) * image.max()
    halo = soften(np.maximum(image - level, 0), rng.uniform(0.02, 0.15) * side)
    t = np.exp(-log_uniform(rng, 0.1, 1.8) * some_depth(rng, image))
    return bounded(veiled(image, t, np.minimum(airlight, 1)) + rng.uniform(0, 3) * halo)


def veiled(image: np.ndarray, t: np.ndarray, airlight: np.ndarray) -> np.ndarray:
    """I = J t + A (1 - t); `t` is `(H, W)` or `(H, W, 3)`, the airlight a colour or a
    picture."""
    t = t[..., None] if t.ndim == 2 else t
    return bounded(image * t + airlight * (1 - t))


def some_depth(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Depth `(H, W)` in (0, 1]: even, a ramp with relief, or a ramp with objects before it.

    Half of the objects have outlines of the picture (a level of its blurred luma), so that the
    veil changes where the scene does; the others have none. A window of a large photograph sees
    little of its depth, so the range is compressed at random.
    """
    h, w = image.shape[:2]
    kind = rng.random()
    d = np.full((h, w), rng.uniform(0.3, 1), np.float32) if kind < 0.15 else depth(rng, h, w)
    if kind > 0.5:
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.5:
                field = soften(luma(image)[..., 0], rng.uniform(1, 4)) * rng.choice((-1, 1))
            else:
                field = plasma(rng, h, w, rng.uniform(2.2, 3.2))
            field = field - np.quantile(field[::2, ::2], rng.uniform(0.2, 0.9))
            inside = smoothstep(field / rng.uniform(0.05, 0.4) + 0.5)
            d = d * (1 - inside * rng.uniform(0.1, 0.8))
    near = rng.uniform(0, 0.7) if rng.random() < 0.5 else 0.0
    return (near + (1 - near) * np.maximum(d, 0.02)).astype(np.float32)


FORMS = (
    indoors,
    outdoors,
    even_veil,
    machine_fog,
    plasma_fog,
    plasma_fog,  # twice: the form that is the hardest to undo
    patchy,
    coloured,
    at_night,
)
