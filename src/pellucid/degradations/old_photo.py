"""Old photographs: several small damages of print, paper and album, one after the other.

Not a word of DA-CLIP; after the kinds of Wan et al. (CVPR 2020): structured damage (scratches,
dust, creases, stains) and unstructured (fading, colour, soft focus, grain). The forms are ours.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from .fields import log_uniform, luma, smooth_field, smoothstep, soften
from .layers import bounded, grains, plasma, tint, top_share


def old_photo(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Age `(H, W, 3)` float32 RGB in [0, 1] to the same: each damage with its own probability,
    at least one, in the order of a print's life."""
    drawn = rng.random(len(CHAIN)) < [p for p, _ in CHAIN]
    drawn[rng.integers(len(CHAIN))] = True
    for (_, damage), chosen in zip(CHAIN, drawn, strict=True):
        if chosen:
            image = bounded(damage(image, rng))
    return image


def soft_focus(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An old lens: slight blur, at times with a glow."""
    soft = soften(image, log_uniform(rng, 0.4, 2))
    glow = rng.choice((0, rng.uniform(0, 0.5)))
    return soft * (1 - glow) + glow * soften(image, rng.uniform(2, 6))


def grain(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grain of the film, the same in all channels."""
    h, w = image.shape[:2]
    noise = grains(rng, h, w, rng.uniform(0.8, 2.5))[..., None]
    return image + log_uniform(rng, 0.005, 0.07) * noise


def toned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black and white or sepia: luma between a dark and a pale colour, or part of the way there."""
    warm = rng.choice((0, rng.uniform(0, 0.35)))
    dark = rng.uniform(0, 0.15) * np.array([1, 1 - warm, 1 - 2 * warm])
    pale = rng.uniform(0.75, 1) * np.array([1, 1 - 0.3 * warm, 1 - warm])
    toned = dark + luma(image) * (pale - dark)
    share = rng.choice((1, rng.uniform(0.3, 1)))
    return image * (1 - share) + share * toned


def faded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blacks rise and whites fall, unevenly over the sheet."""
    h, w = image.shape[:2]
    amount = log_uniform(rng, 0.1, 0.75)
    amount = amount * (1 - rng.uniform(0, 0.6) * smooth_field(rng, h, w, rng.uniform(1, 3)))
    return image + amount[..., None] * (tint(rng, 0.45, 0.85, 0.1) - image)


def yellowed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Dyes and paper age: blue goes first, or red in colour prints."""
    lost = np.array([0.1, 0.3, 1]) if rng.random() < 0.7 else np.array([0.3, 1, 0.5])
    return image * (1 - log_uniform(rng, 0.05, 0.5) * lost)


def stained(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Water stains, with a dark edge, and mould."""
    h, w = image.shape[:2]
    field = plasma(rng, h, w, rng.uniform(1.8, 2.6))
    level = np.quantile(field, rng.uniform(0.6, 0.97))
    width = rng.uniform(0.01, 0.04)
    inside = smoothstep((field - level) / width)
    edge = np.exp(-(((field - level) / width) ** 2))
    depth = rng.uniform(0, 0.4) * inside + rng.uniform(0, 0.4) * edge
    return image * (1 - depth[..., None] * np.array([rng.uniform(0.3, 1), 0.8, 1]))


def creased(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Folds right across the sheet: a worn pale line, shaded on one side."""
    h, w = image.shape[:2]
    y, x = np.arange(h, dtype=np.float32)[:, None], np.arange(w, dtype=np.float32)
    for _ in range(rng.integers(1, 4)):
        angle = rng.normal(0, 0.15) + rng.choice((0, np.pi / 2, rng.uniform(0, np.pi)))
        offset = rng.uniform(0, w) * np.cos(angle) + rng.uniform(0, h) * np.sin(angle)
        distance = np.cos(angle) * x + np.sin(angle) * y - offset
        distance = distance + 1.5 * grains(rng, h, w, rng.uniform(4, 20)) * rng.random()
        relief = (
            rng.uniform(-0.2, 0.2)
            * np.sign(distance)
            * np.exp(-np.abs(distance) / log_uniform(rng, 2, 20))
        )
        worn = np.clip(rng.uniform(0.5, 3) - np.abs(distance), 0, 1) * rng.uniform(0.2, 1)
        worn = worn * top_share(grains(rng, h, w, rng.uniform(2, 8)), rng.uniform(0.4, 1), 1.5)
        paper = tint(rng, 0.7, 1, 0.08)
        image = image * (1 + relief[..., None])
        image = image + worn[..., None] * (paper - image)
    return image


def scratched(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thin bright or dark lines: long and straight, or short and crooked."""
    h, w = image.shape[:2]
    paths = []
    for _ in range(int(log_uniform(rng, 1, 25))):
        steps = int(rng.integers(2, 8))
        length = log_uniform(rng, 0.05, 1.5) * max(h, w)
        heading = rng.choice((np.pi / 2 + rng.normal(0, 0.1), rng.uniform(0, 2 * np.pi)))
        turns = heading + np.cumsum(rng.normal(0, rng.uniform(0.02, 0.4), steps))
        walk = np.cumsum(length / steps * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
        paths.append(rng.uniform(0, 1, 2) * (w, h) + walk - walk.mean(0))
    alpha = drawn(h, w, paths, rng) * rng.uniform(0.3, 1)
    broken = 1 - rng.uniform(0, 1) * smoothstep(grains(rng, h, w, rng.uniform(3, 12)))
    alpha = (alpha * broken)[..., None]
    return image + alpha * (line_colour(rng) - image)


def dusty(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Specks of 1 to 8 px and curled hairs, mostly pale."""
    h, w = image.shape[:2]
    specks = top_share(
        grains(rng, h, w, log_uniform(rng, 1, 6)), log_uniform(rng, 0.0005, 0.02), 0.3
    )
    hairs = []
    for _ in range(rng.integers(0, 6)):
        turns = rng.uniform(0, 6.3) + np.cumsum(rng.normal(rng.normal(0, 0.4), 0.2, 12))
        step = log_uniform(rng, 0.8, 5)
        walk = np.cumsum(step * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
        hairs.append(rng.uniform(0, 1, 2) * (w, h) + walk)
    alpha = np.maximum(specks, drawn(h, w, hairs, rng)) * rng.uniform(0.4, 1)
    return image + alpha[..., None] * (line_colour(rng) - image)


def drawn(h: int, w: int, paths: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Lines through points `(n, 2)` as an anti-aliased mask `(h, w)` in [0, 1]."""
    canvas = Image.new("L", (2 * w, 2 * h))
    draw = ImageDraw.Draw(canvas)
    for path in paths:
        width = int(np.ceil(log_uniform(rng, 0.6, 5)))
        draw.line([tuple(2 * p) for p in path], fill=int(rng.integers(90, 256)), width=width)
    return np.asarray(canvas.reduce(2), np.float32) / 255


def line_colour(rng: np.random.Generator) -> np.ndarray:
    """Pale paper or emulsion, seldom dark."""
    return tint(rng, 0.75, 1, 0.06) if rng.random() < 0.75 else tint(rng, 0, 0.25, 0.04)


CHAIN: tuple[tuple[float, Callable[[np.ndarray, np.random.Generator], np.ndarray]], ...] = (
    (0.5, soft_focus),
    (0.6, toned),
    (0.5, grain),
    (0.5, faded),
    (0.35, yellowed),
    (0.25, stained),
    (0.25, creased),
    (0.5, scratched),
    (0.5, dusty),
)
"""Probability and damage, in the order in which they happen."""
