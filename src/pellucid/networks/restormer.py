"""Restormer, a U-shaped transformer that attends across channels.

Paper: Restormer (Zamir et al., CVPR 2022). `RestormerMedium` is the variant with which Perceive-IR
(Zhang et al., IEEE TIP 2026, https://github.com/House-yuyu/Perceive-IR, Apache-2.0) renders
pictures of medium quality: all layers have a bias, and the decoder at full resolution and the
refinement have `dim` channels, halved by one more 1x1 convolution, instead of twice as many.

Parameters have the names of the official Perceive-IR code, so its medium checkpoints load strictly.
They are published on Baidu only, and none are shipped. Names of Restormer's own checkpoints
(https://github.com/swz30/Restormer, for research only) are translated by `Restormer.official`.

Ours, equal up to rounding: attention and the projection after it are one product (`attend`), and
where no gradient is asked for a CPU goes through a layer in bands of rows that stay in its caches.
Maps are channels-last in memory throughout, which the layer norms and the attention read as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import bands, channel_layer_norm, children, pad_to_multiple

IDENTITY = nn.Identity()


@dataclass(frozen=True)
class RestormerMediumConfig:
    """Sizes of a `RestormerMedium`; level `i` has `dim * 2**i` channels, at 1 / 2^i of the size."""

    dim: int = 48
    """Channels at full resolution."""
    blocks: tuple[int, ...] = (4, 6, 6, 8)
    """Blocks of each level of the encoder, deepest last; the decoder mirrors it."""
    heads: tuple[int, ...] = (1, 2, 4, 8)
    """Heads of the attention at each level."""
    refinement: int = 4
    """Blocks after the decoder."""
    expansion: float = 2.66
    """Hidden channels of the feed-forward layers, in multiples of the level's."""


@dataclass(frozen=True)
class RestormerConfig(RestormerMediumConfig):
    """Sizes of a `Restormer`; the defaults are the official ones, but for Gaussian denoising."""

    centred: bool = True
    """Whether layer norms have mean and bias; not in the Gaussian denoising weights."""


