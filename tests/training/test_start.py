from dataclasses import replace

import pytest
import torch

from data.making import photos
from pellucid.checkpoints.bundle import save_bundle
from pellucid.errors import CheckpointError, UsageError
from pellucid.networks.resunet import ResUNet, ResUNetConfig
from pellucid.recipes import recipe
from pellucid.training.config import TrainConfig, updated
from pellucid.training.data import Shuffled, WildPairs, datasets
from pellucid.training.start import initialise

SIZES = ((48, 64),) * 2


# Config


def test_updated_goes_into_nested_settings_and_refuses_unknown_names():
    config = updated(TrainConfig(), {"optimizer": {"lr": "1e-4", "betas": [0.5, 0.6]}, "steps": 7})
    assert config.optimizer.lr == 1e-4 and config.optimizer.betas == (0.5, 0.6)
    assert config.steps == 7 and config.batch_size == TrainConfig().batch_size
    with pytest.raises(UsageError, match="'speed'; it has: "):
        updated(TrainConfig(), {"optimizer": {"speed": 1}})


# Data


def test_generated_data_has_every_class_in_validation_and_no_end_in_training(tmp_path):
    clean = str(photos(tmp_path / "photos", SIZES))
    config = recipe("lite_restore")
    data = replace(config.data, root=clean, validation=clean, crop=16)
    training, validation = datasets(replace(config, data=data, validation_samples=11))
    assert training[10**7]["lq"].shape == (3, 16, 16)
    assert len({validation[i]["word"] for i in range(len(validation))}) == 11


def test_paired_data_is_balanced_and_validated_whole(tmp_path):
    for word, count in (("noisy", 1), ("rainy", 3)):
        for side in ("LQ", "GT"):
            photos(tmp_path / word / side, SIZES[:1] * count)
    config = recipe("daclip_unified")
    data = replace(
        config.data, root=str(tmp_path), validation=str(tmp_path), words=("noisy", "rainy"), crop=16
    )
    training, validation = datasets(replace(config, data=data))
    assert [training[i]["word"] for i in range(4)] == ["noisy", "rainy"] * 2
    assert len(validation) == 4 and validation[0]["lq"].shape == (3, 48, 64)


def test_captioned_data_is_shuffled_anew_in_each_pass(tmp_path):
    for side in ("LQ", "GT"):
        photos(tmp_path / "noisy" / side, SIZES[:1] * 5)
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
    clean = str(photos(tmp_path / "photos", SIZES))
    config = recipe("daclip_wild")
    data = replace(config.data, root=clean, crop=16)
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
