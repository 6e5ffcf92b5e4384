"""Arrays, tensors and Pillow images to `Photo` and back: what comes in goes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pellucid.errors import UsageError
from pellucid.imaging.encoder import to_pil
from pellucid.imaging.photo import Photo, from_samples
from pellucid.imaging.reader import MAX_PIXELS, from_pil, read

Picture = str | Path | bytes | Photo | Image.Image | np.ndarray | Tensor


def opened(image: Picture, max_pixels: int = MAX_PIXELS) -> tuple[Tensor, Photo | None]:
    """Float32 RGB `(B, 3, H, W)` in [0, 1] of a picture, and its photo unless it is a tensor.

    Args:
        image: a path, a file's bytes, a photo, a PIL image, an array or a tensor; see
            `pellucid.restorer.Restorer.run`.
        max_pixels: largest picture that is read.

    Raises:
        ImageError: a file cannot be read.
        UsageError: another type, shape or range; says which it is.
    """
    if isinstance(image, Tensor):
        return as_batch(image), None
    if isinstance(image, Photo):
        photo = image
    elif isinstance(image, str | Path | bytes):
        photo = read(image, max_pixels)
    elif isinstance(image, Image.Image):
        photo = from_pil(image)
    else:
        photo = from_array(image)
    # A view of the photo's pixels, which nothing writes to: a copy of 100 megapixels is a gigabyte.
    pixels = photo.pixels if photo.pixels.flags.writeable else photo.pixels.copy()
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None]), photo


def pixels_of(picture: Tensor) -> np.ndarray:
    """Float32 `(H, W, 3)` of a tensor `(3, H, W)`."""
    return np.ascontiguousarray(picture.float().permute(1, 2, 0).cpu().numpy())


def as_batch(image: Tensor) -> Tensor:
    """`(B, 3, H, W)` float32 on the same device, of a float tensor that or `(3, H, W)`.

    Raises:
        UsageError: another type, shape or range; says which it is.
    """
    batch = image[None] if image.ndim == 3 else image
    if batch.ndim != 4 or batch.shape[1] != 3 or not image.is_floating_point():
        raise UsageError(
            f"a tensor must be float (3, H, W) or (B, 3, H, W), not {image.dtype} "
            f"{tuple(image.shape)}"
        )
    _check(batch)
    return batch.detach().float()


def from_array(image: np.ndarray) -> Photo:
    """A photo of an array `(H, W)` or `(H, W, 1..4)`, uint8, uint16 or float in [0, 1].

    Raises:
        UsageError: another type, shape or range; says which it is.
    """
    if not isinstance(image, np.ndarray):
        raise UsageError(
            f"cannot restore a {type(image).__name__}; give a path, a file's bytes, a Photo, a PIL "
            "image, a numpy array or a tensor"
        )
    samples = image[..., None] if image.ndim == 2 else image
    if samples.ndim != 3 or not 1 <= samples.shape[2] <= 4:
        raise UsageError(f"an array must be (H, W) or (H, W, 1..4), not {image.shape}")
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if samples.dtype in (np.uint8, np.uint16):
        _check(samples, is_float=False)
        pixels, alpha, grey = from_samples(samples)
        return Photo(pixels, alpha=alpha, grey=grey, bit_depth=8 * samples.itemsize)
    if not np.issubdtype(samples.dtype, np.floating):
        raise UsageError(f"an array must be uint8, uint16 or float, not {samples.dtype}")
    _check(samples)
    grey = samples.shape[2] < 3
    colours = samples[..., :1].repeat(3, axis=2) if grey else samples[..., :3]
    alpha = samples[..., -1].astype(np.float32) if samples.shape[2] in (2, 4) else None
    return Photo(np.ascontiguousarray(colours, np.float32), alpha=alpha, grey=grey, bit_depth=16)


def _check(values: np.ndarray | Tensor, is_float: bool = True) -> None:
    if 0 in values.shape:
        raise UsageError(f"the picture is empty: {tuple(values.shape)}")
    if not is_float:
        return
    low, high = float(values.min()), float(values.max())
    if not (low >= -0.01 and high <= 1.01):  # NaN fails too; resampling may overshoot a little
        raise UsageError(f"values must lie in [0, 1], not in [{low:.3g}, {high:.3g}]")


def like_given(given: Any, photo: Photo) -> Any:
    """The restored photo as the type that `Restorer` was given."""
    if isinstance(given, np.ndarray):
        if np.issubdtype(given.dtype, np.floating):
            return _float_samples(photo).reshape(given.shape).astype(given.dtype)
        return photo.samples(8 * given.itemsize).reshape(given.shape).astype(given.dtype)
    if isinstance(given, Image.Image):
        return _pillow(photo)
    return photo


def _float_samples(photo: Photo) -> np.ndarray:
    channels = [photo.luma[..., None] if photo.grey else photo.pixels]
    if photo.alpha is not None:
        channels.append(photo.alpha[..., None])
    return np.concatenate(channels, axis=2)


def _pillow(photo: Photo) -> Image.Image:
    """Mode L, LA, RGB or RGBA, or I;16 for 16-bit grey, with the metadata in `info`."""
    deep = photo.bit_depth == 16 and photo.grey and photo.alpha is None
    image = to_pil(photo.samples(16 if deep else 8))
    metadata = {"exif": photo.exif, "icc_profile": photo.icc, "dpi": photo.dpi, "xmp": photo.xmp}
    image.info.update({key: value for key, value in metadata.items() if value is not None})
    return image
