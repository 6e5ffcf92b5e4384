"""JPEG compression (`jpeg-compressed`). Official DA-CLIP definition: quality 10.

`FORMS` are files as they are found: of any subsampling, saved twice, cut, resized, or WebP.
"""

import io

import numpy as np
from PIL import Image

from .fields import log_uniform, resize

SUBSAMPLINGS = (2, 2, 2, 0, 0, 1)  # 4:2:0, 4:4:4 and 4:2:2, about as often as they are met
BLOCK = 8
FILTERS = (
    Image.Resampling.BILINEAR,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
    Image.Resampling.BOX,
    Image.Resampling.HAMMING,
)


def quality(severity: float) -> int:
    """95 at severity 0, 10 (the official test strength) at 0.5, 3 at 1; geometric in between."""
    best, middle, worst = 95.0, 10.0, 3.0
    if severity <= 0.5:
        return round(best * (middle / best) ** (2 * severity))
    return round(middle * (worst / middle) ** (2 * severity - 1))


def compress(
    image: np.ndarray, q: int, rng: np.random.Generator | None = None, kind: str = "JPEG"
) -> np.ndarray:
    """Encode `(H, W, 3)` in [0, 1] at quality `q` and decode.

    4:2:0, as the usual encoders do; with `rng`, a random subsampling. `kind` may be "WEBP".
    """
    buffer = io.BytesIO()
    subsampling = 2 if rng is None else int(rng.choice(SUBSAMPLINGS))
    options = {"subsampling": subsampling} if kind == "JPEG" else {"method": 2}
    eight_bit = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(eight_bit).save(buffer, kind, quality=q, **options)
    return np.asarray(Image.open(buffer).convert("RGB"), dtype=np.float32) / 255


def jpeg_compressed(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Compress at `quality(severity)`; nothing is random, `rng` is not used."""
    return compress(image, quality(severity))


def _quality(rng: np.random.Generator, least: float = 5, most: float = 60) -> int:
    return round(log_uniform(rng, least, most))


def shifted(image: np.ndarray, q: int, rng: np.random.Generator, kind: str = "JPEG") -> np.ndarray:
    """Compress with the grid of blocks anywhere: the picture is a cut of a larger file."""
    top, left = rng.integers(BLOCK, size=2)
    h, w = image.shape[:2]
    padded = np.pad(image, ((top, 0), (left, 0), (0, 0)), mode="symmetric")
    return compress(padded, q, rng, kind)[top : top + h, left : left + w]


def once(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """libjpeg at quality 5 to 60, any subsampling; the grid begins at the picture's corner."""
    return compress(image, _quality(rng), rng)


def cut(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same with the grid anywhere."""
    return shifted(image, _quality(rng), rng)


def twice(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Saved twice on one grid: one quality of 5 to 60, one of 20 to 95, in either order."""
    qualities = rng.permutation([_quality(rng), _quality(rng, 20, 95)])
    for q in qualities:
        image = compress(image, int(q), rng)
    return image


def twice_shifted(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Saved, cut and saved again: double JPEG with grids that do not align (FBCNN, ICCV 2021)."""
    first, second = rng.permutation([_quality(rng), _quality(rng, 10, 95)])
    return compress(shifted(image, int(first), rng), int(second), rng)


def resized(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Enlarged or reduced, saved, brought back to size, and in half of the cases saved again.

    Blocks are no longer 8 px wide, as in pictures that went through a web site.
    """
    h, w = image.shape[:2]
    scale = log_uniform(rng, 0.7, 1.6)
    there, back = rng.choice(len(FILTERS), 2)
    other = resize(image, max(1, round(h * scale)), max(1, round(w * scale)), FILTERS[there])
    other = compress(other, _quality(rng, 5, 50), rng)
    image = np.clip(resize(other, h, w, FILTERS[back]), 0, 1)
    return compress(image, _quality(rng, 30, 95), rng) if rng.random() < 0.5 else image


def webp(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """WebP (VP8) at quality 1 to 50."""
    return shifted(image, round(log_uniform(rng, 1, 50)), rng, "WEBP")


FORMS = (once, once, once, cut, cut, twice, twice_shifted, resized, webp)
