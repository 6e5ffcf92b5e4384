"""Masks and regions that a person gives: where to restore, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pellucid.errors import ImageError, UsageError
from pellucid.imaging.io import MAX_PIXELS, from_pil, read
from pellucid.imaging.photo import Photo

Mask = str | Path | bytes | Photo | Image.Image | np.ndarray | Tensor
FEATHER = 8  # px around what is restored, over which the restoration fades into the picture


def masks_of(mask: Mask | None, what: str, size: Sequence[int], max_pixels: int = MAX_PIXELS):
    """A mask for each picture of a batch: bool `(B, H, W)`, True where it is white; or None.

    Args:
        mask: a picture of the same size as the others, upright as they are (its EXIF orientation
            is applied): a file, a photo or a PIL image, white where more than half bright; an array
            or a tensor `(H, W)`, bool, or a number that is not 0. One is for all pictures;
            `(B, H, W)` is one for each.
        what: what messages call it, "mask" or "missing".
        size: `(B, H, W)` of the pictures.
        max_pixels: largest picture that is read.

    Raises:
        ImageError: a file cannot be read, or the sizes differ.
        UsageError: nothing is marked, or all is missing.
    """
    if mask is None:
        return None
    name = f"{what} {mask}" if isinstance(mask, str | Path) else what
    if isinstance(mask, Tensor):
        marked = mask.detach().cpu().numpy() != 0
    elif isinstance(mask, np.ndarray):
        marked = mask != 0
    else:
        if isinstance(mask, str | Path | bytes):
            mask = read(mask, max_pixels)
        photo = from_pil(mask) if isinstance(mask, Image.Image) else mask
        marked = photo.luma > 0.5
    if marked.ndim == 2:
        marked = marked[None]
    if marked.shape[1:] != tuple(size[1:]) or len(marked) not in (1, size[0]):
        raise ImageError(
            f"{name}: it is {_size(marked.shape)}, the picture {_size(size)}; both must be equal"
        )
    if not marked.any(axis=(1, 2)).all():
        raise UsageError(f"{name}: nothing in it is white, so there is nothing to do")
    if what == "missing" and marked.all(axis=(1, 2)).any():
        raise UsageError(f"{name}: all of it is white, so there is nothing to fill it from")
    return np.broadcast_to(marked, tuple(size))


def region_of(region: Sequence[int] | None, size: Sequence[int]) -> np.ndarray | None:
    """The rectangle `(x, y, width, height)` in pixels as a mask, bool `(B, H, W)`; or None.

    Raises:
        UsageError: it is no rectangle.
        ImageError: it is not wholly inside the picture.
    """
    if region is None:
        return None
    if len(region) != 4 or any(not isinstance(value, int | np.integer) for value in region):
        raise UsageError(f"region {region} is not four whole numbers: x, y, width, height")
    x, y, width, height = region
    if min(width, height) < 1:
        raise UsageError(f"region {_named(region)} is empty: width and height must be positive")
    if min(x, y) < 0 or x + width > size[2] or y + height > size[1]:
        raise ImageError(f"region {_named(region)} is not inside the picture ({_size(size)})")
    marked = np.zeros(tuple(size), bool)
    marked[:, y : y + height, x : x + width] = True
    return marked


def feathered(marked: np.ndarray) -> Tensor:
    """1 in what is marked, `(H, W)`, and from there to 0 at a distance of `2 FEATHER` px."""
    plane = torch.from_numpy(np.ascontiguousarray(marked, np.float32))[None, None]
    side = 2 * FEATHER + 1
    wide = F.max_pool2d(plane, side, 1, FEATHER)
    return F.avg_pool2d(F.pad(wide, [FEATHER] * 4, mode="replicate"), side, 1)[0, 0]


def _size(shape: Sequence[int]) -> str:
    return f"{shape[-1]} x {shape[-2]}"


def _named(region: Sequence[int]) -> str:
    return ",".join(map(str, region))
