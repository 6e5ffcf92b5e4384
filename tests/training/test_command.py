import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.checkpoints.bundle import save_bundle
from pellucid.errors import CheckpointError, UsageError
from pellucid.networks.resunet import ResUNet, ResUNetConfig
from pellucid.recipes import RECIPES, recipe
from pellucid.training.command import parse, train_command
from pellucid.training.config import TrainConfig, updated
from pellucid.training.data import Shuffled, WildPairs, datasets
from pellucid.training.start import initialise


def draw_photos(folder, count: int = 2):
    folder.mkdir(parents=True)
    for i in range(count):
        random = np.random.default_rng(i)
        small = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        small.resize((64, 48), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return folder


TINY = """
    --task.tower= --init-from= --task.network.widths 8 8 --task.network.encoder-blocks 1
    --task.network.decoder-blocks 1 --task.network.middle-blocks 1 --task.network.content-levels 1
    --workers 0 --batch-size 2 --data.crop 16 --validation-samples 2 --log-every 1 --precision no
"""


# The command line


def test_flags_change_a_recipes_values_and_keep_the_others():
    config, resume = parse(
        ["lite_restore", "--data.root", "photos", "--optimizer.lr", "1e-5", "--no-resume"]
    )
    expected = recipe("lite_restore")
    expected = replace(
        expected,
        data=replace(expected.data, root="photos"),
        optimizer=replace(expected.optimizer, lr=1e-5),
    )
    assert config == expected and resume is False


def test_a_misspelt_flag_is_refused_and_the_right_one_named(capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["lite_restore", "--optimiser.lr", "1"])
    assert stop.value.code == 2
    assert "--optimizer.lr" in capsys.readouterr().err


def test_help_lists_every_recipe(capsys):
    assert train_command(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in RECIPES)


def test_a_run_can_be_trained_resumed_and_started_from_its_saved_config(tmp_path, capsys):
    photos, out = draw_photos(tmp_path / "photos"), tmp_path / "run"
    places = ["--data.root", str(photos), "--data.validation", str(photos), "--output", str(out)]
    assert train_command(["lite_restore", *TINY.split(), *places, "--steps", "2"]) == 0
    assert "finished at step 2 of 2" in capsys.readouterr().out
    assert train_command([str(out / "config.yaml"), "--steps", "3"]) == 0
    assert "going on from step 2" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert (out / "weights.safetensors").exists()


def test_missing_data_is_said_before_anything_is_built_twice(tmp_path):
    with pytest.raises(UsageError, match=r"--data\.root"):
        places = ["--data.root", "", "--output", str(tmp_path)]
        train_command(["lite_restore", *TINY.split(), *places])


# Config


def test_updated_goes_into_nested_settings_and_refuses_unknown_names():
    config = updated(TrainConfig(), {"optimizer": {"lr": "1e-4", "betas": [0.5, 0.6]}, "steps": 7})
    assert config.optimizer.lr == 1e-4 and config.optimizer.betas == (0.5, 0.6)
    assert config.steps == 7 and config.batch_size == TrainConfig().batch_size
    with pytest.raises(UsageError, match="'speed'; it has: "):
        updated(TrainConfig(), {"optimizer": {"speed": 1}})


# Data


def test_generated_data_has_every_class_in_validation_and_no_end_in_training(tmp_path):
    photos = str(draw_photos(tmp_path / "photos"))
    config = recipe("lite_restore")
    data = replace(config.data, root=photos, validation=photos, crop=16)
    training, validation = datasets(replace(config, data=data, validation_samples=11))
    assert training[10**7]["lq"].shape == (3, 16, 16)
    assert len({validation[i]["word"] for i in range(len(validation))}) == 11


def test_paired_data_is_balanced_and_validated_whole(tmp_path):
    for word, count in (("noisy", 1), ("rainy", 3)):
        for side in ("LQ", "GT"):
            draw_photos(tmp_path / word / side, count)
    config = recipe("daclip_unified")
    data = replace(
        config.data, root=str(tmp_path), validation=str(tmp_path), words=("noisy", "rainy"), crop=16
    )
    training, validation = datasets(replace(config, data=data))
    assert [training[i]["word"] for i in range(4)] == ["noisy", "rainy"] * 2
    assert len(validation) == 4 and validation[0]["lq"].shape == (3, 48, 64)


def test_captioned_data_is_shuffled_anew_in_each_pass(tmp_path):
    for side in ("LQ", "GT"):
        draw_photos(tmp_path / "noisy" / side, 5)
    rows = "".join(f"noisy/LQ/{i}.png\tpicture {i}: noisy\n" for i in range(5))
    (tmp_path / "captions.csv").write_text("filepath\ttitle\n" + rows)
    config = recipe("daclip_controller")
    data = replace(config.data, root=str(tmp_path / "captions.csv"), crop=16)
    training, _ = datasets(replace(config, data=data))
    passes = [[training[5 * n + i]["caption"] for i in range(5)] for n in range(4)]
    assert all(len(set(each)) == 5 for each in passes)
    assert len({tuple(each) for each in passes}) > 1
    assert isinstance(training, Shuffled) and training[3]["caption"] == passes[0][3]


def test_wild_data_says_what_was_done(tmp_path):
    photos = str(draw_photos(tmp_path / "photos"))
    config = recipe("daclip_wild")
    data = replace(config.data, root=photos, crop=16)
    training, _ = datasets(replace(config, data=data))
    assert isinstance(training, WildPairs)
    samples = [training[i] for i in range(20)]
    words = {word for sample in samples for word in sample["word"].split("+")}
    assert words <= {"blur", "noise", "jpeg block", "ringing artifact", "clean"} and len(words) > 1
    assert torch.equal(samples[3]["lq"], training[3]["lq"])
    grey = [bool((s["gt"][0] == s["gt"][1]).all()) for s in samples]
    assert 0 < sum(grey) < 10


# First weights


def test_weights_to_start_from_must_fit(tmp_path):
    path = str(tmp_path / "weights.safetensors")
    small = ResUNet(ResUNetConfig((8, 8), (1,), 1, (1,), 8, 4, 1))
    save_bundle(path, small.state_dict(), {"kind": "resunet"})
    other = ResUNet(ResUNetConfig((8, 8), (1,), 1, (1,), 8, 4, 1))
    assert initialise(other, path) == []
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in small.state_dict().items())
    with pytest.raises(CheckpointError):
        initialise(ResUNet(ResUNetConfig((8, 16), (1,), 1, (1,), 8, 4, 1)), path, strict=False)
    with pytest.raises(CheckpointError, match="nothing in common"):
        initialise(torch.nn.Linear(2, 2), path, strict=False)
