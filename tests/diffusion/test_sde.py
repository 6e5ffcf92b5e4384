from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pellucid.diffusion import MeanRevertingSDE
from pellucid.errors import UsageError

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "daclip_golden.safetensors")
SCHEDULES = ["cosine", "linear", "constant"]
MU = torch.linspace(0, 1, 192).reshape(1, 3, 8, 8)


def states(seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(batch, 3, 4, 5, generator=generator) for _ in range(3)]


def test_cosine_tables_are_the_official_ones():
    sde = MeanRevertingSDE()
    assert sde.dt.item() == pytest.approx(0.10409380495548248, rel=1e-7)
    expected = {
        "theta": {0: 6.14285469e-4, 1: 1.69456005e-3, 2: 3.24010849e-3, 50: 0.50615633},
        "theta_sum": {0: 0.0, 50: 9.7928152, 100: 50.8994484},
        "diffusion": {1: 0.0114149312, 18: 0.0826074257},
        "sigmas": {0: 0.0, 1: 3.68262362e-3, 50: 0.18286957, 100: 0.196075976},
    }
    for name, entries in expected.items():
        for t, value in entries.items():
            assert getattr(sde, name)[t].item() == pytest.approx(value, rel=2e-7)
    std = [sde.posterior(MU, MU, t, MU)[1].item() for t in (1, 2, 3)]
    assert std == pytest.approx([6.32619521e-12, 2.98429257e-3, 4.51212144e-3], rel=2e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_state_and_loss_equal_the_official_code(schedule):
    sde = MeanRevertingSDE(schedule)
    torch.manual_seed(9)
    t, noise, x0 = sde.random_times(1), torch.randn_like(MU), 0.5 * MU
    x = sde.perturb(x0, MU, t, noise)
    loss = sde.matching_loss(x, MU, t, 0.3 * (x - MU), x0)
    assert torch.equal(t, GOLDEN[f"toy.{schedule}.train_t"].flatten())
    assert torch.allclose(x, GOLDEN[f"toy.{schedule}.train_xt"], rtol=0, atol=2e-7)
    assert torch.allclose(loss, GOLDEN[f"toy.{schedule}.train_loss_l1"], rtol=1e-5)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_towards_the_known_clean_image_equal_the_official_code(schedule):
    sde = MeanRevertingSDE(schedule)
    x = GOLDEN[f"toy.{schedule}.x_T_seed7"]
    for t in range(100, 0, -1):
        x, _ = sde.posterior(x, MU, t, 0.5 * MU)
    assert torch.allclose(x, GOLDEN[f"toy.{schedule}.optimal_reverse"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_distance_to_mu_is_variance_preserving(schedule):
    sde = MeanRevertingSDE(schedule, steps=60, eps=0.01)
    alpha = torch.stack([sde.alpha(t) for t in range(61)])
    sigma = torch.stack([sde.sigma(t) for t in range(61)])
    assert torch.allclose(alpha**2 + (sigma / sde.max_sigma) ** 2, torch.ones(61), atol=1e-6)
    assert alpha[0] == 1 and alpha[-1].item() == pytest.approx(0.01, rel=1e-4)
    assert (alpha.diff() < 0).all()
    assert sde.half_log_snr(0) == torch.inf
    assert sde.half_log_snr(30).item() == pytest.approx((alpha[30] / sigma[30]).log().item())


@pytest.mark.parametrize("t", [1, 37, 100])
def test_noise_and_clean_image_determine_each_other(t):
    sde = MeanRevertingSDE()
    x0, mu, noise = states()
    x = sde.perturb(x0, mu, t, noise)
    assert torch.allclose(sde.x0_from_epsilon(x, mu, t, noise), x0, atol=1e-4)
    assert torch.allclose(sde.epsilon_from_x0(x, mu, t, x0), noise, atol=1e-4)


def test_each_image_of_a_batch_may_have_its_own_time():
    sde = MeanRevertingSDE()
    x0, mu, noise = states()
    times = torch.tensor([3, 80])
    x = sde.perturb(x0, mu, times, noise)
    mean, std = sde.posterior(x, mu, times, x0)
    losses = sde.matching_loss(x, mu, times, noise, x0)
    for i, t in enumerate(times.tolist()):
        one = slice(i, i + 1)
        alone = sde.perturb(x0[one], mu[one], t, noise[one])
        assert torch.allclose(x[one], alone)
        mean_alone, std_alone = sde.posterior(alone, mu[one], t, x0[one])
        assert torch.allclose(mean[one], mean_alone) and torch.allclose(std[i], std_alone)
        loss = sde.matching_loss(alone, mu[one], t, noise[one], x0[one])
        assert torch.allclose(losses[one], loss)


@pytest.mark.parametrize(("t", "s"), [(100, 80), (60, 59), (60, 1), (7, 3)])
def test_posterior_between_any_two_times_is_bayes_rule(t, s):
    sde = MeanRevertingSDE()
    x0, mu, x = (image.double() for image in states())
    a_s, a_t = sde.alpha(s).double(), sde.alpha(t).double()
    var_s, var_t = sde.sigma(s).double() ** 2, sde.sigma(t).double() ** 2
    a_ts = a_t / a_s  # y_t = a_ts y_s + noise of variance var_t - a_ts^2 var_s
    gain = a_ts * var_s / var_t
    mean = mu + a_s * (x0 - mu) + gain * ((x - mu) - a_t * (x0 - mu))
    std = (var_s - gain * a_ts * var_s).sqrt()
    got_mean, got_std = sde.posterior(x, mu, t, x0, s)
    assert torch.allclose(got_mean, mean, rtol=0, atol=1e-4)
    assert got_std.item() == pytest.approx(std.item(), rel=2e-4)


def test_posterior_at_time_zero_is_the_clean_image():
    sde = MeanRevertingSDE()
    x0, mu, x = states()
    mean, std = sde.posterior(x, mu, 40, x0, 0)
    assert torch.allclose(mean, x0, atol=1e-5) and std < 1e-10


def test_posterior_of_one_step_is_the_official_one():
    sde = MeanRevertingSDE()
    x0, mu, x = states()
    for t in (1, 2, 50, 100):
        for given, official in zip(
            sde.posterior(x, mu, t, x0, t - 1), sde.posterior(x, mu, t, x0), strict=True
        ):
            assert torch.equal(given, official)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("steps", [1, 7, 100])
def test_sampling_times_fall_from_the_last_to_zero(steps, power):
    sde = MeanRevertingSDE(steps=steps)
    for n in range(1, steps + 1):
        times = sde.times(n, power)
        assert len(times) == n + 1 and times[0] == steps and times[-1] == 0
        assert all(t > s for t, s in pairwise(times))
    assert sde.times() == list(range(steps, -1, -1))


def test_sampling_times_are_evenly_spread():
    assert MeanRevertingSDE().times(5) == [100, 80, 60, 40, 20, 0]
    assert MeanRevertingSDE().times(4, power=2.0) == [100, 56, 25, 6, 0]


def test_training_times_cover_the_schedule_and_follow_the_generator():
    sde = MeanRevertingSDE(steps=5)
    times = sde.random_times(200, torch.Generator().manual_seed(0))
    assert sorted(set(times.tolist())) == [1, 2, 3, 4, 5]
    assert torch.equal(times, sde.random_times(200, torch.Generator().manual_seed(0)))


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="schedule"):
        MeanRevertingSDE("quadratic")
    with pytest.raises(UsageError, match="step"):
        MeanRevertingSDE(steps=0)
    for evaluations in (0, 101):
        with pytest.raises(UsageError, match="1 to 100"):
            MeanRevertingSDE().times(evaluations)
