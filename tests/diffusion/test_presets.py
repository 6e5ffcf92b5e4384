import pytest
import torch

from pellucid.diffusion import PRESETS, Denoiser, MeanRevertingSDE
from pellucid.errors import UsageError

SDE = MeanRevertingSDE()
MU = torch.linspace(0, 1, 96).reshape(2, 3, 4, 4)
CLEAN = MU * 0.8 + 0.1


class CountingNetwork:
    """Predicts that the clean image is `CLEAN`, as x0 or as epsilon."""

    def __init__(self, predicts):
        self.predicts, self.calls = predicts, 0

    def __call__(self, x, mu, t, context):
        self.calls += 1
        if self.predicts == "x0":
            return CLEAN
        return SDE.epsilon_from_x0(x, mu, int(t[0]), CLEAN)


@pytest.mark.parametrize(("name", "calls"), [("paper", 100), ("balanced", 20), ("fast", 5)])
@pytest.mark.parametrize("predicts", ["x0", "epsilon"])
def test_presets_make_the_stated_number_of_calls_and_end_at_the_estimate(name, calls, predicts):
    network = CountingNetwork(predicts)
    denoise = Denoiser(SDE, network, MU, predicts=predicts)
    restored = PRESETS[name].sample(SDE, denoise, torch.Generator().manual_seed(0))
    assert network.calls == calls
    assert torch.allclose(restored, CLEAN, atol=1e-4)


@pytest.mark.parametrize("name", PRESETS)
def test_steps_replace_the_number_of_calls(name):
    network = CountingNetwork("x0")
    denoise = Denoiser(SDE, network, MU, predicts="x0")
    PRESETS[name].sample(SDE, denoise, steps=3)
    assert network.calls == 3
    with pytest.raises(UsageError, match="101"):
        PRESETS[name].sample(SDE, denoise, steps=101)


@pytest.mark.parametrize("name", PRESETS)
def test_a_seed_determines_the_image(name):
    denoise = Denoiser(SDE, lambda x, mu, t, context: 0.3 * (x - mu), MU)

    def restore(seed):
        return PRESETS[name].sample(SDE, denoise, torch.Generator().manual_seed(seed))

    assert torch.equal(restore(1), restore(1))
    assert not torch.allclose(restore(1), restore(2), atol=1e-4)


def test_sampling_starts_from_the_first_draw():
    draws = iter([torch.full_like(MU, 0.5)])
    seen = []

    def network(x, mu, t, context):
        seen.append(x)
        return CLEAN

    denoise = Denoiser(SDE, network, MU, predicts="x0")
    PRESETS["fast"].sample(SDE, denoise, lambda: next(draws), steps=1)
    assert torch.equal(seen[0], SDE.initial(MU, torch.full_like(MU, 0.5)))


def test_the_two_predictions_of_a_denoiser_agree():
    x = SDE.perturb(CLEAN, MU, 40, torch.ones_like(MU))
    for predicts in ("x0", "epsilon"):
        denoise = Denoiser(SDE, CountingNetwork(predicts), MU, predicts=predicts)
        assert torch.allclose(denoise(x, 40), CLEAN, atol=1e-5)
        assert torch.allclose(denoise.epsilon(x, 40), torch.ones_like(MU), atol=1e-4)


def test_a_half_precision_network_leaves_the_state_in_float32():
    denoise = Denoiser(SDE, lambda x, mu, t, context: (0.3 * (x - mu)).bfloat16(), MU)
    assert denoise(MU, 5).dtype == torch.float32
    assert denoise.epsilon(MU, 5).dtype == torch.float32
