"""Optimisers, the learning-rate schedule and the moving average of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from pellucid.training.config import EMAConfig, OptimizerConfig


def decays(name: str, parameter: Tensor) -> bool:
    """Say whether weight decay applies: not to vectors, scalars, biases, norms, `logit_scale`."""
    parts = name.split(".")
    if parameter.ndim < 2 or parts[-1] in ("bias", "logit_scale"):
        return False
    # Channel norms of the official networks keep their gain as (1, C, 1, 1).
    return not (parts[-1] == "g" and parameter.numel() == max(parameter.shape))


def build_optimizer(config: OptimizerConfig, module: nn.Module) -> torch.optim.Optimizer:
    """Make the optimiser of a module's trainable parameters, in two groups (decay and no decay)."""
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps)


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Return the rate of step 0 ... steps - 1: linear warm-up, then a half cosine to lr_min."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    return config.lr_min + 0.5 * (config.lr - config.lr_min) * (1 + math.cos(math.pi * progress))


def ema_decay(config: EMAConfig, step: int) -> float | None:
    """Return the weight of the old average after `step` updates (1, 2, ...); None = no change now.

    With decay 0.995, every 10, after 100 these are the values of ema-pytorch 0.2.3, which the
    official code of DA-CLIP uses.
    """
    if (step - 1) % config.every:
        return None
    since = step - config.after - 1
    if since <= 0:
        return 0.0
    return min(config.decay, 1 - (1 + since) ** -config.power)


class EMA:
    """A moving average of a module's trainable parameters (of its shards, where sharded)."""

    def __init__(self, config: EMAConfig, module: nn.Module):
        self.config, self.module = config, module
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.average = [value.clone() for value in self._live()]

    def _live(self) -> list[Tensor]:
        """The parameters' memory in this process."""
        values = [p.detach() for p in self.parameters]
        return [value.to_local() if isinstance(value, DTensor) else value for value in values]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights, after `step` updates of the weights."""
        decay = ema_decay(self.config, step)
        if decay is None:
            return
        if decay == 0:
            torch._foreach_copy_(self.average, self._live())
        else:
            torch._foreach_lerp_(self.average, self._live(), 1 - decay)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange weights and average; call it twice around validation or export."""
        for part in self.module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()  # or what was gathered for the last use would be used again
        for live, average in zip(self._live(), self.average, strict=True):
            held = live.clone()
            live.copy_(average)
            average.copy_(held)
