"""Clean images whose every pixel is N(MEAN, STD^2): the one case where every solver can be checked.

The best denoiser is known, the exact solutions are known, and a sampler is an affine map of its
initial state and its noise. So its output's mean and standard deviation follow exactly from running
it on a batch of unit vectors, without a single random number.
"""

import torch

from pellucid.diffusion import SAMPLERS

MEAN, STD = 0.3, 0.1


class BestDenoiser:
    """`E[x0 | x_t]`, with mu = 0."""

    def __init__(self, sde, mu):
        self.sde, self.mu = sde, mu

    def __call__(self, x, t):
        alpha, sigma = self.sde.alpha(t).double(), self.sde.sigma(t).double()
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        return MEAN + gain * (x - alpha * MEAN)

    def epsilon(self, x, t):
        return self.sde.epsilon_from_x0(x, self.mu, t, self(x, t))


def exact(sde, t):
    """Mean and standard deviation of the states at time `t`."""
    alpha, sigma = sde.alpha(t).double(), sde.sigma(t).double()
    return (alpha * MEAN).item(), (alpha**2 * STD**2 + sigma**2).sqrt().item()


def sampled(name, sde, times):
    """Mean and standard deviation of what a sampler returns from exact states at `times[0]`."""
    inputs = len(times)  # the initial state, and one draw of noise a step
    units = torch.eye(1 + inputs, inputs, dtype=torch.float64).roll(1, 0)  # first row: all zero
    x, *noise = units.T.reshape(inputs, -1, 1, 1, 1)
    draws = iter(noise)
    denoise = BestDenoiser(sde, torch.zeros_like(x))
    out = SAMPLERS[name](sde, denoise, x, times, lambda: next(draws)).flatten()
    offset, slopes = out[0], out[1:] - out[0]
    mean, std = exact(sde, times[0])
    variance = (slopes[0] * std) ** 2 + slopes[1:].square().sum()
    return (offset + slopes[0] * mean).item(), variance.sqrt().item()
