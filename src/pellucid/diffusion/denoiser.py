"""Estimate the clean image from the prediction of a network."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pellucid.diffusion.sde import MeanRevertingSDE


@dataclass(frozen=True)
class Denoiser:
    """`denoise(x, t) -> x0_hat`: a network with its degraded image and condition.

    Samplers use `mu`, the call and, the two Euler samplers, `epsilon`; any object with these
    three can replace it. Each call of either runs the network once.

    Args:
        sde: the SDE that the network was trained with.
        network: `network(x, mu, t, condition)`, with x and mu `(B, 3, H, W)` and t `(B,)`.
        mu: degraded image `(B, 3, H, W)` in [0, 1], float32.
        condition: what `network.condition(...)` returned, once per image.
        predicts: what the network returns; epsilon for the official weights.
    """

    sde: MeanRevertingSDE
    network: Callable[[Tensor, Tensor, Tensor, Any], Tensor]
    mu: Tensor
    condition: Any = None
    predicts: Literal["epsilon", "x0"] = "epsilon"

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Estimate of the clean image from the state `x` at time `t` >= 1; not clamped."""
        prediction = self._predict(x, t)
        if self.predicts == "x0":
            return prediction
        return self.sde.x0_from_epsilon(x, self.mu, t, prediction)

    def epsilon(self, x: Tensor, t: int) -> Tensor:
        """Estimate of the noise in the state `x` at time `t` >= 1."""
        prediction = self._predict(x, t)
        if self.predicts == "epsilon":
            return prediction
        return self.sde.epsilon_from_x0(x, self.mu, t, prediction)

    def _predict(self, x: Tensor, t: int) -> Tensor:
        time = torch.full((len(x),), float(t), device=x.device)
        # The state keeps its precision when the network runs under autocast.
        return self.network(x, self.mu, time, self.condition).to(x.dtype)
