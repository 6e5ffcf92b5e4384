"""Cast shadows (`shadowed`): soft polygons or blobs in which only the bluish skylight is left.

`shadowed` has a severity; `FORMS` are for training, each `(H, W, 3)` float32 RGB in [0, 1] to the
same. In linear light a shadow multiplies the scene: I = J (1 - M (1 - k)), k the light that is left
in the umbra, a colour.
"""

import numpy as np
from PIL import Image, ImageDraw

from .fields import GAMMA, convolve, gaussian_kernel, log_uniform, smooth_field, smoothstep, soften
from .layers import bounded, plasma, scatter, top_share


def shadow_mask(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Penumbra-edged mask `(h, w)` in [0, 1] covering between a quarter and two thirds of the
    frame."""
    side = min(h, w)
    softness = side * rng.uniform(0.008, 0.04)
    kind = rng.random()
    cover = rng.uniform(0.25, 0.65)
    field = smooth_field(rng, h, w, rng.uniform(1.5, 4))
    corners = rng.uniform(-0.3, 1.3, (6, 2))
    if kind < 0.5:
        mask = (field > np.quantile(field, 1 - cover)).astype(np.float32)
    else:
        canvas = Image.new("L", (w, h))
        centre = corners.mean(0)
        order = np.argsort(np.arctan2(*(corners - centre).T))
        ImageDraw.Draw(canvas).polygon([(x * w, y * h) for x, y in corners[order]], fill=255)
        mask = np.asarray(canvas, np.float32) / 255
        if not 0.1 < mask.mean() < 0.8:
            mask = (field > np.quantile(field, 1 - cover)).astype(np.float32)
    return np.clip(convolve(mask, gaussian_kernel(max(softness, 0.7))), 0, 1)


def shadowed(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Darken the mask in linear light to `1 - 0.92 severity` (medium: about half), bluer as it
    gets darker."""
    h, w = image.shape[:2]
    mask = shadow_mask(rng, h, w)[..., None]
    tint = 1 + rng.uniform(0.0, 0.12) * np.array([-1.0, 0.0, 1.0])
    relief = 0.85 + 0.15 * smoothstep(smooth_field(rng, h, w, 3))[..., None]
    depth = np.clip(0.92 * severity * rng.uniform(0.9, 1.05) * relief, 0, 0.95)
    light = 1 - mask * (1 - (1 - depth) * (1 + (tint - 1) * severity))
    return np.clip(image * np.maximum(light, 0) ** (1 / GAMMA), 0, 1).astype(np.float32)


def hard_shadow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One shadow of the sun with a narrow penumbra, as in ISTD (Wang et al., CVPR 2018) and
    SRD."""
    mask = soften(some_mask(rng, *image.shape[:2]), log_uniform(rng, 0.3, 2.5))
    return shaded(image, mask, umbra(rng))


def soft_shadow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A penumbra of up to 20 px that widens with the distance of what casts the shadow (the
    varying blur of Zhang et al., SIGGRAPH 2020)."""
    h, w = image.shape[:2]
    mask = some_mask(rng, h, w)
    near, far = log_uniform(rng, 0.5, 10), log_uniform(rng, 3, 20)
    ramp = smoothstep(across(rng, h, w))
    mask = soften(mask, near) * (1 - ramp) + soften(mask, min(far, min(h, w) / 8)) * ramp
    return shaded(image, mask, umbra(rng))


def many_shadows(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Foliage, fences and blinds: many small shadows, or one full of small lights; a second light
    may cast them again beside the first."""
    h, w = image.shape[:2]
    mask = (leaves, bars, bars, dapples)[rng.integers(4)](rng, h, w)
    mask = soften(mask, log_uniform(rng, 0.4, 6))
    image = shaded(image, mask, umbra(rng))
    if rng.random() < 0.25:
        dy, dx = rng.integers(2, max(3, min(h, w) // 6), 2)
        mask = mask[np.maximum(np.arange(h) - dy, 0)[:, None], np.maximum(np.arange(w) - dx, 0)]
        image = shaded(image, mask, umbra(rng, 0.4))
    return image


def tinted_shadow(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A shadow lit by something coloured: sky, wall, leaves or glass; the channels lose different
    shares of their light (per channel as in Le and Samaras, ICCV 2019)."""
    mask = soften(some_mask(rng, *image.shape[:2]), log_uniform(rng, 0.4, 12))
    left = umbra(rng) * np.exp(rng.uniform(-0.25, 0.25, 3))
    return shaded(image, mask, np.clip(left, 0.05, 1))


def deep_shade(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Most of the frame lies in shade that varies slowly; a part stays lit; form ours."""
    h, w = image.shape[:2]
    field = plasma(rng, h, w, rng.uniform(2.2, 3.5))
    mask = (field > np.quantile(field, rng.uniform(0.1, 0.4))).astype(np.float32)
    mask = soften(mask, log_uniform(rng, 0.5, 15))
    mask = mask * (1 - rng.uniform(0, 0.35) * plasma(rng, h, w, 2.5))
    return shaded(image, mask, umbra(rng))


def relit(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The affine model of ISTD+ on the picture's own values, lit = w shadow + b per channel (Le and
    Samaras, ICCV 2019): I = J (1 - M) + (J - b) / w M."""
    mask = soften(some_mask(rng, *image.shape[:2]), log_uniform(rng, 0.3, 6))[..., None]
    gain = 1 + log_uniform(rng, 0.1, 3) * np.array([1, 0.95, 0.88]) * rng.uniform(0.93, 1.07, 3)
    offset = rng.uniform(-0.02, 0.06)
    dark = np.clip((image - offset) / gain, 0, 1)
    return bounded(image * (1 - mask) + dark.astype(np.float32) * mask)


def shaded(image: np.ndarray, mask: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Leave the share `left` `(3,)` of the linear light where `mask` `(H, W)` is 1."""
    light = 1 - mask[..., None] * (1 - left.astype(np.float32))
    return bounded(image * light ** np.float32(1 / GAMMA))


def umbra(rng: np.random.Generator, low: float = 0.1) -> np.ndarray:
    """The linear light left in the umbra, `(3,)`: [low, 0.92], often a tenth to a third, as under a
    clear sky; with slightly more blue."""
    blue = rng.uniform(-0.02, 0.18) * np.array([-1.0, -0.2, 1.0])
    return np.clip(log_uniform(rng, low, 0.92) * (1 + blue), 0.03, 1)


def some_mask(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A hard mask `(h, w)` of any shape that covers 5 to 90 % of the frame."""
    for _ in range(4):
        mask = SHAPES[rng.integers(len(SHAPES))](rng, h, w)
        if 0.05 <= mask.mean() <= 0.9:
            return mask
    return half_plane(rng, h, w)


def across(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A ramp `(h, w)` from 0 to 1 in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    return (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1e-6)


def half_plane(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Everything beyond a straight or slightly bent edge (a roof, a wall)."""
    ramp = across(rng, h, w) + rng.choice((0, 0.15)) * smooth_field(rng, h, w, 2)
    return (ramp > np.quantile(ramp, rng.uniform(0.12, 0.9))).astype(np.float32)


def blob(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """The heights of a smooth or fractal field (clouds, trees)."""
    field = plasma(rng, h, w, rng.uniform(1.6, 3.5))
    return (field > np.quantile(field, rng.uniform(0.1, 0.94))).astype(np.float32)


def polygons(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """One to three polygons of three to eight corners, some of them cut out of the first."""
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)
    for i in range(rng.integers(1, 4)):
        corners = rng.uniform(0.15, 0.8) * rng.uniform(-1, 1, (rng.integers(3, 9), 2))
        order = np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))
        corners = (corners[order] + rng.uniform(0, 1, 2)) * (w, h)
        fill = 0 if i and rng.random() < 0.3 else 255
        draw.polygon([tuple(corner) for corner in corners], fill=fill)
    return np.asarray(canvas, np.float32) / 255


def figure(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A cut-out like a person, a sign or a post: a head, a body and limbs, aslant."""
    size = rng.uniform(0.4, 1.6) * min(h, w)
    turn = rng.uniform(0, 2 * np.pi)
    along = size * np.array([np.cos(turn), np.sin(turn)])
    side = rng.uniform(0.3, 1) * size * np.array([-np.sin(turn), np.cos(turn)])
    foot = rng.uniform(0.1, 0.9, 2) * (w, h) - 0.5 * along
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)

    def limb(a: tuple[float, float], b: tuple[float, float], width: float) -> None:
        ends = [tuple(foot + p[0] * along + p[1] * side) for p in (a, b)]
        width = max(1, round(width * size))
        draw.line(ends, fill=255, width=width)
        for x, y in ends:
            r = width / 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=255)

    limb((0.45, 0), (0.75, 0), rng.uniform(0.08, 0.3))  # body
    limb((0.93, 0), (0.93, 0), rng.uniform(0.1, 0.3))  # head
    for _ in range(rng.integers(0, 3)):  # legs
        limb((0.5, 0), (-0.2, rng.uniform(-0.25, 0.25)), rng.uniform(0.04, 0.12))
    for _ in range(rng.integers(0, 3)):  # arms
        elbow = (rng.uniform(0.3, 1.0), rng.uniform(-0.5, 0.5))
        limb((0.75, 0), elbow, rng.uniform(0.03, 0.09))
    return np.asarray(canvas, np.float32) / 255


def leaves(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Many small ellipses in three directions, even or in clusters."""
    mask, share = np.zeros((h, w), np.float32), log_uniform(rng, 0.1, 1)
    for _ in range(3):
        length = log_uniform(rng, 3, 25)
        mask += scatter(rng, h, w, leaf(rng, length), share / 3, 0.9)
    if rng.random() < 0.6:
        mask *= top_share(plasma(rng, h, w, 2.0), rng.uniform(0.3, 0.8), 0.2)
    return np.minimum(mask, 1)


def dapples(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """A shadow full of round lights, the sun's pictures under a tree."""
    return 1 - leaves(rng, h, w)


def leaf(rng: np.random.Generator, length: float) -> np.ndarray:
    """An ellipse with a soft edge, highest value 1."""
    reach = int(length / 2) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    angle, slender = rng.uniform(0, np.pi), rng.uniform(0.3, 1)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    return np.clip(length / 2 + 0.5 - np.hypot(u, v / slender), 0, 1)


def bars(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Parallel bars, thin or wide, at times crossed (fences, blinds, branches)."""
    clear = np.ones((h, w), np.float32)
    for _ in range(rng.choice((1, 1, 2))):
        ramp = across(rng, h, w) + rng.choice((0, 0.1)) * smooth_field(rng, h, w, 3)
        count, duty = log_uniform(rng, 0.6, min(h, w) / 8), rng.uniform(0.08, 0.7)
        clear *= (ramp * count + rng.random()) % 1 > duty
    return 1 - clear


SHAPES = (half_plane, blob, polygons, figure, leaves, bars)
FORMS = (hard_shadow, soft_shadow, many_shadows, tinted_shadow, deep_shade, relit)
