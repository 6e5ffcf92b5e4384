"""The mean-reverting SDE of IR-SDE and DA-CLIP as a table of coefficients.

    dx = theta_t (mu - x) dt + sqrt(2 lambda^2 theta_t) dw

pulls a clean image x0 towards its degraded version mu and adds noise of standard deviation lambda
(`max_sigma`). Written for the distance y = x - mu it is a variance-preserving diffusion, which is
all that a solver needs:

    y_t = alpha_t y_0 + sigma_t eps,  alpha_t = exp(-Theta_t),  sigma_t = lambda sqrt(1 - alpha_t^2)

Time is the index of the training schedule: t = 0 is the clean image, t = `steps` almost mu plus
noise. A sampler that takes fewer steps visits a subset of these times. (The official code offers
`sample_T` instead: it builds another schedule of that length and only rescales the time that it
tells the network, which then meets noise levels it was not trained for: with 10 steps, sigma at
network time 10 is 0.070 and not 0.033. That is not reproduced here.)

Sources: IR-SDE (Luo et al., ICML 2023) and DA-CLIP (Luo et al., ICLR 2024). Tables and elementary
steps are float32 and follow the order of operations of the official code, so that results agree
with it to rounding.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from pellucid.errors import UsageError

Time = int | Tensor
"""One time for the whole batch, or integer times `(B,)`, one an image."""


@dataclass(frozen=True)
class MeanRevertingSDE:
    """Coefficients of the SDE at times 0..`steps`, and its elementary steps.

    Images are `(B, 3, H, W)`, nominally in [0, 1] but never clamped. All methods are pure. Methods
    that return a coefficient return a scalar `()` for an int and `(B, 1, 1, 1)` for times `(B,)`.

    Args:
        schedule: how theta grows with time; `cosine` in all released weights.
        steps: T, the number of training times.
        eps: alpha at time T, i.e. what is left of the clean image.
        max_sigma: lambda, in units of the image's range.

    Raises:
        UsageError: an unknown schedule, or no steps.
    """

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    steps: int = 100
    eps: float = 0.005
    max_sigma: float = 50 / 255

    theta: Tensor = field(init=False, repr=False, compare=False)
    """(T + 1,) speed of reversion."""
    theta_sum: Tensor = field(init=False, repr=False, compare=False)
    """(T + 1,) Theta_t = theta_sum[t] dt."""
    diffusion: Tensor = field(init=False, repr=False, compare=False)
    """(T + 1,) sqrt(2 lambda^2 theta)."""
    sigmas: Tensor = field(init=False, repr=False, compare=False)
    """(T + 1,) sigma_t."""
    dt: Tensor = field(init=False, repr=False, compare=False)
    """() length of a step."""

    def __post_init__(self):
        theta = _theta(self.schedule, self.steps)
        # The official sum starts at 0 for t = 0: the first theta is never used.
        theta_sum = torch.cumsum(theta, dim=0) - theta[0]
        dt = -1 / theta_sum[-1] * math.log(self.eps)
        variance = self.max_sigma**2
        tables = {
            "theta": theta,
            "theta_sum": theta_sum,
            "diffusion": torch.sqrt(variance * 2 * theta),
            "sigmas": torch.sqrt(variance * (1 - torch.exp(-2 * theta_sum * dt))),
            "dt": dt,
        }
        for name, table in tables.items():
            object.__setattr__(self, name, table)  # the one way into a frozen dataclass

    # Coefficients of y_t = alpha_t y_0 + sigma_t eps.

    def alpha(self, t: Time) -> Tensor:
        """Factor of y_0 at time `t`: from 1 at 0 down to `eps`."""
        return torch.exp(-_at(self.theta_sum, t) * self.dt)

    def sigma(self, t: Time) -> Tensor:
        """Standard deviation of the noise at time `t`: from 0 up to almost `max_sigma`."""
        return _at(self.sigmas, t)

    def half_log_snr(self, t: Time) -> Tensor:
        """log(alpha / sigma), half the log signal-to-noise ratio; infinite at t = 0."""
        return torch.log(self.alpha(t) / self.sigma(t))

    # Forward: from the clean image to a state.

    def perturb(self, x0: Tensor, mu: Tensor, t: Time, noise: Tensor) -> Tensor:
        """State x_t of a clean image: `mu + alpha_t (x0 - mu) + sigma_t noise`."""
        return mu + (x0 - mu) * self.alpha(t) + self.sigma(t) * noise

    def initial(self, mu: Tensor, noise: Tensor) -> Tensor:
        """State that sampling starts from: `mu + lambda noise`.

        Official code; sigma_T would be 2.5e-6 less.
        """
        return mu + noise * self.max_sigma

    # Between the clean image and the noise, given a state.

    def x0_from_epsilon(self, x: Tensor, mu: Tensor, t: Time, epsilon: Tensor) -> Tensor:
        """Clean image that `x` comes from if its noise is `epsilon`."""
        inverse_alpha = torch.exp(_at(self.theta_sum, t) * self.dt)
        return (x - mu - self.sigma(t) * epsilon) * inverse_alpha + mu

    def epsilon_from_x0(self, x: Tensor, mu: Tensor, t: Time, x0: Tensor) -> Tensor:
        """Noise in `x` if the clean image is `x0`; t >= 1."""
        return (x - mu - self.alpha(t) * (x0 - mu)) / self.sigma(t)

    # Backward: from a state to an earlier one.

    def reverse_sde_mean(self, x: Tensor, mu: Tensor, t: Time, epsilon: Tensor) -> Tensor:
        """Mean of an Euler step t -> t - 1 of the reverse-time SDE; score = -epsilon / sigma_t."""
        return x - self._drift(x, mu, t, epsilon, 1.0)

    def reverse_ode(self, x: Tensor, mu: Tensor, t: Time, epsilon: Tensor) -> Tensor:
        """Euler step t -> t - 1 of the probability-flow ODE."""
        return x - self._drift(x, mu, t, epsilon, 0.5)

    def dispersion(self, t: Time, noise: Tensor) -> Tensor:
        """Random part of an Euler step of the reverse-time SDE."""
        return _at(self.diffusion, t) * (noise * math.sqrt(self.dt))

    def posterior(
        self, x: Tensor, mu: Tensor, t: Time, x0: Tensor, s: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of x_s given x_t = `x` and the clean image, for any s < t.

        Without `s` the step is t -> t - 1, as in the official code (`reverse_optimum_step`, its
        training target); only then may `t` be a tensor. Towards s = 0 the mean is `x0` and the
        standard deviation next to nothing (6e-12, as in the official code).
        """
        if s is None:
            between, target = _at(self.theta, t), t - 1
        else:
            between, target = self.theta[s + 1 : t + 1].sum(), s
        passed, left = between * self.dt, _at(self.theta_sum, target) * self.dt
        whole = _at(self.theta_sum, t) * self.dt
        a, b, c = torch.exp(-passed), torch.exp(-whole), torch.exp(-left)
        keep = a * (1 - c**2) / (1 - b**2)
        move = c * (1 - a**2) / (1 - b**2)
        mean = keep * (x - mu) + move * (x0 - mu) + mu
        a, b, c = torch.exp(-2 * passed), torch.exp(-2 * whole), torch.exp(-2 * left)
        variance = torch.clamp((1 - a) * (1 - c) / (1 - b), min=1e-20 * float(self.dt))
        return mean, torch.exp(0.5 * torch.log(variance)) * self.max_sigma

    # Schedules of training and sampling.

    def random_times(self, batch: int, generator: torch.Generator | None = None) -> Tensor:
        """Training times `(batch,)`, uniform in 1..T, on the generator's device."""
        device = "cpu" if generator is None else generator.device
        return torch.randint(1, self.steps + 1, (batch,), generator=generator, device=device)

    def matching_loss(self, x: Tensor, mu: Tensor, t: Time, epsilon: Tensor, x0: Tensor) -> Tensor:
        """Maximum-likelihood matching loss of each image, `(B,)`.

        L1 between the reverse step that the predicted `epsilon` takes from `x` and the best one,
        the mean of the posterior given `x0` (IR-SDE, maximum likelihood learning). An error in
        epsilon weighs diffusion_t^2 dt / sigma_t in it.
        """
        taken = self.reverse_sde_mean(x, mu, t, epsilon)
        best, _ = self.posterior(x, mu, t, x0)
        return (taken - best).abs().flatten(1).mean(1)

    def times(self, evaluations: int | None = None, power: float = 1.0) -> list[int]:
        """Decreasing times T, ..., 0 of a sampler that calls the network `evaluations` times.

        Without a number, all times. Time falls as u^power from u = 1 to 0: above 1, more of the
        calls are spent on little noise; below 1, on much, and the last step to 0 is a long one.

        Raises:
            UsageError: fewer than 1 or more than T evaluations.
        """
        n = self.steps if evaluations is None else evaluations
        if not 1 <= n <= self.steps:
            raise UsageError(f"{n} sampling steps: choose from 1 to {self.steps}")
        times = [0]
        for k in range(1, n + 1):
            times.append(max(times[-1] + 1, round(self.steps * (k / n) ** power)))
        return times[::-1]

    def _drift(self, x: Tensor, mu: Tensor, t: Time, epsilon: Tensor, share: float) -> Tensor:
        score = -epsilon / self.sigma(t)
        reversion = _at(self.theta, t) * (mu - x)
        return (reversion - share * _at(self.diffusion, t) ** 2 * score) * self.dt


def _theta(schedule: str, steps: int) -> Tensor:
    """Speeds of reversion `(steps + 1,)`, official code; a constant factor is left to dt."""
    if steps < 1:
        raise UsageError(f"an SDE needs at least one step, not {steps}")
    if schedule == "cosine":
        intervals = steps + 2
        x = torch.linspace(0, intervals, intervals + 1, dtype=torch.float32)
        kept = torch.cos(((x / intervals) + 0.008) / (1 + 0.008) * math.pi * 0.5) ** 2
        return 1 - (kept / kept[0])[1:-1]
    if schedule == "linear":
        scale = 1000 / (steps + 1)
        return torch.linspace(scale * 0.0001, scale * 0.02, steps + 1, dtype=torch.float32)
    if schedule == "constant":
        return torch.ones(steps + 1, dtype=torch.float32)
    raise UsageError(f"unknown schedule {schedule!r}: cosine, linear or constant")


def _at(table: Tensor, t: Time) -> Tensor:
    """Entry of a table, ready to multiply a batch of images."""
    if isinstance(t, Tensor):
        return table.to(t.device)[t.long()].view(-1, 1, 1, 1)
    return table[t]
