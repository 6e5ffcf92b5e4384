"""Missing regions (`uncompleted`): white-filled, as in DA-CLIP (`LQ = m J + (1 - m)`).

The official test uses 100 RePaint masks of 256 x 256 that keep 50 to 97 % (70 % on average); here
free-form strokes are drawn until the wanted share is covered.

`FORMS` are holes of many shapes filled with any even colour. Their edges are hard: a pixel is
either exactly the colour or exactly the picture.
"""

import numpy as np
from PIL import Image, ImageDraw

from .fields import log_uniform, size, smooth_field
from .lettering import font, random_text

MAX_COVER = 0.5


def strokes(rng: np.random.Generator, h: int, w: int, cover: float) -> np.ndarray:
    """Boolean `(h, w)`, True where missing: strokes of one brush size until `cover` is reached.

    The strokes are the same for one `rng` state, so a larger cover contains a smaller one.
    """
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)
    own = np.random.default_rng(rng.integers(2**63))
    side = min(h, w)
    brush = side * np.exp(own.uniform(np.log(0.015), np.log(0.09)))
    missing = np.zeros((h, w), bool)
    for _ in range(10_000):
        if missing.mean() >= cover:
            break
        point = own.uniform(0, 1, 2) * (w, h)
        heading = own.uniform(0, 2 * np.pi)
        width = max(1.0, brush * own.uniform(0.7, 1.3))
        for _ in range(int(own.integers(1, 5))):
            heading += own.normal(0, 0.8)
            end = point + own.uniform(0.05, 0.2) * side * np.array(
                [np.cos(heading), np.sin(heading)]
            )
            draw.line([*point, *end], fill=255, width=round(width))
            draw.ellipse([*(end - width / 2), *(end + width / 2)], fill=255)
            point = end
            missing = np.asarray(canvas) > 0
            if missing.mean() >= cover:
                break
    return missing


def uncompleted(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Fill strokes that cover `severity / 2` of the image with white (a quarter at medium)."""
    missing = strokes(rng, *size(image), MAX_COVER * severity)
    return np.where(missing[..., None], np.float32(1), image)


def _colour(rng: np.random.Generator) -> np.ndarray:
    """White, black, middle grey, or any even colour, on the levels of a file."""
    kind = rng.random()
    if kind < 0.35:
        value = 255
    elif kind < 0.6:
        value = 0
    elif kind < 0.75:
        value = rng.integers(126, 130)
    elif kind < 0.85:
        value = rng.integers(256)
    else:
        return rng.integers(256, size=3).astype(np.float32) / 255
    return np.full(3, value, np.float32) / 255


def fill(image: np.ndarray, missing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put one even colour where `missing` `(H, W)` is True; the rest is untouched."""
    return np.where(missing[..., None], _colour(rng), image).astype(np.float32, copy=False)


def _size(rng: np.random.Generator, h: int, w: int, least: float, most: float) -> float:
    """A length from `least` px to `most` of the shorter side, log-uniform."""
    return log_uniform(rng, least, max(most * min(h, w), least))


def _brushed(
    rng: np.random.Generator, h: int, w: int, brush: float, cover: float, reach: float
) -> np.ndarray:
    """Bent strokes of `brush` px, `reach` px a piece, that cover about `cover`."""
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)
    wanted = max(1.0, -np.log(1 - cover) * h * w / (brush * (reach + brush)))
    pieces = int(min(np.ceil(wanted), 400))
    point, heading = rng.uniform(0, 1, 2) * (w, h), rng.uniform(0, 2 * np.pi)
    bend, widths = rng.uniform(0.2, 1.5), brush * rng.uniform(0.7, 1.3, pieces)
    for width in widths:
        heading += rng.normal(0, bend)
        end = point + rng.uniform(0.5, 1.5) * reach * np.array([np.cos(heading), np.sin(heading)])
        draw.line([*point, *end], fill=255, width=max(1, round(width)))
        if width > 2:
            draw.ellipse([*(end - width / 2), *(end + width / 2)], fill=255)
        outside = not (0 <= end[0] <= w and 0 <= end[1] <= h)
        point = rng.uniform(0, 1, 2) * (w, h) if outside or rng.random() < 0.2 else end
    return np.asarray(canvas) > 0


def thin_strokes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes of 1 px to a thirtieth of the side on 2 to 60 % ("thin", LaMa and RePaint)."""
    h, w = image.shape[:2]
    brush = _size(rng, h, w, 1, 1 / 30)
    reach = _size(rng, h, w, 8, 0.4)
    return fill(image, _brushed(rng, h, w, brush, log_uniform(rng, 0.02, 0.6), reach), rng)


def wide_strokes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes of 4 px to a third of the side on 5 to 70 % ("wide", LaMa and RePaint)."""
    h, w = image.shape[:2]
    brush = _size(rng, h, w, 4, 1 / 3)
    reach = _size(rng, h, w, 8, 0.5)
    return fill(image, _brushed(rng, h, w, brush, log_uniform(rng, 0.05, 0.7), reach), rng)