class RestormerMedium(RestorationNetwork):
    """Deterministic restoration `net(image, condition)`: the image plus a predicted residual.

    It is not guided; the condition is None.
    """

    multiple = 8

    def __init__(self, config: RestormerMediumConfig | None = None):
        super().__init__()
        self.config = config = config or RestormerMediumConfig()
        self._build(config, config.dim, bias=True, centred=True)

    def _build(self, config: RestormerMediumConfig, top: int, bias: bool, centred: bool) -> None:
        """Make the layers; `top` is the decoder's number of channels at full resolution."""
        dim = config.dim

        def blocks(level: int, channels: int, count: int) -> nn.Sequential:
            sizes = channels, config.heads[level], config.expansion, bias, centred
            return nn.Sequential(*(TransformerBlock(*sizes) for _ in range(count)))

        def stage(level: int) -> nn.Sequential:
            return blocks(level, dim << level, config.blocks[level])

        def reduce(inputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, inputs // 2, 1, bias=bias)

        self.embed = nn.Conv2d(3, dim, 3, padding=1, bias=bias)
        self.encoder1, self.down1 = stage(0), Down(dim, bias)
        self.encoder2, self.down2 = stage(1), Down(2 * dim, bias)
        self.encoder3, self.down3 = stage(2), Down(4 * dim, bias)
        self.latent = stage(3)
        self.up3, self.reduce3, self.decoder3 = Up(8 * dim, bias), reduce(8 * dim), stage(2)
        self.up2, self.reduce2, self.decoder2 = Up(4 * dim, bias), reduce(4 * dim), stage(1)
        self.up1 = Up(2 * dim, bias)
        self.reduce1 = reduce(2 * dim) if top == dim else nn.Identity()
        self.decoder1 = blocks(0, top, config.blocks[0])
        self.refinement = blocks(0, top, config.refinement)
        self.output = nn.Conv2d(top, 3, 3, padding=1, bias=bias)

    def condition(self, image: Tensor, guidance: Guidance) -> None:
        """Nothing: this network is not guided."""

    def forward(self, image: Tensor, condition: None = None) -> Tensor:
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

    @classmethod
    def official(cls, state: Mapping[str, Tensor]) -> tuple[Any, Mapping[str, Tensor]] | None:
        """Recognise the medium networks of Perceive-IR's code."""
        if not {"latent.0.attention.qkv_dw.weight", "reduce1.weight"} <= set(state):
            return None
        return RestormerMediumConfig(**transformer_sizes(state, "encoder{}.", "latent.")), state


OFFICIAL_NAMES = {
    r"^patch_embed\.proj\.": "embed.",
    r"^encoder_level(\d)\.": r"encoder\1.",
    r"^decoder_level(\d)\.": r"decoder\1.",
    r"^reduce_chan_level(\d)\.": r"reduce\1.",
    r"^down(\d)_\d\.": r"down\1.",
    r"^up\d_(\d)\.": r"up\1.",
    r"\.attn\.": ".attention.",
    r"\.qkv_dwconv\.": ".qkv_dw.",
    r"\.attention\.project_out\.": ".attention.project.",
    r"\.ffn\.dwconv\.": ".ffn.depthwise.",
}
"""Names in the official code of Restormer (regular expressions), and ours."""


class Restormer(RestormerMedium):
    """Restormer itself: no bias in convolutions, `2 dim` channels in the last decoder."""

    config: RestormerConfig

    def __init__(self, config: RestormerConfig | None = None):
        RestorationNetwork.__init__(self)
        self.config = config = config or RestormerConfig()
        self._build(config, 2 * config.dim, bias=False, centred=config.centred)

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[RestormerConfig, Mapping[str, Tensor]] | None:
        """Recognise Restormer's own files of three colours; not those for dual pixels."""
        marks = {"patch_embed.proj.weight", "latent.0.attn.qkv_dwconv.weight", "output.weight"}
        if not marks <= set(state) or state["patch_embed.proj.weight"].shape[1] != 3:
            return None
        named = {}
        for name, value in state.items():
            for pattern, ours in OFFICIAL_NAMES.items():
                name = re.sub(pattern, ours, name)
            named[name] = value
        sizes = transformer_sizes(named, "encoder{}.", "latent.")
        return RestormerConfig(**sizes, centred="latent.0.norm1.body.bias" in named), named


def transformer_sizes(state: Mapping[str, Tensor], encoder: str, latent: str) -> dict[str, Any]:
    """Read the fields of `RestormerMediumConfig` off a state dict with our names.

    Args:
        state: the weights.
        encoder: prefix of the blocks of an encoder level, with {} for its number.
        latent: prefix of the deepest level's blocks.
    """
    dim = state["embed.weight"].shape[0]
    levels = [*(encoder.format(i) for i in (1, 2, 3)), latent]
    hidden = state[f"{latent}0.ffn.project_out.weight"].shape[1]
    return {
        "dim": dim,
        "blocks": tuple(children(state, level) for level in levels),
        "heads": tuple(state[f"{level}0.attention.temperature"].shape[0] for level in levels),
        "refinement": children(state, "refinement."),
        # hidden = int(channels * expansion), of which the deepest level knows most digits
        "expansion": round((hidden + 0.5) / (8 * dim), 2),
    }


class TransformerBlock(nn.Module):
    """Channel attention, then a gated feed-forward layer, both residual after a layer norm."""

    def __init__(
        self, channels: int, heads: int, expansion: float, bias: bool = True, centred: bool = True
    ):
        super().__init__()
        self.norm1 = LayerNorm(channels, centred)
        self.attention = MDTA(channels, heads, bias)
        self.norm2 = LayerNorm(channels, centred)
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
        made: Tensor | None = None
        for rows in bands(x, self.project_in.out_channels):
            a, b = local(x, rows, norm, self.project_in, self.depthwise).chunk(2, dim=1)
            part = self.project_out(F.gelu(a) * b)
            if part.shape == x.shape:
                return part
            made = torch.empty_like(x, dtype=part.dtype) if made is None else made
            made[:, :, rows] = part
        assert made is not None  # there is a band at least
        return made


class LayerNorm(nn.Module):
    """Layer norm over the channels of each pixel; `body` is the official name.

    Not `centred`: `x / sqrt(variance) * gain`, whose mean stays (official code, "BiasFree").
    """

    def __init__(self, channels: int, centred: bool = True):
        super().__init__()
        self.centred = centred
        self.body = nn.LayerNorm(channels, bias=centred)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        body = self.body
        if self.centred:
            return channel_layer_norm(x, body.weight, body.bias, body.eps)
        values = x.to(torch.promote_types(x.dtype, torch.float32))
        variance = values.var(dim=1, keepdim=True, unbiased=False)
        scaled = values * torch.rsqrt(variance + body.eps) * body.weight[:, None, None]
        return scaled.to(x.dtype)


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


def depthwise(channels: int, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution of each channel by itself."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)


def local(x: Tensor, rows: slice, *layers: nn.Module) -> Tensor:
    """These rows of what layers make of x, from the rows and their neighbours.

    The last layer is a 3x3 convolution, the others see one pixel.
    """
    top = max(rows.start - 1, 0)
    made = x[:, :, top : rows.stop + 1]
    for layer in layers:
        made = layer(made)
    return made[:, :, rows.start - top : rows.stop - top]


def attend(read: Iterable[tuple[Tensor, ...]], temperature: Tensor, project: nn.Conv2d) -> Tensor:
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
