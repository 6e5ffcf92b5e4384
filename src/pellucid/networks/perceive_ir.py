"""Perceive-IR: a channel-attention U-Net guided by semantics and degradation.

Paper: Zhang et al., "Perceive-IR: Learning to Perceive Degradation Better for All-in-One Image
Restoration" (IEEE TIP 2026, arXiv 2408.15994); official code:
https://github.com/House-yuyu/Perceive-IR (Apache-2.0). This is the network of the official code,
whose parameter names it keeps: published checkpoints load strictly. They are on Baidu only, and
none are shipped. The paper's figures differ from the code: guidance without a residual, residual
blocks in the degradation encoder, one attention in a guided block, no refinement.

Every level of the decoder is guided: a semantic vector of the level, from DINOv2, and the
degradation vector scale and shift the level's input (`PGM`); in each of its blocks that guidance is
the query of a cross-attention over the features (`PGCA`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
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
    transformer_sizes,
)


@dataclass(frozen=True)
class PerceiveIRConfig:
    """Sizes of a `PerceiveIR`; level `i` has `dim * 2**i` channels at 1 / 2^i of the resolution."""

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
    semantic_dim: int = 768
    """Length of DINOv2's vectors."""
    degradation_dim: int = 128
    """Length of the encoded degradation."""


class PerceiveCondition(NamedTuple):
    """What guides the network through an image, computed once by `PerceiveIR.condition`."""

    semantics: tuple[Tensor, ...]  # four (B, semantic_dim), for full resolution first
    degradation: Tensor  # (B, degradation_dim), of length 1


class PerceiveIR(RestorationNetwork):
    """Deterministic restoration `net(image, condition)`: the image plus a predicted residual."""

    needs = frozenset({"semantics"})
    multiple = 8

    def __init__(self, config: PerceiveIRConfig | None = None):
        super().__init__()
        self.config = config = config or PerceiveIRConfig()
        dim = config.dim
        widths = tuple(dim << level for level in range(4))

        def plain(level: int, count: int) -> nn.Sequential:
            sizes = widths[level], config.heads[level], config.expansion
            return nn.Sequential(*(TransformerBlock(*sizes) for _ in range(count)))

        def encoder(level: int) -> nn.Sequential:
            return plain(level, config.blocks[level])

        def guided(level: int) -> GuidedStage:
            sizes = widths[level], config.heads[level], config.expansion
            return GuidedStage([ETB(*sizes) for _ in range(config.blocks[level])])

        def reduce(channels: int) -> nn.Conv2d:
            return nn.Conv2d(2 * channels, channels, 1)

        self.embed = nn.Conv2d(3, dim, 3, padding=1)
        self.encoder1, self.down1 = encoder(0), Down(dim)
        self.encoder2, self.down2 = encoder(1), Down(2 * dim)
        self.encoder3, self.down3 = encoder(2), Down(4 * dim)
        self.cfe = CFE(config.degradation_dim)
        prior = config.semantic_dim + config.degradation_dim
        self.pgm = nn.ModuleList(PGM(width, prior) for width in widths)
        self.latent = guided(3)
        self.up3, self.reduce3, self.decoder3 = Up(8 * dim), reduce(4 * dim), guided(2)
        self.up2, self.reduce2, self.decoder2 = Up(4 * dim), reduce(2 * dim), guided(1)
        self.up1, self.reduce1, self.decoder1 = Up(2 * dim), reduce(dim), guided(0)
        self.refinement = plain(0, config.refinement)
        self.output = nn.Conv2d(dim, 3, 3, padding=1)

    def condition(self, image: Tensor, guidance: Guidance) -> PerceiveCondition:
        """Condition on a whole image and its four semantic vectors (official: DINOv2's).

        Raises:
            UsageError: `guidance` has no semantics.
        """
        return PerceiveCondition(semantic_vectors(guidance), self.cfe(image))

    def forward(self, image: Tensor, condition: PerceiveCondition) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        h, w = image.shape[-2:]
        padded = pad_to_multiple(image, self.multiple).contiguous(memory_format=torch.channels_last)
        e1 = self.encoder1(self.embed(padded))
        e2 = self.encoder2(self.down1(e1))
        e3 = self.encoder3(self.down2(e2))

        def guidance(level: int, x: Tensor) -> Tensor:
            return self.pgm[level](x, condition.semantics[level], condition.degradation)

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

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[PerceiveIRConfig, Mapping[str, Tensor]] | None:
        """Recognise the networks of the official code."""
        if "latent.blocks.0.guidance_norm.body.weight" not in state:
            return None
        if "cfe.projection.weight" not in state or "pgm.0.affine.0.weight" not in state:
            return None
        degradation_dim = state["cfe.projection.weight"].shape[0]
        config = PerceiveIRConfig(
            **transformer_sizes(state, "encoder{}.", "latent.blocks."),
            semantic_dim=state["pgm.0.affine.0.weight"].shape[1] - degradation_dim,
            degradation_dim=degradation_dim,
        )
        return config, state


def semantic_vectors(guidance: Guidance) -> tuple[Tensor, ...]:
    """Vectors `(B, D)` of the picture, shallow first.

    Raises:
        UsageError: there are none.
    """
    if guidance.semantics is None:
        raise UsageError("this network needs the semantics of the picture (DINOv2, or a CLIP)")
    return guidance.semantics.unbind(dim=1)


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


class PGCA(nn.Module):
    """Prior guidance cross-attention: the channels of the guidance attend to the features'."""

    def __init__(self, channels: int, heads: int):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = nn.Sequential(nn.Conv2d(channels, channels, 1), depthwise(channels))
        self.kv = nn.Sequential(nn.Conv2d(channels, 2 * channels, 1), depthwise(2 * channels))
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(
        self, x: Tensor, guidance: Tensor, norms: Sequence[nn.Module] = (IDENTITY, IDENTITY)
    ) -> Tensor:
        """Map features `(B, C, H, W)` and guidance of that shape, each after its norm."""
        read = (
            (
                local(guidance, rows, norms[1], *self.q),
                *local(x, rows, norms[0], *self.kv).chunk(2, dim=1),
            )
            for rows in bands(x, 2 * x.shape[1])
        )
        return attend(read, self.temperature, self.project)


class ETB(nn.Module):
    """Guided transformer block: cross-attention, self-attention, feed-forward layer.

    The attention is added to the guidance; the features have no path around it. The self-attention
    is in the official code only, not in the paper's figure.
    """

    def __init__(self, channels: int, heads: int, expansion: float):
        super().__init__()
        self.norm1 = LayerNorm(channels)
        self.guidance_norm = LayerNorm(channels)
        self.attention = PGCA(channels, heads)
        self.mdta_norm = LayerNorm(channels)
        self.mdta = MDTA(channels, heads)
        self.norm2 = LayerNorm(channels)
        self.ffn = GDFN(channels, expansion)

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Map features `(B, C, H, W)` and guidance of that shape."""
        x = self.attention(x, guidance, (self.norm1, self.guidance_norm))
        x = guidance + self.mdta(x, self.mdta_norm)
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
