"""Ablations: what their runs differ in, in which order they are trained, what is left out."""

from dataclasses import replace

import pytest
import torch

from pellucid.cli import train
from pellucid.degradations import WORDS
from pellucid.errors import UsageError
from pellucid.recipes import recipe
from pellucid.recipes.ablation import METHODS, Ablation, runs
from pellucid.training.config import check, to_dict

HOSTS = ("resunet", "nafnet", "irsde-unet")


@pytest.mark.parametrize("host", HOSTS)
def test_variants_differ_in_their_parts_alone(host):
    configs = {c.recipe.split("/")[-1]: c for c in runs("perceive", Ablation(host, seeds=(3,)))}
    variants = METHODS["perceive"][1]
    assert set(configs) - {"start"} == set(variants)
    assert len({config.output for config in configs.values()}) == len(configs)
    base = configs["l1"]
    for name in variants:
        config, task = configs[name], configs[name].task
        check(config)
        found = {loss for loss in ("contrastive", "quality", "perceptual") if getattr(task, loss)}
        found |= {"sgm"} if hasattr(task.network, "semantic_dim") else set()
        named = (
            {"contrastive", "quality", "perceptual", "sgm"} if name == "all" else name.split("+")
        )
        assert found == set(named) - {"l1"}
        assert config.data.positives == bool(task.contrastive) and config.seed == 3
        same = replace(config.data, positives=False), config.steps, config.init_from
        assert same == (base.data, base.steps, base.init_from)
        plain, own = to_dict(base.task.network), to_dict(task.network)
        assert {key: own[key] for key in plain} == plain


def test_a_host_without_weights_starts_from_a_common_run_of_its_seed():
    asked = Ablation("nafnet", ("sgm", "all"), seeds=(0, 1), warm_up=9)
    listed = list(runs("perceive", asked))
    names = [config.output.split("/")[-1] for config in listed]
    assert names == ["start-0", "sgm-0", "all-0", "start-1", "sgm-1", "all-1"]
    assert (listed[0].steps, listed[0].init_from, listed[0].task.quality) == (9, "", 0)
    assert listed[2].init_from == f"{listed[0].output}/weights.safetensors"
    assert [c.init_from for c in runs("perceive", Ablation(seeds=(0,), variants=("l1",)))] == [
        "lite"
    ]


def test_what_is_left_out_is_met_nowhere():
    start, config = runs("perceive", Ablation("resunet", ("all",), (0,), leave_out="hazy"))
    for run in (start, config):
        assert set(run.data.words) == set(WORDS) - {"hazy"}
        assert (run.task.tower, run.task.network.words) == ("", 0)
        assert "without-hazy" in run.output
    assert start.init_from == ""


@pytest.mark.parametrize(
    "asked, match",
    [
        (Ablation("vgg"), "unknown host of ablation/perceive 'vgg'"),
        (Ablation(variants=("sgn",)), "did you mean sgm"),
        (Ablation(leave_out="haze"), "unknown degradation in --leave-out 'haze'"),
    ],
)
def test_unknown_names_are_refused(asked, match):
    with pytest.raises(UsageError, match=match):
        list(runs("perceive", asked))


def test_weather_has_all_its_variants_and_no_unseen_ones():
    configs = [c for c in runs("weather", Ablation(seeds=(0,)))]
    assert [c.recipe.split("/")[-1] for c in configs] == list(METHODS["weather"][1])
    by_name = {c.recipe.split("/")[-1]: c.task for c in configs}
    assert by_name["base"].network.sar == "none" and by_name["base"].network.prior is None
    assert by_name["full"].target == "soft" and by_name["full-random"].teacher == "random"
    with pytest.raises(UsageError, match="--leave-out is for ablation/perceive"):
        list(runs("weather", Ablation(leave_out="hazy")))


def test_the_command_trains_all_with_its_flags(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(train, "_run", lambda config, resume: done.append(config) or True)
    flags = "--host nafnet --variants l1 sgm --seeds 5 --warm-up 4 --steps 7 --data.crop 32"
    assert train.main(["ablation/perceive", *flags.split()]) == 0
    assert [(c.output.split("/")[-1], c.steps, c.data.crop, c.seed) for c in done] == [
        ("start-5", 4, 32, 5),
        ("l1-5", 7, 32, 5),
        ("sgm-5", 7, 32, 5),
    ]
    monkeypatch.setattr(train, "has_vgg", lambda: False)
    with pytest.raises(UsageError, match="perceptual-0 needs weights of VGG"):
        train.main(["ablation/perceive"])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"full-tinyvit-0 needs data/.*or name the other --vari"):
        train.main(["ablation/weather"])
    assert len(done) == 3  # nothing was begun
    with pytest.raises(UsageError, match="--seed is for one"):
        train.main(["ablation/perceive", "--seed", "3"])
    saved = to_dict(done[2])
    assert train.from_values(saved) == done[2]  # its config.yaml is enough to go on


def test_a_name_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="unknown ablation"):
        recipe("ablation/daclip/resunet/l1")


def test_the_quality_prompts_are_those_of_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # outside a clone
    task = recipe("ablation/perceive/resunet/quality").task.build()
    levels = task.perceiver.score(torch.full((1, 3, 32, 32), 0.5)).probabilities
    assert float(levels.sum()) == pytest.approx(1)
