"""Restormer, a U-shaped transformer that attends across channels, at the size of Perceive-IR.

Paper: Restormer (Zamir et al., CVPR 2022). `RestormerMedium` is the network with which Perceive-IR
(Zhang et al., IEEE TIP 2026, https://github.com/House-yuyu/Perceive-IR, Apache-2.0) renders
pictures of medium quality. It differs from Restormer: all layers have a bias, and the decoder at
full resolution and the refinement have `dim` channels, halved by one more 1x1 convolution, instead
of twice as many.

Parameters have the names of the official Perceive-IR code, so its medium checkpoints load strictly.
They are published on Baidu only, and none are shipped.

Ours, equal up to rounding: attention and the projection after it are one product (`attend`), and
where no gradient is asked for a CPU goes through a layer in bands of rows that stay in its caches.
Maps are channels-last in memory throughout, which the layer norms and the attention read as it is.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.layers import channel_layer_norm, pad_to_multiple

BAND = 32 * 2**20  # bytes of a layer's widest map; 64 MiB are as fast, 8 are slower
IDENTITY = nn.Identity()


@dataclass(frozen=True)
class RestormerMediumConfig:
    """Sizes of a `RestormerMedium`; level `i` has `dim * 2**i` channels, at 1 / 2^i of the size."""

    dim: int = 48
    blocks: tuple[int, ...] = (4, 6, 6, 8)  # of the encoder, last the deepest; decoders mirror it
    heads: tuple[int, ...] = (1, 2, 4, 8)
    refinement: int = 4  # blocks after the decoder
    expansion: float = 2.66  # of the feed-forward layers


class RestormerMedium(nn.Module):
    """Deterministic restoration `net(image)`: the image plus a predicted residual.

    `multiple` is what sides are padded to. `overlap` is a choice, not a receptive field: the
    attention averages over the whole input, so a tile never gives exactly what the whole image
    gives.
    """

    overlap = 64
    multiple = 8

    def __init__(self, config: RestormerMediumConfig | None = None):
        super().__init__()
        self.config = config = config or RestormerMediumConfig()
        dim = config.dim

        def blocks(level: int) -> nn.Sequential:
            sizes = dim << level, config.heads[level], config.expansion
            return nn.Sequential(*(TransformerBlock(*sizes) for _ in range(config.blocks[level])))

        self.embed = nn.Conv2d(3, dim, 3, padding=1)
        self.encoder1, self.down1 = blocks(0), Down(dim)
        self.encoder2, self.down2 = blocks(1), Down(2 * dim)
        self.encoder3, self.down3 = blocks(2), Down(4 * dim)
        self.latent = blocks(3)
        self.up3, self.reduce3 = Up(8 * dim), nn.Conv2d(8 * dim, 4 * dim, 1)
        self.decoder3 = blocks(2)
        self.up2, self.reduce2 = Up(4 * dim), nn.Conv2d(4 * dim, 2 * dim, 1)
        self.decoder2 = blocks(1)
        self.up1, self.reduce1 = Up(2 * dim), nn.Conv2d(2 * dim, dim, 1)
        self.decoder1 = blocks(0)
        self.refinement = nn.Sequential(
            *(
                TransformerBlock(dim, config.heads[0], config.expansion)
                for _ in range(config.refinement)
            )
        )
        self.output = nn.Conv2d(dim, 3, 3, padding=1)

    def context(self, degradation: Tensor | None, content: Tensor | None) -> None:
        """Nothing: this network is not guided."""

    def forward(self, image: Tensor, context: None = None) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        h, w = image.shape[-2:]
        padded = pad_to_multiple(image, self.multiple).contiguous(memory_format=torch.channels_last)
        e1 = self.encoder1(self.embed(padded))
        e2 = self.encoder2(self.down1(e1))
        e3 = self.encoder3(self.down2(e2))
        x = self.latent(self.down3(e3))
        x = self.decoder3(self.reduce3(torch.cat([self.up3(x), e3], dim=1)))
        x = self.decoder2(self.reduce2(torch.cat([self.up2(x), e2], dim=1)))
        x = self.decoder1(self.reduce1(torch.cat([self.up1(x), e1], dim=1)))
        return (self.output(self.refinement(x)) + padded)[..., :h, :w]


class TransformerBlock(nn.Module):
    """Channel attention, then a gated feed-forward layer, both residual after a layer norm."""

    def __init__(self, channels: int, heads: int, expansion: float, bias: bool = True):
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.attention = MDTA(channels, heads, bias)
        self.norm2 = LayerNorm(channels)
        self.ffn = GDFN(channels, expansion, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)`."""
        x = x + self.attention(x, self.norm1)
        return x + self.ffn(x, self.norm2)


class MDTA(nn.Module):
    """Multi-Dconv head transposed attention (Restormer, equation 1), over channels."""

    def __init__(self, channels: int, heads: int, bias: bool = True):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dw = depthwise(3 * channels, bias)
        self.project = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor, norm: nn.Module = IDENTITY) -> Tensor:
        """Map `norm(x)`, of `(B, C, H, W)`."""
        read = (
            local(x, rows, norm, self.qkv, self.qkv_dw).chunk(3, dim=1)
            for rows in bands(x, self.qkv.out_channels)
        )
        return attend(read, self.temperature, self.project)


