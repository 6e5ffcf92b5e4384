"""Samplers: pure functions `(sde, denoise, x, times, noise) -> x`.

They take a state `x` `(B, 3, H, W)` from `times[0]` to `times[-1]`. `denoise` is a `Denoiser` or
anything like it, `times` a decreasing list of times of the training schedule such as
`sde.times(20)`, `noise` a `Randomness`: generators, a function, or None for torch's global stream.
Every pair of neighbouring times costs one network call and, in the stochastic samplers, one draw of
noise, the last pair included.

| function       | solves           | order | times    | also known as                          |
|----------------|------------------|-------|----------|----------------------------------------|
| `reverse_sde`  | reverse-time SDE | 1     | adjacent | official `sde`, of the ICLR paper      |
| `reverse_ode`  | probability flow | 1     | adjacent | official `ode`                         |
| `posterior`    | reverse-time SDE | 1     | any      | official `posterior`, SDE-DPM-Solver++ |
| `dpmpp_1`      | probability flow | 1     | any      | DDIM, DPM-Solver++                     |
| `dpmpp_2m`     | probability flow | 2     | any      | DPM-Solver++(2M)                       |
| `sde_dpmpp_2m` | reverse-time SDE | 2     | any      | SDE-DPM-Solver++(2M)                   |

Orders of the stochastic samplers are weak ones: of the mean and variance of what they return. The
first two are Euler's method. In y = x - mu the SDE is variance preserving, so the others are the
published solvers (DDIM: Song et al., ICLR 2021; DPM-Solver++: Lu et al., 2022); MR-Sampler (ICLR
2025) derives the same from the SDE itself. The official `posterior` knows adjacent times only.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from pellucid.diffusion.randomness import Randomness, gaussian
from pellucid.diffusion.sde import MeanRevertingSDE
from pellucid.errors import UsageError


class Denoise(Protocol):
    """Interface of a `Denoiser` that samplers use."""

    @property
    def mu(self) -> Tensor:
        """Degraded image, (B, 3, H, W)."""
        ...

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Estimate the clean image x0 from the state x at time t."""
        ...

    def epsilon(self, x: Tensor, t: int) -> Tensor:
        """Estimate the noise; used by `reverse_sde` and `reverse_ode` alone."""
        ...


Sampler = Callable[[MeanRevertingSDE, Denoise, Tensor, Sequence[int], Randomness], Tensor]


@torch.no_grad()
def reverse_sde(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """Euler-Maruyama on the reverse-time SDE; leaves noise of 0.94 / 255 in the image."""
    _require_adjacent(times)
    draw = gaussian(x, noise)
    for t in times[:-1]:
        mean = sde.reverse_sde_mean(x, denoise.mu, t, denoise.epsilon(x, t))
        x = mean - sde.dispersion(t, draw())
    return x


@torch.no_grad()
def reverse_ode(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """Euler on the probability-flow ODE; `noise` is not used."""
    _require_adjacent(times)
    for t in times[:-1]:
        x = sde.reverse_ode(x, denoise.mu, t, denoise.epsilon(x, t))
    return x


@torch.no_grad()
def posterior(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """Draw x_s from its distribution given x_t and the estimated clean image."""
    draw = gaussian(x, noise)
    for t, s in pairwise(times):
        mean, std = sde.posterior(x, denoise.mu, t, denoise(x, t), s)
        x = mean + std * draw()
    return x


@torch.no_grad()
def dpmpp_1(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """Take the estimated clean image back to time s with the same noise; `noise` is not used."""
    for t, s in pairwise(times):
        x = _move(sde, x, denoise.mu, t, denoise(x, t), s)
    return x


@torch.no_grad()
def dpmpp_2m(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """`dpmpp_1` with the estimate extrapolated from the last two; `noise` is not used."""
    estimate = _Extrapolation(sde, denoise)
    for t, s in pairwise(times):
        x = _move(sde, x, denoise.mu, t, estimate(x, t, s), s)
    return x


@torch.no_grad()
def sde_dpmpp_2m(
    sde: MeanRevertingSDE,
    denoise: Denoise,
    x: Tensor,
    times: Sequence[int],
    noise: Randomness = None,
) -> Tensor:
    """`posterior` with the estimate extrapolated from the last two."""
    draw = gaussian(x, noise)
    estimate = _Extrapolation(sde, denoise)
    for t, s in pairwise(times):
        mean, std = sde.posterior(x, denoise.mu, t, estimate(x, t, s), s)
        x = mean + std * draw()
    return x


SAMPLERS: dict[str, Sampler] = {
    "sde": reverse_sde,
    "ode": reverse_ode,
    "posterior": posterior,
    "dpmpp_1": dpmpp_1,
    "dpmpp_2m": dpmpp_2m,
    "sde_dpmpp_2m": sde_dpmpp_2m,
}
"""The samplers by name; each is called as `sampler(sde, denoise, x, times, noise)`."""


def _move(sde: MeanRevertingSDE, x: Tensor, mu: Tensor, t: int, x0: Tensor, s: int) -> Tensor:
    """Exact solution of the probability flow from t to s for a constant estimate `x0`."""
    return sde.perturb(x0, mu, s, sde.epsilon_from_x0(x, mu, t, x0))


class _Extrapolation:
    """Estimate of x0 for the middle of a step t -> s, on the line through the last two estimates.

    Middle and line are in half log-SNR, the natural time of these solvers.
    """

    def __init__(self, sde: MeanRevertingSDE, denoise: Denoise):
        self.sde, self.denoise = sde, denoise
        self.last: tuple[int, Tensor] | None = None

    def __call__(self, x: Tensor, t: int, s: int) -> Tensor:
        x0 = self.denoise(x, t)
        last, self.last = self.last, (t, x0)
        if last is None or s == 0:  # at s = 0 the half log-SNR, and with it the step, is infinite
            return x0
        (t_last, x0_last), snr = last, self.sde.half_log_snr
        half_ratio = 0.5 * (snr(s) - snr(t)) / (snr(t) - snr(t_last))
        return x0 + half_ratio * (x0 - x0_last)


def _require_adjacent(times: Sequence[int]) -> None:
    """Euler steps of this schedule have length 1."""
    if any(t - s != 1 for t, s in pairwise(times)):
        raise UsageError(
            "this sampler takes every step of the schedule: choose another one for fewer"
        )
