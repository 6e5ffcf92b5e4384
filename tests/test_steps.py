"""`benchmarks/steps.py`: which network calls the samplers make."""

import importlib.util
from pathlib import Path

import pytest
import torch

import tiny

PATH = Path(__file__).parents[1] / "benchmarks/steps.py"


@pytest.fixture(scope="module")
def steps():
    spec = importlib.util.spec_from_file_location("steps", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def told(monkeypatch):
    """A diffusion restorer, and the times that its network is told."""
    restorer, times = tiny.restorer(diffusion=True), []
    forward = restorer.network.forward

    def network(x, mu, t, context):
        times.append(round(t.item(), 4))
        return forward(x, mu, t, context)

    monkeypatch.setattr(restorer.network, "forward", network)
    return restorer, times


def restored(source):
    return source.restore(None, torch.rand(1, 3, 16, 16), seed=0).picture


def test_every_sampler_makes_the_calls_that_it_is_plotted_at(steps, told):
    restorer, times = told
    for source in steps.sources(restorer, [4, 100]):
        times.clear()
        assert restored(source).isfinite().all()
        assert len(times) == source.calls, source.name
        assert times[0] == 100 and times == sorted(times, reverse=True)


def test_the_shortcut_tells_rescaled_times_and_meets_other_noise(steps, told):
    """Levels measured in the official code: 17.97, 7.61 and 2.29 of 255, not 8.52, 3.85, 1.60."""
    restorer, times = told
    for calls, level, trained in ((10, 17.97, 8.52), (20, 7.61, 3.85), (50, 2.29, 1.60)):
        source = steps.Sampled(restorer, "posterior", calls, shortcut=True)
        times.clear()
        restored(source)
        assert times[-1] == 100 / calls and times[0] == 100
        assert source.sde.sigma(1).item() * 255 == pytest.approx(level, abs=0.005)
        assert restorer.sde.sigma(100 // calls).item() * 255 == pytest.approx(trained, abs=0.005)


def test_without_the_shortcut_a_sampler_is_the_restorers_own(steps, told):
    restorer, _ = told
    picture = torch.rand(1, 3, 16, 16)
    ours = steps.Sampled(restorer, "dpmpp_2m", 5, shortcut=False).restore(None, picture, 3).picture
    torch.testing.assert_close(ours, restorer.restore(picture, preset="fast", seed=3))
