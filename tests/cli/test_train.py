import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from data.making import photos
from pellucid.cli.train import main, parse
from pellucid.errors import UsageError
from pellucid.recipes import RECIPES, STAGES, recipe
from pellucid.training.loop import Result

ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
SIZES = ((48, 64),) * 2

TINY = """
    --task.tower= --init-from= --task.network.widths 8 8 --task.network.encoder-blocks 1
    --task.network.decoder-blocks 1 --task.network.middle-blocks 1 --task.network.content-levels 1
    --workers 0 --batch-size 2 --data.crop 16 --validation-samples 2 --log-every 1 --precision no
"""


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


def test_a_run_in_place_of_a_recipe_is_refused_with_the_name_of_its_config(tmp_path):
    (tmp_path / "config.yaml").touch()
    with pytest.raises(UsageError, match=rf"is a run; .* name {tmp_path}/config\.yaml"):
        parse([str(tmp_path)])


def test_help_lists_every_recipe(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in (*RECIPES, *STAGES))


def test_help_needs_no_extra():
    code = """
import sys
sys.modules |= dict.fromkeys(("accelerate", "tensorboard", "torch.utils.tensorboard"))
from pellucid.cli import main
main(["train", "--help"])
assert main(["train", "weather_lite", "--data.root", "x"]) == 2
main(["train", "weather_lite", "--help"])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV)
    assert run.returncode == 0 and "--data.root" in run.stdout
    assert "pellucid train needs accelerate: pip install 'pellucid[train]'" in run.stderr


def test_a_run_can_be_trained_resumed_and_started_from_its_saved_config(tmp_path, capsys):
    clean, out = photos(tmp_path / "photos", SIZES), tmp_path / "run"
    places = ["--data.root", str(clean), "--data.validation", str(clean), "--output", str(out)]
    assert main(["lite_restore", *TINY.split(), *places, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "finished at step 2 of 2" in said and "no validation" not in said
    (clean / "0.png").unlink()
    assert main([str(out / "config.yaml"), "--steps", "3"]) == 0
    said = capsys.readouterr().out
    lost = f"(photographs: {len(SIZES) - 1} instead of {len(SIZES)})"
    assert "going on from step 2" in said
    assert f"it went on from step 2 with other training pictures {lost}" in said
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert (out / "weights.safetensors").exists()


def test_missing_data_is_said_before_anything_is_built_twice(tmp_path):
    with pytest.raises(UsageError, match=r"--data\.root"):
        places = ["--data.root", "", "--output", str(tmp_path)]
        main(["lite_restore", *TINY.split(), *places])


def test_a_recipe_starts_from_the_shipped_weights_in_any_folder(folder, capsys):
    photos(folder / "data/photos/train", SIZES)
    small = "--data.validation= --data.crop 32 --batch-size 1 --workers 0 --precision no"
    small += " --data.kind generated --data.root data/photos/train"
    assert main(["lite_jpeg", *small.split(), "--steps", "1"]) == 0
    assert (folder / "runs/lite-jpeg/weights.safetensors").exists()
    assert "no validation; --data.validation" in capsys.readouterr().out


def test_stages_are_run_in_turn_until_one_stops(monkeypatch, tmp_path):
    ran, stopped = [], ["finished", "time"]

    def record(config, resume):
        ran.append((config.recipe, config.seed, config.init_from))
        return Result(1, stopped[len(ran) - 1])

    monkeypatch.setattr("pellucid.training.start.run", record)
    assert main(["lite", "--seed", "3"]) == 0
    first, second = ran
    assert first == ("lite_stage1", 3, "")
    assert second == ("lite_stage2", 3, recipe("lite_stage1").output + "/weights.safetensors")
    with pytest.raises(UsageError, match="3 runs"):
        main(["lite", "--output", str(tmp_path)])
