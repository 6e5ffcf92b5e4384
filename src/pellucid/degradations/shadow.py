"""Cast shadows (``shadowed``): soft polygons or blobs in which only the bluish skylight is left."""

import numpy as np
from PIL import Image, ImageDraw

from .fields import GAMMA, convolve, gaussian_kernel, smooth_field, smoothstep


def shadow_mask(rng: np.random.Generator, h: int, w: int) -> np.ndarray:
    """Penumbra-edged mask ``(h, w)`` in [0, 1] covering between a quarter and two thirds of the
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
    """Darken the mask in linear light to ``1 - 0.92 severity`` (medium: about half), bluer as it
    gets darker."""
    h, w = image.shape[:2]
    mask = shadow_mask(rng, h, w)[..., None]
    tint = 1 + rng.uniform(0.0, 0.12) * np.array([-1.0, 0.0, 1.0])
    relief = 0.85 + 0.15 * smoothstep(smooth_field(rng, h, w, 3))[..., None]
    depth = np.clip(0.92 * severity * rng.uniform(0.9, 1.05) * relief, 0, 0.95)
    light = 1 - mask * (1 - (1 - depth) * (1 + (tint - 1) * severity))
    return np.clip(image * np.maximum(light, 0) ** (1 / GAMMA), 0, 1).astype(np.float32)
