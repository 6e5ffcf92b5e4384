"""CLIP-SRD: soft residual distillation of where a picture is damaged into a SAR encoder.

Paper: Tan et al., "Exploring the Application of Large-scale Pre-trained Models on Adverse Weather
Removal" (IEEE TIP 2024, arXiv 2306.09008). Independent implementation of the published idea: we
know the abstract alone, "a Soft Residual Distillation strategy to transfer the spatial knowledge
from CLIP between clean and adverse weather images". Formulas and weights are ours.

With D = teacher(damaged) - teacher(clean), a map of C channels, at a place p:

    S(p) = |D(p)| / sqrt(C)               strength of the residual
    T(p) = 1 - exp(-S(p) / tau)           soft residual map, in [0, 1), 0 where the features agree

tau is a running mean of S over the whole data set, one number a map, so light rain and heavy rain
differ. The losses pull the gate A of a level towards T and its residual E towards the direction of
D:

    map        mean T ln(T / A) + (1 - T) ln((1 - T) / (1 - A))
    direction  sum T (1 - cos(G E, D)) / sum T      G: 1x1 convolution, for training only

None of this is needed to restore a picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.weather import SpatialResidual
from pellucid.vision_language.spatial import SpatialTeacher


class SoftResidualDistillation(nn.Module):
    """The terms of CLIP-SRD, each a scalar; 0.1 of their sum is added to the loss of the pixels.

    Each level of the student learns from the teacher's map of the nearest stride, the finer one of
    two equally near. The teacher is frozen; `scale` (tau) is a buffer, set by the first batch
    and updated in training mode.

    Args:
        teacher: source of the maps.
        channels: channels of the student's levels, finest first.
        strides: strides of their gates.
        target: "soft", the map T of this module; "hard", T = 1 where S > tau, else 0; "plain"
            distils without a residual: mean (G f - teacher(clean))^2 for the features f of a level.
        direction: weight of the term `direction`; 0 leaves it and G out.
        momentum: of the running mean `scale`.
    """

    scale: Tensor

    def __init__(
        self,
        teacher: SpatialTeacher,
        channels: Sequence[int],
        strides: Sequence[int],
        target: Literal["soft", "hard", "plain"] = "soft",
        direction: float = 0.5,
        momentum: float = 0.99,
    ):
        super().__init__()
        self.teacher, self.target = teacher, target
        self.direction, self.momentum = direction, momentum
        self.pairs = [nearest(stride, teacher.strides) for stride in strides]
        self.register_buffer("scale", torch.zeros(len(teacher.strides)))
        heads = target == "plain" or direction > 0
        self.heads = nn.ModuleList(
            nn.Conv2d(width, teacher.channels[k], 1, bias=False)
            for width, k in zip(channels if heads else (), self.pairs, strict=False)
        )

    def forward(
        self, student: Sequence[SpatialResidual], damaged: Tensor, clean: Tensor
    ) -> dict[str, Tensor]:
        """Return `map` and `direction` (weighted, absent for weight 0), or `plain`.

        Args:
            student: residuals that each level extracted from `damaged`, finest first.
            damaged: float RGB (B, 3, H, W) in [0, 1].
            clean: the same crop of the clean pictures.
        """
        seen = [m.float() for m in self.teacher(torch.cat([damaged, clean]))]
        with torch.autocast(damaged.device.type, enabled=False):
            student = [SpatialResidual(*(t.float() for t in level)) for level in student]
            if self.target == "plain":
                return {"plain": self._plain(student, [m.chunk(2)[1] for m in seen])}
            deltas = [a - b for a, b in (m.chunk(2) for m in seen)]
            targets = self._targets(deltas)
            gates = [level.gate.mean(dim=1, keepdim=True) for level in student]
            maps = [
                divergence(gate, resized(targets[k], gate.shape[-2:]))
                for gate, k in zip(gates, self.pairs, strict=True)
            ]
            terms = {"map": torch.stack(maps).sum()}
            if self.direction:
                terms["direction"] = self.direction * self._turn(student, deltas, targets)
        return terms

    @torch.no_grad()
    def targets(self, damaged: Tensor, clean: Tensor) -> list[Tensor]:
        """Return T, (B, 1, h, w) for each map of the teacher; the running scale is not updated."""
        deltas = [a - b for a, b in (m.chunk(2) for m in self.teacher(torch.cat([damaged, clean])))]
        strengths = [strength(delta) for delta in deltas]
        return [self._soften(s, k) for k, s in enumerate(strengths)]

    def _targets(self, deltas: list[Tensor]) -> list[Tensor]:
        strengths = [strength(delta) for delta in deltas]
        if self.training:
            means = torch.stack([s.mean() for s in strengths])
            moved = torch.lerp(means, self.scale, self.momentum)
            self.scale.copy_(torch.where(self.scale == 0, means, moved))
        return [self._soften(s, k) for k, s in enumerate(strengths)]

    def _soften(self, strength: Tensor, k: int) -> Tensor:
        if self.target == "hard":
            return (strength > self.scale[k]).float()
        # A scale of zero has seen no residual yet: any strength is then beyond it.
        softened = -torch.expm1(-strength / self.scale[k].clamp(min=1e-12))
        return softened.clamp(max=1 - torch.finfo(softened.dtype).eps)

    def _plain(self, student: list[SpatialResidual], clean: list[Tensor]) -> Tensor:
        losses = []
        for level, head, k in zip(student, self.heads, self.pairs, strict=True):
            features = resized(level.features, clean[k].shape[-2:])
            losses.append(F.mse_loss(head(features), clean[k]))
        return torch.stack(losses).sum()

    def _turn(
        self, student: list[SpatialResidual], deltas: list[Tensor], targets: list[Tensor]
    ) -> Tensor:
        losses = []
        for level, head, k in zip(student, self.heads, self.pairs, strict=True):
            told = head(resized(level.residual, deltas[k].shape[-2:]))
            away = 1 - F.cosine_similarity(told, deltas[k], dim=1)
            weight = targets[k][:, 0]
            losses.append((weight * away).sum() / (weight.sum() + 1e-6))
        return torch.stack(losses).sum()


def strength(residual: Tensor) -> Tensor:
    """Root mean square over the channels of (B, C, h, w): (B, 1, h, w)."""
    return residual.square().mean(dim=1, keepdim=True).sqrt()


def divergence(gate: Tensor, target: Tensor) -> Tensor:
    """Mean Kullback-Leibler divergence KL(target || gate) of probabilities, in nats.

    Its gradient does not vanish where a gate is closed and should be open.
    """
    target = target.clamp(0, 1)  # interpolation may round to just above 1
    cross = F.binary_cross_entropy(gate, target)
    return cross - F.binary_cross_entropy(target, target)


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bring (B, C, h, w) to another size: the mean of areas to shrink, bilinear to grow."""
    if x.shape[-2] >= size[0]:
        return F.interpolate(x, tuple(size), mode="area")
    return F.interpolate(x, tuple(size), mode="bilinear")


def nearest(stride: int, strides: Sequence[int]) -> int:
    """Index of the nearest of `strides` in octaves; of equally near ones the first."""
    return min(range(len(strides)), key=lambda k: abs(math.log2(strides[k] / stride)))
