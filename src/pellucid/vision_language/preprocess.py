"""Preprocessing of pictures for image towers.

`thumbnail` is the preprocessing of CLIP and DA-CLIP: one small square of the whole. `windows` is
ours, for the small tower: noise, fine rain and compression blocks vanish in a thumbnail, so it
looks at squares of the picture at its own resolution. `embed` does what the model's config says.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pellucid.vision_language.clip import CLIPConfig
from pellucid.vision_language.controller import DaCLIP

if TYPE_CHECKING:
    from pellucid.vision_language.resnet import CLIPResNetConfig

MOST_WINDOWS = 25
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]
THINNEST = 100  # times as long as wide; what is thinner is not enlarged as a whole
BLOCK = 8  # px; windows start on the grid of blocks of a JPEG file, so the tower meets one grid


def thumbnail(image: Image.Image | Tensor, size: int) -> Tensor:
    """CLIP's preprocessing: shorter side to `size` px, centre square.

    Bit for bit the evaluation transform of open_clip and, for tensors, `clip_transform` of the
    official DA-CLIP code: float pictures are truncated (not rounded) to 8 bit, then resized by
    Pillow (bicubic, antialiased). Palette pictures become RGB before they are resized.

    Args:
        image: a PIL image of any mode, or float RGB (3, H, W) or (B, 3, H, W) in [0, 1].
        size: side of the square in pixels.

    Returns:
        Float32 (B, 3, size, size) in [0, 1], not yet normalised, on the CPU.
    """
    if isinstance(image, Image.Image):
        pictures = [image.convert("RGB") if image.mode == "P" else image]
    else:
        batch = image.detach().reshape(-1, *image.shape[-3:]).float().clamp(0, 1) * 255
        arrays = batch.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        pictures = [Image.fromarray(array) for array in arrays]
    squares = np.stack([np.asarray(_centre_square(p, size)) for p in pictures])
    return torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255


def _centre_square(picture: Image.Image, size: int) -> Image.Image:
    short, long = sorted(picture.size)
    if long > THINNEST * short:  # the rest would be enlarged in vain
        middle, half = long // 2, THINNEST * short // 2
        ends = (middle - half, 0, middle + half, short)
        picture = picture.crop(ends if picture.width == long else (0, ends[0], short, ends[2]))
    width, height = _fit(*picture.size, size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    return resized.crop((left, top, left + size, top + size)).convert("RGB")


def _fit(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height with the shorter side at `size`; the longer one is rounded down."""
    if width <= height:
        return size, int(size * height / width)
    return int(size * width / height), size


def eight_bit(image: Tensor) -> Tensor:
    """Round pictures in [0, 1] to the 256 levels of a file, with a straight-through gradient.

    For `windows`: a tower that looks at pixels has been trained on files. Unquantised haze was
    misclassified as JPEG.
    """
    kept = image.detach()
    return image + ((kept.clamp(0, 1) * 255).round() / 255 - kept)