class GDFN(nn.Module):
    """Gated-Dconv feed-forward network (Restormer, equation 2)."""

    def __init__(self, channels: int, expansion: float, bias: bool = True):
        super().__init__()
        hidden = int(channels * expansion)
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.depthwise = depthwise(2 * hidden, bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor, norm: nn.Module = IDENTITY) -> Tensor:
        """Map `norm(x)`, of `(B, C, H, W)`."""
        made = None
        for rows in bands(x, self.project_in.out_channels):
            a, b = local(x, rows, norm, self.project_in, self.depthwise).chunk(2, dim=1)
            part = self.project_out(F.gelu(a) * b)
            if part.shape == x.shape:
                return part
            made = torch.empty_like(x, dtype=part.dtype) if made is None else made
            made[:, :, rows] = part
        return made


class LayerNorm(nn.Module):
    """Layer norm over the channels of each pixel; `body` is the official name."""

    def __init__(self, channels: int):
        super().__init__()
        self.body = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        return channel_layer_norm(x, self.body.weight, self.body.bias, self.body.eps)


class Down(nn.Module):
    """Half the resolution, twice the channels."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        shrink = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=bias)
        self.body = nn.Sequential(shrink, nn.PixelUnshuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, 2C, H/2, W/2)`, channels last in memory."""
        return self.body(x).contiguous(memory_format=torch.channels_last)


class Up(nn.Module):
    """Twice the resolution, half the channels."""

    def __init__(self, channels: int, bias: bool = True):
        super().__init__()
        grow = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=bias)
        self.body = nn.Sequential(grow, nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, C, H, W)` to `(B, C/2, 2H, 2W)`, channels last in memory."""
        return self.body(x).contiguous(memory_format=torch.channels_last)


def depthwise(channels: int, bias: bool) -> nn.Conv2d:
    """A 3x3 convolution of each channel by itself."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)


def bands(x: Tensor, channels: int) -> Iterator[slice]:
    """Rows of (B, C, H, W) to go through one after the other, where maps have so many channels.

    All at once where gradients are asked for or the device is no CPU.
    """
    height = rows = x.shape[2]
    if x.device.type == "cpu" and not torch.is_grad_enabled():
        rows = max(4, BAND // (4 * x.shape[0] * channels * x.shape[3]))
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


def local(x: Tensor, rows: slice, *layers: nn.Module) -> Tensor:
    """These rows of what layers make of x, from the rows and their neighbours.

    The last layer is a 3x3 convolution, the others see one pixel.
    """
    top = max(rows.start - 1, 0)
    made = x[:, :, top : rows.stop + 1]
    for layer in layers:
        made = layer(made)
    return made[:, :, rows.start - top : rows.stop - top]


def attend(
    read: Iterable[tuple[Tensor, Tensor, Tensor]], temperature: Tensor, project: nn.Conv2d
) -> Tensor:
    """Attention of channels to channels within each head, and the 1x1 convolution after it.

    `softmax(temperature * cosine(q, k)) v`, a cosine being that of two channels over all pixels.
    Ours: the lengths divide the small matrix of products instead of the pixels, so that is a sum
    over bands; and that matrix is multiplied into the convolution.

    Args:
        read: q, k, v of each band of rows, `(B, C, h, W)`.
        temperature: `(heads, 1, 1)`.
        project: 1x1 convolution of C channels.
    """
    heads, products, lengths, values = len(temperature), [], [], []
    for q, k, v in read:
        width = v.shape[-1]
        q, k = (pixels(x).unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k))
        products.append(q.mT @ k)  # (B, heads, c, c)
        lengths.append((length(q), length(k)))
        # a slice would keep q and k
        values.append(pixels(v) if torch.is_grad_enabled() else pixels(v).clone())
    of_q, of_k = (length(torch.cat(parts, dim=2)) for parts in zip(*lengths, strict=True))
    cosine = sum(products) / (of_q.mT * of_k)
    v = torch.cat(values, dim=1) if len(values) > 1 else values[0]  # (B, HW, C)
    values.clear()
    attention = (cosine * temperature).softmax(dim=-1).to(v.dtype)
    weight = project.weight.flatten(1).unflatten(1, (heads, -1)).transpose(0, 1)  # (heads, C, c)
    weight = (weight.to(v.dtype) @ attention).transpose(1, 2).flatten(2)  # (B, C, C)
    if project.bias is None:
        x = v @ weight.mT
    else:
        x = torch.baddbmm(project.bias.to(v.dtype), v, weight.mT)
    return x.unflatten(1, (-1, width)).permute(0, 3, 1, 2)


def pixels(x: Tensor) -> Tensor:
    """View (B, C, H, W) in channels-last memory as (B, HW, C)."""
    return x.permute(0, 2, 3, 1).flatten(1, 2)


def length(x: Tensor) -> Tensor:
    """Euclidean length of the columns `(..., 1, c)`, in float32 at least and never zero."""
    precision = torch.promote_types(x.dtype, torch.float32)
    return torch.linalg.vector_norm(x, dim=-2, keepdim=True, dtype=precision).clamp_min(1e-12)
