"""JPEG compression (``jpeg-compressed``). Official DA-CLIP definition: quality 10."""

import io

import numpy as np
from PIL import Image


def quality(severity: float) -> int:
    """95 at severity 0, 10 (the official test strength) at 0.5, 3 at 1; geometric in between."""
    best, middle, worst = 95.0, 10.0, 3.0
    if severity <= 0.5:
        return round(best * (middle / best) ** (2 * severity))
    return round(middle * (worst / middle) ** (2 * severity - 1))


def compress(image: np.ndarray, q: int) -> np.ndarray:
    """Encode ``(H, W, 3)`` in [0, 1] at JPEG quality ``q`` (4:2:0, as the usual encoders do) and
    decode."""
    buffer = io.BytesIO()
    eight_bit = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    Image.fromarray(eight_bit).save(buffer, "JPEG", quality=q, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"), dtype=np.float32) / 255


def jpeg_compressed(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Compress at ``quality(severity)``; nothing is random, ``rng`` is not used."""
    return compress(image, quality(severity))