def windows(image: Tensor, size: int) -> Tensor:
    """Cut up to 25 squares of the picture at its own resolution.

    The squares lie on a regular grid: they overlap in a small picture and leave gaps in a large
    one. A long picture gets a longer grid (up to 25 x 1). Each starts at a multiple of 8 px, where
    a block of a JPEG file does, so up to 7 px at the right and at the bottom may stay unseen. A
    picture narrower than a square is first enlarged (bicubic) until its shorter side fits.

    Args:
        image: float RGB (B, 3, H, W) in [0, 1].
        size: side of the squares in pixels.

    Returns:
        (B, V, 3, size, size), V <= 25, not yet normalised.
    """
    height, width = image.shape[-2:]
    if min(height, width) < size and max(height, width) > THINNEST * min(height, width):
        return _squares_of_a_line(image, size)
    if min(height, width) < size:
        width, height = _fit(width, height, size)
        image = F.interpolate(image, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
    rows, columns = grid(height, width, size)
    views = [
        image[..., y : y + size, x : x + size]
        for y in _starts(height, size, rows)
        for x in _starts(width, size, columns)
    ]
    return torch.stack(views, dim=1)


def squeezed(image: Tensor, size: int) -> Tensor:
    """Resize whole pictures to a square, whatever their proportions (bicubic, antialiased).

    The same as `F.interpolate(..., mode="bicubic", antialias=True)`, to 1e-6, written as two
    matrix products: OpenVINO's antialiased resizing of an exported graph gives other pixels.

    Args:
        image: float RGB (B, 3, H, W).
        size: side of the square in pixels.

    Returns:
        (B, 3, size, size), clamped to [0, 1].
    """
    rows, columns = (_resizing(image, side, size) for side in image.shape[-2:])
    return (rows @ image @ columns.T).clamp(0, 1)


def _resizing(image: Tensor, length: int, size: int) -> Tensor:
    """Weights (size, length) of each pixel in each pixel after an antialiased bicubic resizing."""
    scale = torch.scalar_tensor(length, dtype=torch.float32, device=image.device) / size
    stretch = scale.clamp(min=1)
    centre = (torch.arange(size, device=image.device)[:, None] + 0.5) * scale
    place = torch.arange(length, device=image.device) + 0.5
    x = ((place - centre) / stretch).abs()
    near = (1.5 * x - 2.5) * x * x + 1  # Keys' cubic with a = -0.5, as in Pillow
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = torch.where(x < 1, near, far) * (x < 2)
    return (weights / weights.sum(dim=1, keepdim=True)).to(image.dtype)


def _squares_of_a_line(image: Tensor, size: int) -> Tensor:
    """Squares as high as a very thin picture, evenly spread and then enlarged.

    To enlarge the picture first could take thousands of times its memory.
    """
    side = min(image.shape[-2:])
    starts = [
        round(i * (max(image.shape[-2:]) - side) / (MOST_WINDOWS - 1)) for i in range(MOST_WINDOWS)
    ]
    along = image if image.shape[-1] > side else image.transpose(-1, -2)
    squares = torch.stack([along[..., s : s + side] for s in starts], dim=1).flatten(0, 1)
    squares = squares if along is image else squares.transpose(-1, -2)
    larger = F.interpolate(squares, (size, size), mode="bicubic", antialias=True).clamp(0, 1)
    return larger.unflatten(0, (len(image), MOST_WINDOWS))


def grid(height: int, width: int, size: int) -> tuple[int, int]:
    """Rows and columns of `windows`: enough to cover the picture, or as many as 25 allow."""
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    most = math.isqrt(MOST_WINDOWS)
    return (
        min(rows, max(most, MOST_WINDOWS // columns)),
        min(columns, max(most, MOST_WINDOWS // rows)),
    )


def _starts(length: int, size: int, count: int) -> list[int]:
    """First pixels of `count` windows, evenly spread from edge to edge."""
    if count == 1:
        starts = [(length - size) // 2]
    else:
        starts = [round(i * (length - size) / (count - 1)) for i in range(count)]
    return [start // BLOCK * BLOCK for start in starts]


def preprocess(image: Tensor, config: CLIPConfig | CLIPResNetConfig) -> Tensor:
    """Normalised views (B, V, 3, S, S) of float RGB pictures (B, 3, H, W) in [0, 1]."""
    size = config.vision.image_size
    if config.views == "windows":
        views = windows(eight_bit(image), size)
    else:
        views = thumbnail(image, size)[:, None]
    mean, std = (views.new_tensor(values).view(3, 1, 1) for values in (config.mean, config.std))
    return (views - mean) / std


@torch.no_grad()
def embed(
    model: DaCLIP, image: Tensor, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Content and degradation embedding of pictures of any size.

    All views of a picture go through the tower in one batch; their embeddings are averaged without
    being normalised.

    Args:
        model: the tower; its device and dtype are used.
        image: float RGB (B, 3, H, W) in [0, 1].
        dtype: a lower precision of autocast, which changes their cosine by 1e-4.

    Returns:
        `(content, degradation)`, each float32 (B, D) on the model's device.
    """
    views = preprocess(image, model.config)
    batch, count = views.shape[:2]
    pixels = views.flatten(0, 1).to(model.logit_scale.device, model.logit_scale.dtype)
    with torch.autocast(pixels.device.type, dtype, enabled=dtype != torch.float32):
        content, degradation = model.encode_image(pixels, control=True)
    return (
        content.float().unflatten(0, (batch, count)).mean(dim=1),
        degradation.float().unflatten(0, (batch, count)).mean(dim=1),
    )


@torch.no_grad()
def sample_embedding(tower: Any, image: Tensor) -> Tensor:
    """Return the plain embedding (B, D), float32, of whole pictures.

    It is that of the thumbnail, or the mean over windows where the tower's config says so. A crop
    has another embedding than its picture: in training, embed the picture before cropping, turned
    as the crop is.

    Args:
        tower: has `config` and `encode_image`, as `CLIP`, `DaCLIP` (its plain tower) and
            `CLIPResNet` do; its device and dtype are used.
        image: float RGB (B, 3, H, W) in [0, 1].
    """
    views = preprocess(image, tower.config)
    weight = next(tower.parameters())
    embedded = tower.encode_image(views.flatten(0, 1).to(weight.device, weight.dtype))
    return embedded.float().unflatten(0, views.shape[:2]).mean(dim=1)
