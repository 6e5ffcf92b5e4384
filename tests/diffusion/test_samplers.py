import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffusion.gaussian_data import BestDenoiser, exact, sampled
from pellucid.diffusion import SAMPLERS, Denoiser, MeanRevertingSDE, gaussian
from pellucid.errors import UsageError

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "daclip_golden.safetensors")
MU = torch.linspace(0, 1, 192).reshape(1, 3, 8, 8)
STOCHASTIC = ["sde", "posterior", "sde_dpmpp_2m"]


def toy_network(x, mu, t, context):
    return 0.3 * (x - mu) + 0.01 * t.reshape(-1, 1, 1, 1)


# Besides rounding: 1 - exp(-2 Theta) in the posterior loses bits where Theta is small, so that one
# unit in the last place of exp, which differs between processors, moves the result by 1e-5.
@pytest.mark.parametrize(("name", "rtol"), [("sde", 1e-6), ("ode", 1e-6), ("posterior", 3e-5)])
@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_official_samplers_give_the_official_images(schedule, name, rtol):
    sde = MeanRevertingSDE(schedule)
    denoise = Denoiser(sde, toy_network, MU)
    torch.manual_seed(7)
    x = sde.initial(MU, torch.randn_like(MU))
    assert torch.equal(x, GOLDEN[f"toy.{schedule}.x_T_seed7"])
    torch.manual_seed(8)
    x = SAMPLERS[name](sde, denoise, x, sde.times(), None)
    expected = GOLDEN[f"toy.{schedule}.reverse_{name}_seed8"]
    assert (x - expected).abs().max() <= rtol * expected.abs().max()


def order(errors):
    """Slope of log error over log step length, for step counts that double."""
    steps = torch.arange(len(errors), dtype=torch.float64)
    logs = -torch.tensor(errors, dtype=torch.float64).log2()
    return (torch.cov(torch.stack([steps, logs]))[0, 1] / steps.var()).item()


