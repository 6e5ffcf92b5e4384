"""Perceive-IR's guidance as adapters for other U-Nets: its backbone-agnostic form.

Paper: Zhang et al., "Perceive-IR" (IEEE TIP 2026), which says that its parts serve other backbones;
no code or configuration of that is public, so how they are plugged in is ours: one adapter before
each level of the decoder and before the middle, of the figure's parts,

    Y = PGM(X, F_l, Z),   X <- Y + PGCA(norm(X), norm(Y)),

whose last layers start at zero: a guided network starts as its host, and takes its weights. The
host's own blocks follow in place of the feed-forward layer.

Semantics F come from DINOv2 or, in the small networks, from hidden states of the small image tower
(`vision_language.semantics`), which is no DINOv2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.irsde_unet import DirectUNet, UNetConfig
from pellucid.networks.layers import zeroed
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.perceive_ir import CFE, PGCA, PGM, PerceiveCondition, semantic_vectors
from pellucid.networks.restormer import LayerNorm
from pellucid.networks.resunet import Condition, ResUNet, ResUNetConfig

CHANNELS_A_HEAD = 48  # as in Perceive-IR


class Adapter(nn.Module):
    """Guide the features of one level; the identity until trained."""

    def __init__(self, channels: int, prior: int):
        super().__init__()
        most = max(1, channels // CHANNELS_A_HEAD)
        heads = next(n for n in range(most, 0, -1) if channels % n == 0)
        self.pgm = PGM(channels, prior)
        self.norm, self.guidance_norm = LayerNorm(channels), LayerNorm(channels)
        self.attention = PGCA(channels, heads)
        for last in (self.pgm.affine[-1], self.attention.project):
            assert isinstance(last, nn.Linear | nn.Conv2d)
            zeroed(last)

    def forward(self, x: Tensor, semantics: Tensor, degradation: Tensor) -> Tensor:
        """Map `(B, C, H, W)`; the vectors are `(B or 1, D)`."""
        guidance = self.pgm(x, semantics, degradation)
        return guidance + self.attention(x, guidance, (self.norm, self.guidance_norm))


class Adapters(nn.Module):
    """The degradation encoder, and an adapter for each level of a host."""

    def __init__(self, widths: Sequence[int], semantic_dim: int, degradation_dim: int):
        super().__init__()
        self.cfe = CFE(degradation_dim)
        prior = semantic_dim + degradation_dim
        self.levels = nn.ModuleList(Adapter(width, prior) for width in widths)

    def condition(self, image: Tensor, semantics: Sequence[Tensor]) -> PerceiveCondition:
        """Read a whole image, beside its semantics."""
        return PerceiveCondition(tuple(semantics), self.cfe(image))

    def bound(self, condition: PerceiveCondition) -> list[Callable[[Tensor], Tensor]]:
        """The adapters as functions of the features alone, full resolution first.

        The last semantic vector guides the deepest level and so on; if there are more levels than
        vectors, the finest share the first.
        """
        vectors, surplus = condition.semantics, len(self.levels) - len(condition.semantics)
        return [
            partial(
                level, semantics=vectors[max(0, i - surplus)], degradation=condition.degradation
            )
            for i, level in enumerate(self.levels)
        ]


class GuidedCondition(NamedTuple):
    """The host's own condition, and that of the adapters."""

    host: Any
    perceived: PerceiveCondition

    @property
    def degradation(self) -> Tensor:
        """The degradation vector `(B, degradation_dim)`, of length 1."""
        return self.perceived.degradation


@dataclass(frozen=True)
class GuidedResUNetConfig(ResUNetConfig):
    """Sizes of a `GuidedResUNet`."""

    semantic_dim: int = 192
    """Length of the image tower's vectors."""
    degradation_dim: int = 64
    """Length of the encoded degradation."""


@dataclass(frozen=True)
class GuidedNAFNetConfig(NAFNetConfig):
    """Sizes of a `GuidedNAFNet`."""

    semantic_dim: int = 192
    """Length of the image tower's vectors."""
    degradation_dim: int = 64
    """Length of the encoded degradation."""


@dataclass(frozen=True)
class GuidedUNetConfig(UNetConfig):
    """Sizes of a `GuidedUNet`."""

    semantic_dim: int = 192
    """Length of the image tower's vectors."""
    degradation_dim: int = 64
    """Length of the encoded degradation."""


class _Guided(RestorationNetwork):
    """What guided networks share; a host is the second base."""

    adapters: Adapters

    def condition(self, image: Tensor, guidance: Guidance) -> GuidedCondition:
        """Condition the host and the adapters.

        Raises:
            UsageError: `guidance` has no semantics.
        """
        host = super().condition(image, guidance)
        return GuidedCondition(host, self.adapters.condition(image, semantic_vectors(guidance)))

    @property
    def cfe(self) -> CFE:
        """The encoder of the degradation."""
        return self.adapters.cfe


class GuidedResUNet(_Guided, ResUNet):
    """A `ResUNet` with adapters; its attention averages over the whole input."""

    needs = ResUNet.needs | {"semantics"}

    def __init__(self, config: GuidedResUNetConfig | None = None):
        config = config or GuidedResUNetConfig()
        super().__init__(config)
        self.adapters = Adapters(config.widths, config.semantic_dim, config.degradation_dim)

    def forward(self, image: Tensor, condition: GuidedCondition) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        adapters = self.adapters.bound(condition.perceived)
        host: Condition = condition.host
        return self.mapped(image, image, host.embedding, host.content, adapters)


class GuidedNAFNet(_Guided, NAFNet):
    """A `NAFNet` with adapters."""

    def __init__(self, config: GuidedNAFNetConfig | None = None):
        config = config or GuidedNAFNetConfig()
        super().__init__(config)
        self.needs |= {"semantics"}
        widths = [config.width << level for level in range(len(config.encoder_blocks) + 1)]
        self.adapters = Adapters(widths, config.semantic_dim, config.degradation_dim)

    def forward(self, image: Tensor, condition: GuidedCondition) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        adapters = self.adapters.bound(condition.perceived)
        return super().forward(image, condition.host, adapters)


class GuidedUNet(_Guided, DirectUNet):
    """A `DirectUNet`, the U-Net of IR-SDE in one pass, with adapters."""

    def __init__(self, config: GuidedUNetConfig | None = None):
        config = config or GuidedUNetConfig()
        super().__init__(config)
        self.needs |= {"semantics"}
        widths = (*config.widths[1:], config.widths[-1])
        self.adapters = Adapters(widths, config.semantic_dim, config.degradation_dim)

    def forward(self, image: Tensor, condition: GuidedCondition) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        adapters = self.adapters.bound(condition.perceived)
        return super().forward(image, condition.host, adapters)
