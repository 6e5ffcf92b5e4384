"""Missing regions (``uncompleted``): white-filled, as in DA-CLIP (``LQ = m J + (1 - m)``).

The official test uses 100 RePaint masks of 256 x 256 that keep 50 to 97 % (70 % on average); here
free-form strokes are drawn until the wanted share is covered.
"""

import numpy as np
from PIL import Image, ImageDraw

MAX_COVER = 0.5


def strokes(rng: np.random.Generator, h: int, w: int, cover: float) -> np.ndarray:
    """Boolean ``(h, w)``, True where missing: strokes of one brush size until ``cover`` is reached.

    The strokes are the same for one ``rng`` state, so a larger cover contains a smaller one.
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
    """Fill strokes that cover ``severity / 2`` of the image with white (a quarter at medium)."""
    missing = strokes(rng, *image.shape[:2], MAX_COVER * severity)
    return np.where(missing[..., None], np.float32(1), image)
