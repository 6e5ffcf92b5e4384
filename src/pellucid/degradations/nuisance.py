"""What happens to every picture, damaged or not.

`vary_scene` changes the scene or the photograph of it: the ground truth has it, too.
`vary_file` is what a sensor and a file do to a good picture: slight grain, JPEG, rescaling,
softness. The restorer may take it away, and a picture with no more than that is called clean.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from .fields import log_uniform, luma, resize, size, smoothstep, soften
from .jpeg import FILTERS, compress, shifted
from .lettering import font, random_text
from .noise import field
from .raw import demosaic

MAX_GRAIN = 3.0  # of 255
Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


# ---- the scene ----


def tone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A gamma of 0.7 to 1.45 and more or less contrast about the middle."""
    x = image ** np.float32(log_uniform(rng, 0.7, 1.45))
    if rng.random() < 0.5:
        s = x * x * (3 - 2 * x)
        return x + np.float32(rng.uniform(0, 0.8)) * (s - x)
    return 0.5 + np.float32(rng.uniform(0.6, 1.3)) * (x - 0.5)


def white_balance(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Warmer or colder by up to a fifth, with a little green or magenta."""
    warm, green = rng.uniform(-0.2, 0.2), rng.uniform(-0.06, 0.06)
    return image * np.exp(np.array([warm, green, -warm], np.float32))


def saturation(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colours from nearly none to half as strong again."""
    grey = luma(image)
    return grey + np.float32(rng.uniform(0.1, 1.5)) * (image - grey)


def over_exposed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to 1.8 times the values; what is above white is lost."""
    return np.float32(rng.uniform(1.05, 1.8)) * image


def night_scene(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A good photograph of a dark scene: deep blacks, and lamps that are white."""
    h, w = image.shape[:2]
    dark = image ** np.float32(rng.uniform(1.8, 3.5))
    colour = np.exp(rng.uniform(-0.25, 0.25) * np.array([1.0, 0.0, -1.0], np.float32))
    dark = dark / max(float(np.quantile(dark[::4, ::4], 0.99)), 0.05) * colour
    for _ in range(int(rng.integers(0, 6))):
        cy, cx, r = rng.uniform(0, h), rng.uniform(0, w), log_uniform(rng, 0.7, 6)
        y, x = np.ogrid[0:h, 0:w]
        near = ((y - cy) ** 2 + (x - cx) ** 2).astype(np.float32) / np.float32(r * r)
        glow = np.exp(-near) * 1.5 + np.float32(rng.uniform(0, 0.3)) / (1 + near / 9)
        dark = dark + glow[..., None] * rng.uniform(0.6, 1, 3).astype(np.float32)
    return dark.astype(np.float32)


def white_background(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One part of the picture on white, grey or black, as goods in a shop, with an edge of 0.7 to
    2 px.

    The ground is a little uneven, so that it is no hole.
    """
    h, w = image.shape[:2]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    y, x = y / h - np.float32(rng.uniform(0.3, 0.7)), x / w - np.float32(rng.uniform(0.3, 0.7))
    angle, waves = np.arctan2(y, x), np.arange(1, 6)
    sizes, phases = rng.normal(0, 0.3, 5) / waves, rng.uniform(0, 2 * np.pi, 5)
    outline = np.zeros_like(angle)
    for amplitude, wave, phase in zip(sizes, waves, phases, strict=True):
        outline = outline + amplitude * np.cos(wave * angle + phase)
    radius = np.float32(rng.uniform(0.25, 0.7)) * np.exp(0.5 * outline.astype(np.float32))
    part = (np.hypot(x, y) < radius).astype(np.float32)
    ground = np.float32(rng.choice((1.0, 1.0, 0.97, 0.93, 0.85, 0.02)))
    ground = ground - np.float32(rng.uniform(0, 0.06)) * np.abs(
        y + np.float32(rng.choice((-1, 1))) * x
    )
    part, ground = soften(part, rng.uniform(0.7, 2))[..., None], ground[..., None]
    return ground + part * (image - ground)


def rescaled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An enlarged photograph: reduced to 0.5 to 0.95 and brought back."""
    return _there_and_back(image, rng, rng.uniform(0.5, 0.95))


def soft(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An average lens: sigma 0.3 to 0.8 px."""
    return soften(image, rng.uniform(0.3, 0.8))


def film(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Film grain, sigma 1 to 6 of 255: soft, in part common to the colours, strongest in the middle
    tones."""
    noise = field(rng, *size(image), 4, rng.uniform(0.4, 1.1))
    common = np.float32(rng.uniform(0.3, 1))
    noise = common * noise[..., 3:] + np.sqrt(1 - common**2) * noise[..., :3]
    return (
        image + np.float32(log_uniform(rng, 1, 6) / 255) * (0.4 + 2.4 * image * (1 - image)) * noise
    )


def lettered(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Text on an even panel in the picture or all over it: signs, captions, pages, screenshots."""
    h, w = image.shape[:2]
    canvas = Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    paper = rng.integers(190, 256, 3) if rng.random() < 0.6 else rng.integers(0, 256, 3)
    ink = rng.integers(0, 70, 3) if paper.mean() > 128 else rng.integers(185, 256, 3)
    left, right = np.sort(rng.uniform(0, 1, 2) * w) if rng.random() < 0.7 else (0, w)
    top, bottom = np.sort(rng.uniform(0, 1, 2) * h) if rng.random() < 0.7 else (0, h)
    right, bottom = max(right, left + 8), max(bottom, top + 8)
    draw.rectangle([left, top, right, bottom], fill=tuple(paper.tolist()))
    size = log_uniform(rng, 7, max(8, min(h, w) / 3))
    y = top + 0.2 * size
    while y < bottom - 0.5 * size:
        line = random_text(rng, int(1 + 1.8 * (right - left) / size))
        draw.text((left + 0.3 * size, y), line, fill=tuple(ink.tolist()), font=font(round(size)))
        y += size * 1.3
    # Letters that run out of the panel would lie on the scene, as holes do.
    drawn = np.asarray(canvas, np.float32) / 255
    rows, columns = slice(int(top), int(bottom) + 1), slice(int(left), int(right) + 1)
    out = image.copy()
    out[rows, columns] = drawn[rows, columns]
    return out


def drawing(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Few even tones and dark outlines, as of a cartoon, a map or a screenshot."""
    small = soften(image, rng.uniform(0.7, 2))
    steps = np.float32(rng.integers(2, 7))
    flat = soften(np.round(small * steps) / steps, 0.45)
    if rng.random() < 0.5:
        grey = luma(small)[..., 0]
        gy, gx = np.gradient(grey) if min(grey.shape) > 1 else (grey, grey)
        edge = smoothstep(np.hypot(gx, gy) * np.float32(rng.uniform(6, 20)) - 0.3)
        flat = flat * (1 - edge[..., None])
    return flat


def illustration(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """No photograph: even shapes and lines in a few colours of it, as in icons and diagrams."""
    h, w = image.shape[:2]
    spots = rng.integers(h, size=6), rng.integers(w, size=6)
    colours = [tuple(int(255 * v) for v in colour) for colour in np.clip(image[spots], 0, 1)]
    colours += [(255, 255, 255), (20, 20, 20)]
    canvas = Image.new("RGB", (2 * w, 2 * h), colours[-2 if rng.random() < 0.4 else 0])
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(4, 30))):
        colour = colours[rng.integers(len(colours))]
        size = log_uniform(rng, 4, max(8, min(h, w))) * rng.uniform(0.3, 1, 2)
        (x, y), width = rng.uniform(0, 2, 2) * (w, h), int(rng.integers(1, 8))
        box, kind = [x - size[0], y - size[1], x + size[0], y + size[1]], rng.integers(6)
        if kind < 2:
            (draw.rectangle if kind else draw.ellipse)(box, fill=colour)
        elif kind < 4:
            # Pillow fails at some boxes between whole pixels.
            left, top, right, bottom = whole = [round(v) for v in box]
            radius = min(right - left, bottom - top) // 2
            draw.rounded_rectangle(whole, radius, fill=colour, outline=colours[-1])
        elif kind < 5:
            draw.line(box, fill=colour, width=width)
        else:
            letters = random_text(rng, int(rng.integers(2, 14)))
            draw.text((x, y), letters, fill=colour, font=font(round(size.max())))
    small = canvas.resize((w, h), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


def halftone(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Print: dots of 3 to 8 px that grow with the darkness, in grey or in each colour."""
    h, w = image.shape[:2]
    pitch, angles = rng.uniform(3, 8), np.deg2rad(np.array([15, 75, 0]) + rng.uniform(0, 90))
    source = image if rng.random() < 0.6 else luma(image).repeat(3, axis=-1)
    if rng.random() < 0.4:
        angles[:] = angles[0]
    y, x = np.mgrid[0:h, 0:w].astype(np.float32) * np.float32(2 * np.pi / pitch)
    cos, sin = np.cos(angles, dtype=np.float32), np.sin(angles, dtype=np.float32)
    u, v = x[..., None] * cos + y[..., None] * sin, y[..., None] * cos - x[..., None] * sin
    screen = 0.5 + 0.25 * (np.cos(u) + np.cos(v))
    return smoothstep(0.5 + (source - screen) * np.float32(rng.uniform(1.5, 4)))


def black_and_white(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grey by random weights of the colours, as by different films and filters."""
    weights = rng.dirichlet((3, 5, 2)).astype(np.float32)
    return np.repeat((image @ weights)[..., None], 3, axis=-1)


SCENE: tuple[tuple[Change, float], ...] = (
    (rescaled, 0.07),
    (soft, 0.07),
    (white_background, 0.03),
    (over_exposed, 0.06),
    (night_scene, 0.03),
    (tone, 0.2),
    (white_balance, 0.15),
    (saturation, 0.12),
    (drawing, 0.02),
    (illustration, 0.015),
    (halftone, 0.015),
    (lettered, 0.03),
    (black_and_white, 0.12),
    (film, 0.08),
)  # in this order, each with its probability


def vary_scene(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change the scene `(H, W, 3)` in [0, 1] by each of `SCENE` with its probability."""
    return _each(image, rng, SCENE)


# ---- the file ----


def grain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of sigma 0.3 to 3 of 255: white, shot, correlated as by demosaicing or by a denoiser,
    or one field for all colours."""
    h, w = image.shape[:2]
    kind = rng.integers(5)
    noise = field(rng, h, w, 1 if kind == 4 else 3, rng.uniform(0.4, 1) if kind == 3 else 0)
    if kind == 1:
        noise *= np.sqrt(image) + np.float32(0.2)
    elif kind == 2:
        noise = demosaic(noise, rng.integers(2, size=2))
    return image + np.float32(log_uniform(rng, 0.3, MAX_GRAIN) / 255) * noise


def slightly_rescaled(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarged to at most 1.5, or reduced to at least 0.8, and brought back."""
    return _there_and_back(image, rng, log_uniform(rng, 0.8, 1.5))


def softer_or_sharper(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A blur of sigma 0.2 to 0.55 px, or an unsharp mask of up to a half."""
    if rng.random() < 0.5:
        return soften(image, rng.uniform(0.2, 0.55))
    return image + np.float32(rng.uniform(0.1, 0.5)) * (
        image - soften(image, rng.uniform(0.6, 1.5))
    )


def saved(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """JPEG of quality 50 to 98, any subsampling, the grid at the corner or anywhere."""
    q = round(98 - 48 * rng.random() ** 1.5)
    return compress(image, q, rng) if rng.random() < 0.6 else shifted(image, q, rng)


FILE: tuple[tuple[Change, float], ...] = (
    (softer_or_sharper, 0.12),
    (grain, 0.3),
    (slightly_rescaled, 0.08),
    (saved, 0.4),
)


def vary_file(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change the picture `(H, W, 3)` in [0, 1] by each of `FILE` with its probability."""
    return _each(image, rng, FILE)


def _each(
    image: np.ndarray, rng: np.random.Generator, changes: tuple[tuple[Change, float], ...]
) -> np.ndarray:
    for change, probability in changes:
        if rng.random() < probability:
            image = np.clip(change(image, rng), 0, 1).astype(np.float32, copy=False)
    return image


def _there_and_back(image: np.ndarray, rng: np.random.Generator, scale: float) -> np.ndarray:
    h, w = image.shape[:2]
    there, back = rng.choice(len(FILTERS), 2)
    other = resize(image, max(1, round(h * scale)), max(1, round(w * scale)), FILTERS[there])
    return resize(other, h, w, FILTERS[back])
