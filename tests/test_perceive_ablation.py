"""`benchmarks/perceive_ablation.py`: what its runs differ in, and what its table says."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.degradations import WORDS
from pellucid.networks.guided import GuidedResUNetConfig

PATH = Path(__file__).parents[1] / "benchmarks/perceive_ablation.py"


@pytest.fixture(scope="module")
def ablation():
    spec = importlib.util.spec_from_file_location("perceive_ablation", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_variants_differ_in_their_parts_alone(ablation):
    args = ablation.parsed(["--steps", "7"])
    runs = {name: ablation.configured(name, 3, args) for name in ablation.VARIANTS}
    assert len({config.output for config in runs.values()}) == len(runs)
    for name, config in runs.items():
        task = config.task
        weights = {"L_cl": task.contrastive, "L_clip": task.quality, "L_dpl": task.perceptual}
        weights["SGM"] = isinstance(task.network, GuidedResUNetConfig)
        named = set(weights) if name == "all" else set(name.split()) - {"L1", "+"}
        assert {part for part, there in weights.items() if there} == named
        assert config.data.positives == bool(task.contrastive)
        same = replace(config.data, positives=False), config.seed, config.steps, config.init_from
        assert same == (runs["L1"].data, 3, 7, runs["L1"].init_from)
        assert (task.network.widths, task.tower) == (runs["L1"].task.network.widths, "lite")


def test_what_is_left_out_is_met_nowhere(ablation):
    config = ablation.configured("all", 0, ablation.parsed(["--leave-out", "hazy"]))
    assert set(config.data.words) == set(WORDS) - {"hazy"}
    assert (config.init_from, config.task.tower, config.task.network.words) == ("", "", 0)
    start = ablation.warmed_up(0, ablation.parsed(["--leave-out", "hazy", "--warm-up", "9"]))
    assert (start.steps, start.data.words, start.init_from) == (9, config.data.words, "")
    assert start.output != config.output and start.task.quality == 0


def test_a_row_is_the_mean_gain_over_the_same_seed(ablation):
    def scored(gain):
        return {
            "psnr_rgb": {"a": [20 + gain, 22 + gain], "b": [30.0, 30.0]},
            "ssim_rgb": {"a": [0.5, 0.6], "b": [0.9, 0.9]},
        }

    name, psnr, ssim = ablation.row("x", [scored(1.0), scored(2.0)], [scored(0.0), scored(0.4)])
    assert name == "x"
    assert psnr == "+0.65 [+0.65, +0.65], seeds +0.50 to +0.80"
    assert ssim.startswith("+0.0000 [+0.0000, +0.0000]")