def boxes(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One to thirty boxes of 2 px to half the side; a third of them lie askew."""
    h, w = image.shape[:2]
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)
    largest = _size(rng, h, w, 4, 0.6)
    many = max(1, min(30, int(0.6 * h * w / largest**2)))
    askew = rng.random() < 1 / 3
    for _ in range(int(rng.integers(1, many + 1))):
        corner = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * largest * rng.uniform(0.2, 0.5, 2)
        angle = rng.uniform(0, np.pi) if askew else 0
        cos, sin = np.cos(angle), np.sin(angle)
        corner = corner @ np.array([[cos, -sin], [sin, cos]]) + rng.uniform(0, 1, 2) * (w, h)
        draw.polygon([tuple(c) for c in corner], fill=255)
    return fill(image, np.asarray(canvas) > 0, rng)


def blobs(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stains of any size: a smooth random field above a height, 2 to 60 % of the picture."""
    h, w = image.shape[:2]
    field = smooth_field(rng, h, w, log_uniform(rng, 2, max(h, w) / 4 + 2))
    return fill(image, field >= np.quantile(field, 1 - log_uniform(rng, 0.02, 0.6)), rng)


def text(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lines of letters of 7 px to a third of the side, over all or a part of the picture; a quarter
    of them lie askew."""
    h, w = image.shape[:2]
    canvas = Image.new("1", (w, h))
    draw = ImageDraw.Draw(canvas)
    draw.fontmode = "1"  # without grey edges: a hole is even
    size = _size(rng, h, w, 7, 1 / 3)
    top, bottom = np.sort(rng.uniform(-0.2, 1, 2)) * h if rng.random() < 0.5 else (0, h)
    while True:
        line = random_text(rng, int(rng.integers(3, 4 + 2.5 * w / size)))
        draw.text((rng.uniform(-size, w / 4), top), line, fill=1, font=font(round(size)))
        top += size * rng.uniform(1, 2.5)
        if top >= bottom:
            break
    if rng.random() < 0.25:
        turned = np.asarray(canvas.rotate(rng.uniform(-45, 45)))
        if turned.any():
            return fill(image, turned, rng)
    return fill(image, np.asarray(canvas), rng)


def scratches(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Long nearly straight lines of 1 to 4 px, in any direction or upright as on film."""
    h, w = image.shape[:2]
    canvas = Image.new("L", (w, h))
    draw = ImageDraw.Draw(canvas)
    upright = rng.random() < 0.4
    width = int(rng.integers(1, 5)) if min(h, w) > 48 else 1
    for _ in range(round(log_uniform(rng, 1, 25))):
        length = rng.uniform(0.2, 1.5) * max(h, w)
        angle = np.pi / 2 + rng.normal(0, 0.02) if upright else rng.uniform(0, np.pi)
        steps = np.linspace(-length / 2, length / 2, 8)
        wander = np.cumsum(rng.normal(0, 0.3 if upright else 0.02 * length / 8 + 0.3, 8))
        cx, cy = rng.uniform(0, 1, 2) * (w, h)
        x = cx + np.cos(angle) * steps - np.sin(angle) * wander
        y = cy + np.sin(angle) * steps + np.cos(angle) * wander
        draw.line(list(zip(x, y, strict=True)), fill=255, width=int(rng.integers(1, width + 1)))
    return fill(image, np.asarray(canvas) > 0, rng)


def pixels(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Single squares of 1 to 4 px at random places, 0.5 to 85 % of the picture."""
    h, w = image.shape[:2]
    side = int(rng.choice((1, 1, 1, 2, 3, 4)))
    coarse = rng.random((-(-h // side), -(-w // side))) < log_uniform(rng, 0.005, 0.85)
    coarse[rng.integers(coarse.shape[0]), rng.integers(coarse.shape[1])] = True
    return fill(image, coarse.repeat(side, axis=0).repeat(side, axis=1)[:h, :w], rng)


def half(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One side is gone, 5 to 60 % of it, or all but the middle ("half", "expand" of RePaint)."""
    h, w = image.shape[:2]
    y, x = np.mgrid[0:h, 0:w]
    y, x = (y + 0.5) / h, (x + 0.5) / w
    if rng.random() < 0.25:
        known = rng.uniform(0.5, 0.95)
        missing = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)) > known / 2
    else:
        along = (x, 1 - x, y, 1 - y)[rng.integers(4)]
        missing = along < rng.uniform(0.05, 0.6)
    return fill(image, missing, rng)


def lines(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Every second to sixth row or column, or all but every second of both ("alternating lines",
    "super-resolve" of RePaint)."""
    h, w = image.shape[:2]
    period = int(rng.choice((2, 2, 2, 3, 4, 6)))
    width = int(rng.integers(1, period))
    row = (np.arange(h) + rng.integers(period)) % period < width
    column = (np.arange(w) + rng.integers(period)) % period < width
    kind = rng.random()
    if kind < 0.4:
        missing = np.broadcast_to(row[:, None], (h, w))
    elif kind < 0.7:
        missing = np.broadcast_to(column[None], (h, w))
    else:
        missing = row[:, None] | column[None]
    return fill(image, missing, rng)


FORMS = (
    thin_strokes,
    thin_strokes,
    wide_strokes,
    wide_strokes,
    boxes,
    blobs,
    text,
    scratches,
    pixels,
    half,
    lines,
)
