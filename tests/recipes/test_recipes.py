import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

import pellucid
from pellucid.data.triplets import held_out
from pellucid.errors import UsageError
from pellucid.losses.perceptual import VGG16
from pellucid.recipes import RECIPES, recipe
from pellucid.training.config import read_yaml, save_yaml, to_dict, updated
from pellucid.training.optim import learning_rate
from pellucid.training.tasks import guidance, perceive
from pellucid.training.tasks.controller import ControllerOptions
from pellucid.training.tasks.prompts import PromptsOptions
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER


def without_files(config):
    """The same recipe with random weights in place of the files it starts from."""
    known = {"tower", "clip", "tokenizer", "words", "prompts"}
    files = known & {f.name for f in dataclasses.fields(config.task)}
    files -= {name for name in files if not isinstance(getattr(config.task, name), str)}
    others = dict.fromkeys(files, "")
    if isinstance(config.task, ControllerOptions | PromptsOptions):
        others["clip"] = "random"
    if hasattr(config.task, "srd"):
        others["teacher"] = "random"
    return dataclasses.replace(config, task=dataclasses.replace(config.task, **others))


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    """For what is not part of the package: weights of VGG and of towers, CLIP's own vocabulary."""
    pieces = Tokenizer.from_file(LITE_TOKENIZER.path, context_length=77)
    monkeypatch.setattr(Tokenizer, "from_clip", lambda source: pieces)
    monkeypatch.setattr(perceive, "load_vgg", VGG16)
    monkeypatch.setattr(guidance, "load_image_tower", lambda source: nn.Identity())


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_task(name):
    config = without_files(recipe(name))
    with torch.device("meta"):
        task = config.task.build()
    assert config.recipe == name
    trained = [p for p in task.parameters() if p.requires_grad]
    assert trained and all(p.device.type == "meta" for p in trained)
    assert task.trained() is not None
    assert 0 < learning_rate(config.optimizer, 0, config.steps) <= config.optimizer.lr


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_survives_its_yaml(name, tmp_path):
    config = recipe(name)
    save_yaml(config, tmp_path / "config.yaml")
    assert updated(recipe(name), read_yaml(tmp_path / "config.yaml")) == config


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_names_a_path_of_this_machine(name):
    values = json.dumps(to_dict(recipe(name)))
    assert "src/" not in values and str(Path(pellucid.__file__).parent) not in values


def test_the_published_networks_have_the_published_sizes():
    counts = {
        "daclip_unified": 48_975_747,
        "daclip_specific": 48_975_747,
        "daclip_wild": 49_470_467,
    }
    for name, count in counts.items():
        with torch.device("meta"):
            network = without_files(recipe(name)).task.build().network
        # cross-attention queries and keys exist only for the checkpoints' sake
        assert sum(p.numel() for p in network.parameters()) == count


def test_the_controller_recipes_train_the_controller_and_the_scale_alone():
    for name, count in (("daclip_controller", 94_936_321), ("daclip_wild_controller", 329_156_609)):
        with torch.device("meta"):
            task = without_files(recipe(name)).task.build()
        assert sum(p.numel() for p in task.parameters() if p.requires_grad) == count


def test_the_unified_recipe_has_the_official_optimisation():
    config = recipe("daclip_unified")
    optimizer = config.optimizer
    assert (optimizer.lr, optimizer.lr_min) == (2e-4, 1e-6)
    assert (optimizer.betas, optimizer.weight_decay, optimizer.warmup) == ((0.9, 0.99), 0, 0)
    assert (config.steps, config.batch_size, config.data.crop) == (700_000, 16, 256)
    middle = learning_rate(optimizer, 350_000, 700_000)
    assert middle == pytest.approx(1e-6 + (2e-4 - 1e-6) * (1 + math.cos(math.pi / 2)) / 2)


def test_the_recipes_of_perceive_ir_have_the_official_values():
    task, data = recipe("perceive_3task").task, recipe("perceive_3task").data
    assert (task.contrastive, task.quality, task.perceptual) == (0.1, 0.05, 0.1)
    counts = {"noisy": 5144, "hazy": 72_135, "rainy": 200, "motion-blurry": 2103, "low-light": 485}
    for name, batch, samples in (("perceive_3task", 8, 205_863), ("perceive_5task", 4, 336_853)):
        config = recipe(name)
        data = config.data
        pairs = zip(data.words, data.ratios, strict=True)
        assert sum(counts[word] * ratio for word, ratio in pairs) == samples
        assert config.task.epoch == -(-samples // batch)
        assert (config.steps, data.crop, config.optimizer.weight_decay) == (500_000, 256, 1e-4)
        assert config.optimizer.decay_all and config.data.symmetries == 4  # flips, plain AdamW
    prompts = recipe("perceive_prompts")
    assert prompts.data.symmetries == 2  # mirrored left to right alone
    with torch.device("meta"):
        trained = [p for p in without_files(prompts).task.build().parameters() if p.requires_grad]
    assert sum(p.numel() for p in trained) == 24_576


@pytest.mark.parametrize("clean", ["norain-{}", "rain-{}"])
def test_perceive_ir_validates_on_some_of_the_200_rainy_pictures(clean):
    for name in ("perceive_3task", "perceive_5task", "perceive_single"):
        share = recipe(name).data.held_out
        assert 0 < sum(held_out(clean.format(i), share) for i in range(1, 201)) < 20


def test_one_degradation_is_chosen_by_its_word():
    from pellucid.recipes.daclip import daclip_specific

    assert daclip_specific("hazy").data.words == ("hazy",)
    assert daclip_specific("hazy").output != daclip_specific("rainy").output


def test_an_unknown_recipe_names_the_known_ones():
    with pytest.raises(UsageError, match="daclip_unified"):
        recipe("daclip")
