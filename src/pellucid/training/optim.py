"""Optimisers, the learning-rate schedule and the moving average of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from pellucid.hardware import resolve_dtype
from pellucid.training.config import EMAConfig, OptimizerConfig


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the inner kernels of a network, AdamW for its other parameters.

    Muon's update is the Nesterov momentum of a kernel, as a matrix `(out, in * height * width)`,
    with its singular values brought near 1 by five Newton-Schulz steps, times `0.2 * sqrt(max(rows,
    columns))` (the scale of Liu et al. 2025, arXiv 2502.16982, by which its entries are as large as
    AdamW's). Kernels of one shape are orthogonalised together, in bfloat16 where the hardware
    multiplies it, else in float32.

    Args:
        groups: parameter groups; those with `muon=True` hold kernels, 2-D at least.
        lr: of the groups that do not say theirs.
        momentum: of Muon.
        betas, eps: of AdamW.
    """

    COEFFICIENTS = (3.4445, -4.7750, 2.0315)

    def __init__(
        self,
        groups: Iterable[dict],
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ):
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps}
        super().__init__(groups, {**defaults, "weight_decay": 0.0, "muon": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one update; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            given = [p for p in group["params"] if p.grad is not None]
            for p in given:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            (self._muon if group["muon"] else self._adamw)(group, given)
        return loss

    def _muon(self, group: dict, parameters: list[Tensor]) -> None:
        by_shape: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = {}
        for p in parameters:
            state = self.state[p]
            if "momentum" not in state:
                state["momentum"] = torch.zeros_like(p)
            assert p.grad is not None  # `step` leaves out the others
            momentum = state["momentum"].lerp_(p.grad, 1 - group["momentum"])
            update = _rows(p.grad.lerp(momentum, group["momentum"]))
            shape = update.shape[0], update.shape[1]
            by_shape.setdefault(shape, []).append((p, update))
        for (rows, columns), pairs in by_shape.items():
            scale = 0.2 * max(rows, columns) ** 0.5
            updates = self.orthogonal(torch.stack([update for _, update in pairs]))
            for (p, _), update in zip(pairs, updates, strict=True):
                _rows(p).sub_(update.to(p.dtype), alpha=group["lr"] * scale)

    def _adamw(self, group: dict, parameters: list[Tensor]) -> None:
        beta1, beta2 = group["betas"]
        for p in parameters:
            state = self.state[p]
            if "step" not in state:
                state["step"] = torch.tensor(0.0)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
            state["step"] += 1
            step = float(state["step"])
            mean = state["exp_avg"].lerp_(p.grad, 1 - beta1)
            square = state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
            spread = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
            p.addcdiv_(mean, spread, value=-group["lr"] / (1 - beta1**step))

    @classmethod
    def orthogonal(cls, matrices: Tensor, steps: int = 5) -> Tensor:
        """Bring the singular values of `(N, rows, columns)` near 1 (0.7 to 1.2)."""
        a, b, c = cls.COEFFICIENTS
        x = matrices.to(resolve_dtype("auto", matrices.device))
        tall = x.shape[1] > x.shape[2]
        x = x.mT if tall else x
        x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
        for _ in range(steps):
            gram = x @ x.mT
            x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
        return x.mT if tall else x


def _rows(kernel: Tensor) -> Tensor:
    """View a kernel as `(out, the rest)`, the rest in the order in which it lies in memory.

    The order of the columns makes no difference to Muon; another order would be a copy.
    """
    if kernel.ndim == 4 and kernel.is_contiguous(memory_format=torch.channels_last):
        kernel = kernel.permute(0, 2, 3, 1)
    return kernel.flatten(1)


def orthogonalised(name: str, parameter: Tensor) -> bool:
    """Say whether Muon trains a parameter: a kernel between inner layers, 16 channels or more."""
    inner = parameter.ndim == 4 and min(parameter.shape[:2]) >= 16
    return inner and not {"stem", "head"} & set(name.split("."))


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
    muon = [(n, p) for n, p in named if config.name == "muon" and orthogonalised(n, p)]
    taken = {n for n, _ in muon}
    named = [(n, p) for n, p in named if n not in taken]
    decayed = {n for n, p in named if config.decay_all or decays(n, p)}
    groups = [
        {"params": [p for n, p in named if n in decayed], "weight_decay": config.weight_decay},
        {"params": [p for n, p in named if n not in decayed], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.name == "muon":
        for group in groups:
            group["scale"] = config.adamw_lr / config.lr
        kernels = {"params": [p for _, p in muon], "weight_decay": config.weight_decay}
        groups.append({**kernels, "muon": True})
        return Muon(groups, lr=config.lr, betas=config.betas, eps=config.eps)
    if config.name == "soap":
        from pytorch_optimizer import SOAP

        return SOAP(groups, lr=config.lr, betas=config.betas, eps=config.eps)
    return torch.optim.AdamW(groups, lr=config.lr, betas=config.betas, eps=config.eps)


def learning_rate(config: OptimizerConfig, step: int, steps: int) -> float:
    """Return the rate of step 0 ... steps - 1: linear warm-up, then a fall to lr_min.

    The fall is a half cosine or a straight line.
    """
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, steps - config.warmup)
    linear = config.schedule == "linear"
    left = 1 - progress if linear else 0.5 * (1 + math.cos(math.pi * progress))
    return config.lr_min + left * (config.lr - config.lr_min)


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
            torch._foreach_copy_(self.average, self._live())  # pyright: ignore - not in the stub
        else:
            live = self._live()
            torch._foreach_lerp_(self.average, live, 1 - decay)  # pyright: ignore - as above

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
