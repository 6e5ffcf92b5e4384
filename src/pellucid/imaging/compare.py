"""Before and after, side by side in one picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pellucid.imaging.encoder import to_pil
from pellucid.imaging.photo import Photo

DIVIDER = 4  # pixels
LONGEST = 1600  # of either half; larger pictures are shown smaller


def side_by_side(
    before: Photo, after: Photo, labels: tuple[str, str] = ("before", "after")
) -> Photo:
    """A picture `2 W + divider` wide with both, labelled; transparent parts are shown on white.

    The colour profile is that of `after`.
    """
    halves = [_shown(photo) for photo in (before, after)]
    width, height = halves[0].size
    canvas = Image.new("RGB", (2 * width + DIVIDER, height), "white")
    for half, label, x in zip(halves, labels, (0, width + DIVIDER), strict=True):
        _label(half, label)
        canvas.paste(half, (x, 0))
    pixels = np.asarray(canvas, dtype=np.float32) / 255
    return Photo(pixels, icc=after.icc if not after.grey else None)


def _shown(photo: Photo) -> Image.Image:
    image = to_pil(photo.samples(8)).convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(white, image).convert("RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return image


def _label(image: Image.Image, text: str) -> None:
    """White letters on a dark plate in the corner, sized by the picture; none on tiny pictures."""
    size = max(10, min(image.size) // 24)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(image, "RGBA")
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = size // 2
    plate = (right - left + 2 * pad, bottom - top + 2 * pad)
    if plate[0] > image.width or plate[1] > image.height:
        return
    draw.rectangle((0, 0, *plate), fill=(0, 0, 0, 160))
    draw.text((pad - left, pad - top), text, font=font, fill="white")
