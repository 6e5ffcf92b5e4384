"""Parts that several networks share."""

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BAND = 32 * 2**20  # bytes of a layer's widest map; 64 MiB are as fast, 8 are slower
Layer = TypeVar("Layer", bound=nn.Linear | nn.Conv2d)


class Blocks(nn.ModuleList):
    """Layers `(x, *others) -> x` in turn, each with the same other arguments."""

    def forward(self, x: Tensor, *others: Tensor | None) -> Tensor:
        """Apply all to `(B, C, H, W)`."""
        for block in self:
            x = block(x, *others)
        return x


def zeroed(layer: Layer) -> Layer:
    """Set weight and bias of a layer to zero and return it."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad `(B, C, H, W)` on the right and at the bottom until both sides are multiples.

    By reflection, as the official networks do; a side too short for that repeats its edge.
    """
    h, w = x.shape[-2:]
    bottom, right = -h % multiple, -w % multiple
    if not (bottom or right):
        return x
    mode = "reflect" if bottom < h and right < w else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)


def bands(x: Tensor, channels: int) -> Iterator[slice]:
    """Rows of (B, C, H, W) to go through one after the other, where maps have so many channels.

    All at once where gradients are asked for or the device is no CPU, and in a graph, which would
    keep the number of bands that one size has.
    """
    height = x.shape[2]
    traced = torch.compiler.is_compiling()
    if x.device.type != "cpu" or torch.is_grad_enabled() or traced:
        return iter([slice(0, height)])
    rows = max(4, BAND // (4 * x.shape[0] * channels * x.shape[3]))
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


def channel_layer_norm(x: Tensor, gain: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """Layer norm over the channels of each pixel of `(B, C, H, W)`, biased variance.

    Computed in float32 at least, under autocast too; `gain` and `bias` hold C numbers. In
    channels-last memory the permutations cost nothing.
    """
    pixels = x.permute(0, 2, 3, 1)
    precision = torch.promote_types(x.dtype, torch.float32)
    if x.device.type != "cpu" or x.dtype == torch.float16:
        pixels = pixels.to(precision)  # a CPU reads bfloat16 and sums in float32 by itself
    gain = gain.flatten().to(precision)
    bias = None if bias is None else bias.flatten().to(precision)
    with torch.autocast(x.device.type, enabled=False):
        normed = F.layer_norm(pixels, pixels.shape[-1:], gain, bias, eps)
    return normed.permute(0, 3, 1, 2).to(x.dtype)


def sinusoidal(t: Tensor, dim: int) -> Tensor:
    """Embed times `(B,)` as `(B, dim)` float32: sines, then cosines, of frequencies 1 to 1e-4."""
    half = dim // 2
    k = torch.arange(half, device=t.device, dtype=torch.float32)
    angles = t.float()[:, None] * torch.exp(k * -(math.log(10_000) / (half - 1)))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


def children(names: Iterable[str], prefix: str) -> int:
    """How many numbered layers a state dict has under a prefix such as "encoder."."""
    return len({name[len(prefix) :].split(".")[0] for name in names if name.startswith(prefix)})