@pytest.mark.parametrize(
    ("name", "stated"), [("posterior", 1), ("dpmpp_1", 1), ("dpmpp_2m", 2), ("sde_dpmpp_2m", 2)]
)
def test_solvers_converge_at_their_stated_order(name, stated):
    end = 200
    sde = MeanRevertingSDE(steps=end + 640)  # times of a fine schedule, so that steps can be small
    mean, std = exact(sde, end)
    errors = []
    for count in (20, 40, 80, 160):
        times = [end + k * (640 // count) for k in range(count, -1, -1)]
        got_mean, got_std = sampled(name, sde, times)
        assert got_mean == pytest.approx(mean, abs=1e-5)
        errors.append(abs(got_std - std))
    assert order(errors) == pytest.approx(stated, abs=0.12)


@pytest.mark.parametrize("name", ["sde", "ode"])
def test_euler_samplers_converge_at_order_one(name):
    mean_errors, std_errors = [], []
    for steps in (50, 100, 200):
        sde = MeanRevertingSDE(steps=steps)
        mean, std = exact(sde, 0)
        got_mean, got_std = sampled(name, sde, sde.times())
        mean_errors.append(abs(got_mean - mean))
        std_errors.append(abs(got_std - std))
    assert order(mean_errors) == pytest.approx(1, abs=0.1)
    assert order(std_errors) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_ends_with_the_distribution_of_clean_images(name):
    sde = MeanRevertingSDE()
    mean, std = sampled(name, sde, sde.times())
    assert mean == pytest.approx(0.3, abs=0.004)
    assert std == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_noise_makes_a_distribution_and_not_a_point(name):
    sde = MeanRevertingSDE()
    x = torch.zeros(1, 1, 100, 100)
    noise = torch.Generator().manual_seed(0)
    out = SAMPLERS[name](sde, BestDenoiser(sde, x), x, sde.times(), noise)
    assert out.mean().item() == pytest.approx(0.3, abs=0.01)
    assert out.std().item() == pytest.approx(0.1, rel=0.1)


def test_posterior_is_the_first_order_sde_solver_of_dpm_solver():
    sde, snr = MeanRevertingSDE(), MeanRevertingSDE().half_log_snr
    x, x0 = torch.rand(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for t, s in [(100, 75), (75, 30), (30, 29)]:
        decay = torch.exp(snr(t) - snr(s))
        mean = sde.sigma(s) / sde.sigma(t) * decay * x + sde.alpha(s) * (1 - decay**2) * x0
        std = sde.sigma(s) * torch.sqrt(1 - decay**2)
        got_mean, got_std = sde.posterior(x, torch.zeros_like(x), t, x0, s)
        assert torch.allclose(got_mean, mean, atol=1e-5)
        assert torch.allclose(got_std, std, rtol=1e-4)


def test_second_order_solver_equals_the_published_formula():
    sde = MeanRevertingSDE()
    mu = torch.zeros(1, 3, 2, 2)
    x = torch.rand(mu.shape, generator=torch.Generator().manual_seed(0))
    denoise = BestDenoiser(sde, mu)
    times = [100, 70, 45, 20, 0]
    y, last, h_last = x.double(), None, None
    for t, s in pairwise(times):
        estimate = denoise(y, t)
        h = math.inf if s == 0 else (sde.half_log_snr(s) - sde.half_log_snr(t)).item()
        d = estimate
        if last is not None and s:
            r = h_last / h
            d = (1 + 1 / (2 * r)) * estimate - 1 / (2 * r) * last
        y = sde.sigma(s) / sde.sigma(t) * y - sde.alpha(s) * math.expm1(-h) * d
        last, h_last = estimate, h
    assert torch.allclose(SAMPLERS["dpmpp_2m"](sde, denoise, x.double(), times, None), y, atol=1e-6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_network_call_a_step_and_no_gradients(name):
    sde = MeanRevertingSDE(steps=12)
    calls = []
    weight = torch.ones((), requires_grad=True)

    def network(x, mu, t, context):
        calls.append(t.tolist())
        return toy_network(x, mu, t, context) * weight

    x = SAMPLERS[name](sde, Denoiser(sde, network, MU), MU, sde.times(), None)
    assert calls == [[float(t)] for t in range(12, 0, -1)]
    assert not x.requires_grad


@pytest.mark.parametrize("name", ["sde", "ode"])
def test_euler_samplers_refuse_to_skip_times(name):
    sde = MeanRevertingSDE()
    with pytest.raises(UsageError, match="every step"):
        SAMPLERS[name](sde, Denoiser(sde, toy_network, MU), MU, sde.times(10), None)


@pytest.mark.parametrize("name", STOCHASTIC)
def test_an_image_does_not_depend_on_its_neighbours_in_the_batch(name):
    sde = MeanRevertingSDE(steps=10)
    mu = torch.cat([MU, 1 - MU])

    def restore(mu, seeds):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return SAMPLERS[name](sde, Denoiser(sde, toy_network, mu), mu, sde.times(), generators)

    both = restore(mu, [3, 4])
    assert torch.allclose(both[1:], restore(mu[1:], [4]), atol=1e-6)
    assert not torch.allclose(both[1:], restore(mu[1:], [5]), atol=1e-3)
    with pytest.raises(ValueError, match="3 generators for 2 images"):
        restore(mu, [1, 2, 3])


@pytest.mark.parametrize("name", STOCHASTIC)
def test_a_tile_with_a_crop_of_the_canvas_noise_is_a_crop_of_the_canvas(name):
    sde = MeanRevertingSDE(steps=10)
    crop = (..., slice(2, 6), slice(1, 8))

    def canvas():
        return gaussian(MU, torch.Generator().manual_seed(5))

    def restore(mu, noise):
        return SAMPLERS[name](sde, Denoiser(sde, toy_network, mu), mu, sde.times(), noise)

    whole = restore(MU, canvas())
    draw = canvas()
    assert torch.allclose(restore(MU[crop], lambda: draw()[crop]), whole[crop], atol=1e-6)


def test_without_a_generator_noise_follows_the_global_seed():
    draws = []
    for _ in range(2):
        torch.manual_seed(1)
        draws.append(gaussian(MU)())
    torch.manual_seed(1)
    assert torch.equal(draws[0], draws[1]) and torch.equal(draws[0], torch.randn_like(MU))
