"""Perceive-IR: a channel-attention U-Net that is told what is in the picture and how it is damaged.

Paper: Zhang et al., "Perceive-IR: Learning to Perceive Degradation Better for All-in-One Image
Restoration" (IEEE TIP 2026, arXiv 2408.15994); official code:
https://github.com/House-yuyu/Perceive-IR (Apache-2.0). Two configurations:

* `RELEASE`, the network of the official code, whose parameter names it keeps: published
  checkpoints load strictly. They are on Baidu only, and none are shipped.
* `FIGURE`, the network of the paper's figure, where it differs: guidance without a residual
  (`FigurePGM`), residual blocks in the degradation encoder (`FigureCFE`), one attention in a guided
  block (`ETB`), no refinement. What the figure does not say is ours: the encoder's widths are
  AirNet's; no biases and twice the width at full resolution, as in Restormer. It has 28.7 M
  parameters, not the 42.0 M that are reported of the paper's. No weights of it are published.

In both, every level of the decoder is guided: a semantic vector of the level, from DINOv2, and the
degradation vector scale and shift the level's input (`PGM`); each of its blocks asks the features
with that as the query (`PGCA`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.layers import pad_to_multiple
from pellucid.networks.restormer import (
    GDFN,
    IDENTITY,
    MDTA,
    Down,
    LayerNorm,
    TransformerBlock,
    Up,
    attend,
    bands,
    depthwise,
    local,
)


@dataclass(frozen=True)
class PerceiveIRConfig:
    """Sizes of a `PerceiveIR`; level `i` has `dim * 2**i` channels at 1 / 2^i of the resolution."""

    dim: int = 48
    blocks: tuple[int, ...] = (4, 6, 6, 8)  # of the encoder, last the deepest; decoders mirror it
    heads: tuple[int, ...] = (1, 2, 4, 8)
    refinement: int = 4  # blocks after the decoder
    expansion: float = 2.66  # of the feed-forward layers
    semantic_dim: int = 768  # length of DINOv2's vectors
    degradation_dim: int = 128
    bias: bool = True  # in the convolutions of the U
    figure: bool = False  # the guidance of the paper's figure instead of the official code's


RELEASE = PerceiveIRConfig()
FIGURE = PerceiveIRConfig(refinement=0, bias=False, figure=True)


class PerceiveContext(NamedTuple):
    """What guides the network through an image, computed once by `PerceiveIR.context`."""

    semantics: tuple[Tensor, ...]  # four (B, semantic_dim), for full resolution first
    degradation: Tensor  # (B, degradation_dim), of length 1


class PerceiveIR(nn.Module):
    """Deterministic restoration `net(image, context)`: the image plus a predicted residual.

    `multiple` is what sides are padded to. `overlap` is a choice, not a receptive field: the
    attention averages over the whole input, so a tile never gives exactly what the whole image
    gives.
    """

    overlap = 64
    multiple = 8
    guided_by = ("image", "semantics")  # what `context` takes

    def __init__(self, config: PerceiveIRConfig = RELEASE):
        super().__init__()
        self.config = config
        dim, bias = config.dim, config.bias
        top = 2 * dim if config.figure else dim  # channels of the decoder at full resolution
        widths = (top, 2 * dim, 4 * dim, 8 * dim)

        def plain(level: int, channels: int, count: int) -> nn.Sequential:
            sizes = channels, config.heads[level], config.expansion, bias
            return nn.Sequential(*(TransformerBlock(*sizes) for _ in range(count)))

        def encoder(level: int) -> nn.Sequential:
            return plain(level, dim << level, config.blocks[level])

        def guided(level: int) -> GuidedStage:
            sizes = widths[level], config.heads[level], config.expansion, bias, not config.figure
            return GuidedStage(ETB(*sizes) for _ in range(config.blocks[level]))

        def reduce(channels: int) -> nn.Conv2d:
            return nn.Conv2d(2 * channels, channels, 1, bias=bias)

        self.embed = nn.Conv2d(3, dim, 3, padding=1, bias=bias)
        self.encoder1, self.down1 = encoder(0), Down(dim, bias)
        self.encoder2, self.down2 = encoder(1), Down(2 * dim, bias)
        self.encoder3, self.down3 = encoder(2), Down(4 * dim, bias)
        self.cfe = (FigureCFE if config.figure else CFE)(config.degradation_dim)
        prior = config.semantic_dim + config.degradation_dim
        pgm = FigurePGM if config.figure else PGM
        self.pgm = nn.ModuleList(pgm(width, prior) for width in widths)
        self.latent = guided(3)
        self.up3, self.reduce3, self.decoder3 = Up(8 * dim, bias), reduce(4 * dim), guided(2)
        self.up2, self.reduce2, self.decoder2 = Up(4 * dim, bias), reduce(2 * dim), guided(1)
        self.up1 = Up(2 * dim, bias)
        self.reduce1 = nn.Identity() if config.figure else reduce(dim)
        self.decoder1 = guided(0)
        self.refinement = plain(0, top, config.refinement)
        self.output = nn.Conv2d(top, 3, 3, padding=1, bias=bias)

    def context(self, image: Tensor, semantics: Sequence[Tensor]) -> PerceiveContext:
        """Guide by a whole image and its semantics.

        A context of one image may be used with a batch of its tiles.

        Args:
            image: degraded, `(B, 3, H, W)` in [0, 1].
            semantics: four vectors `(B, semantic_dim)`, for full resolution first; the official
                ones are `vision_language.dinov2.DINOv2.encode(image)`.
        """
        return PerceiveContext(tuple(semantics), self.cfe(image))

    def forward(self, image: Tensor, context: PerceiveContext) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        h, w = image.shape[-2:]
        padded = pad_to_multiple(image, self.multiple).contiguous(memory_format=torch.channels_last)
        e1 = self.encoder1(self.embed(padded))
        e2 = self.encoder2(self.down1(e1))
        e3 = self.encoder3(self.down2(e2))

        def guidance(level: int, x: Tensor) -> Tensor:
            return self.pgm[level](x, context.semantics[level], context.degradation)

        x = self.down3(e3)
        x = self.latent(x, guidance(3, x))
        x = self.reduce3(torch.cat([self.up3(x), e3], dim=1))
        x = self.decoder3(x, guidance(2, x))
        x = self.reduce2(torch.cat([self.up2(x), e2], dim=1))
        x = self.decoder2(x, guidance(1, x))
        x = self.reduce1(torch.cat([self.up1(x), e1], dim=1))
        del e1, e2, e3  # large
        x = self.decoder1(x, guidance(0, x))
        return (self.output(self.refinement(x)) + padded)[..., :h, :w]


class CFE(nn.Module):
    """Compact feature extractor: a picture to the vector of its degradation (official code)."""

    def __init__(self, dim: int):
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((3, 32), (32, 64), (64, 96), (96, 128)):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.GELU()]
        self.body = nn.Sequential(*layers)
        self.projection = nn.Linear(128, dim)

    def forward(self, image: Tensor) -> Tensor:
        """Map `(B, 3, H, W)` to `(B, dim)` of length 1."""
        return F.normalize(self.projection(self.body(image).mean((2, 3))), dim=1)


class FigureCFE(nn.Module):
    """Compact feature extractor of the paper's figure: residual blocks, pooling, two linear layers.

    Widths, strides and slopes are those of AirNet's degradation encoder (Li et al., CVPR 2022),
    which the figure resembles. Unlike there, the vector is normalised, as in the official code.
    """

    def __init__(self, dim: int):
        super().__init__()
        self.body = nn.Sequential(
            ResidualBlock(3, 64, 1), ResidualBlock(64, 128, 2), ResidualBlock(128, 256, 2)
        )
        self.projection = nn.Sequential(nn.Linear(256, 256), nn.LeakyReLU(0.1), nn.Linear(256, dim))

    def forward(self, image: Tensor) -> Tensor:
        """Map `(B, 3, H, W)` to `(B, dim)` of length 1."""
        return F.normalize(self.projection(self.body(image).mean((2, 3))), dim=1)


class ResidualBlock(nn.Module):
    """Two convolutions beside a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.skip = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)`."""
        return self.body(x) + self.skip(x)


class PGM(nn.Module):
    """Prior guidance module (official code): semantics and degradation modulate the features."""

    def __init__(self, channels: int, prior: int):
        super().__init__()
        self.affine = nn.Sequential(
            nn.Linear(prior, 2 * channels), nn.GELU(), nn.Linear(2 * channels, 2 * channels)
        )

    def forward(self, x: Tensor, semantics: Tensor, degradation: Tensor) -> Tensor:
        """Guidance `(B, C, H, W)` from features of that shape."""
        prior = torch.cat([semantics, degradation], dim=1)
        gain, shift = self.affine(prior)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, x, 1 + gain)


class FigurePGM(nn.Module):
    """Prior guidance module of the paper's figure: gain and shift have their own layers.

    Its convolutions see one pixel, so they are linear layers.
    """

    def __init__(self, channels: int, prior: int):
        super().__init__()
        self.gain = nn.Sequential(nn.Linear(prior, channels), nn.Linear(channels, channels))
        self.shift = nn.Sequential(nn.Linear(prior, channels), nn.Linear(channels, channels))
        nn.init.ones_(self.gain[-1].bias)  # ours: else the guidance starts near zero

    def forward(self, x: Tensor, semantics: Tensor, degradation: Tensor) -> Tensor:
        """Guidance `(B, C, H, W)` from features of that shape."""
        prior = torch.cat([degradation, semantics], dim=1)
        gain, shift = (layers(prior)[:, :, None, None] for layers in (self.gain, self.shift))
        return torch.addcmul(shift, x, gain)


class PGCA(nn.Module):
    """Prior guidance cross-attention: the channels of the guidance attend to the features'."""

    def __init__(self, channels: int, heads: int, bias: bool):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Sequential(
            nn.Conv2d(channels, channels, 1, bias=bias), depthwise(channels, bias)
        )
        self.kv = nn.Sequential(
            nn.Conv2d(channels, 2 * channels, 1, bias=bias), depthwise(2 * channels, bias)
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(
        self, x: Tensor, guidance: Tensor, norms: Sequence[nn.Module] = (IDENTITY, IDENTITY)
    ) -> Tensor:
        """Map features `(B, C, H, W)` and guidance of that shape, each after its norm."""
        read = (
            (
                local(guidance, rows, norms[1], *self.q),
                *local(x, rows, norms[0], *self.kv).chunk(2, dim=1),
            )
            for rows in bands(x, self.kv[0].out_channels)
        )
        return attend(read, self.temperature, self.project)


class ETB(nn.Module):
    """Guided transformer block: cross-attention added to the guidance, then the feed-forward layer.

    The features have no path around the attention. In the official code (`mdta`) a self-attention
    follows the cross-attention.
    """

    def __init__(self, channels: int, heads: int, expansion: float, bias: bool, mdta: bool):
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.guidance_norm = LayerNorm(channels)
        self.attention = PGCA(channels, heads, bias)
        self.mdta_norm = LayerNorm(channels) if mdta else None
        self.mdta = MDTA(channels, heads, bias) if mdta else None
        self.norm2 = LayerNorm(channels)
        self.ffn = GDFN(channels, expansion, bias)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Map features `(B, C, H, W)` and guidance of that shape."""
        x = self.attention(x, guidance, (self.norm1, self.guidance_norm))
        x = guidance + (x if self.mdta is None else self.mdta(x, self.mdta_norm))
        return x + self.ffn(x, self.norm2)


class GuidedStage(nn.Module):
    """Blocks that share one guidance."""

    def __init__(self, blocks: Sequence[ETB]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Map features `(B, C, H, W)` and guidance of that shape."""
        for block in self.blocks:
            x = block(x, guidance)
        return x
