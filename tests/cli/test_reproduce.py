import shlex
from dataclasses import replace
from functools import cache

import pytest
from torch import nn

from data.making import dataset, picture, save
from pellucid.cli import COMMANDS, main, reproduce
from pellucid.cli.evaluate import Evaluate
from pellucid.cli.parse import parse as parse_flags
from pellucid.cli.reproduce import TABLES, training_operations
from pellucid.cli.train import parse as parse_training
from pellucid.data.benchmarks import BENCHMARKS
from pellucid.networks import table
from pellucid.recipes import RECIPES


def argvs(row):
    for command in (*row.train, *row.evaluate, *row.official):
        yield tuple(shlex.split(command.format(data="D", weights="W")))


@cache
def trained(flags):
    return parse_training(flags)[0]


def test_every_planned_command_can_be_parsed():
    for row in TABLES.values():
        assert row.official or (row.train and row.evaluate)
        for command, *flags in argvs(row):
            if command == "train":
                config = trained(tuple(flags))
                assert config.recipe in row.recipes and config.data.root
            elif command == "evaluate":
                assert str(parse_flags(Evaluate, flags, "evaluate", "").data).startswith("D")
            else:
                assert command in COMMANDS
    assert all(name in RECIPES for row in TABLES.values() for name in row.recipes)


def test_what_a_training_leaves_is_what_is_measured():
    """The weights that are evaluated, and those of stages, are outputs of trainings before them."""
    for row in TABLES.values():
        made = set()
        for command, *flags in argvs(row):
            used = [f for f in flags if f.startswith("runs/") and f.endswith("weights.safetensors")]
            assert {f.removesuffix("/weights.safetensors") for f in used} <= made, row.name
            if command == "train":
                made.add(trained(tuple(flags)).output)


def test_a_dry_run_says_what_is_there_and_what_is_missing(tmp_path, monkeypatch, capsys):
    for name in ("Snow100K-S", "Snow100K-L", "Outdoor-Rain-Test1", "RainDrop-a"):
        monkeypatch.setitem(BENCHMARKS, name, replace(BENCHMARKS[name], count=1))
    row = TABLES["weather"]
    monkeypatch.setattr(reproduce, "training_operations", lambda name: 3.6e17)
    data, weights = tmp_path / "data", tmp_path / "w"
    for i, name in enumerate(("0_rain", "im_0001_s80_a04", "city")):
        for side in ("input", "gt"):
            save(data / "train/allweather" / side / f"{name}.png", picture(i))
    argv = ["reproduce", "weather", "--data", str(data), "--weights", str(weights), "--dry-run"]
    assert main(argv) == 1
    text = capsys.readouterr().out
    assert f"there    {data}/train/allweather: 1 of raindrop" in text
    assert "MISSING  RainDrop-a is not in this folder" in text
    assert f"MISSING  {weights}/RN50.pt" in text and "about 2 GPU hours" in text
    assert all(f"pellucid {c.split()[0]}" in text for c in (*row.train, *row.evaluate))
    save(weights / "x.png", picture(0)).rename(weights / "RN50.pt")
    argv[1] = "weather"
    assert main([*argv[:-1]]) == 1  # something is missing: nothing is run
    capsys.readouterr()
    assert main(["reproduce"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in TABLES)


def test_a_complete_plan_is_run_in_turn_until_a_step_fails(tmp_path, monkeypatch, capsys):
    dataset(tmp_path / "train", {"hazy": 1})
    monkeypatch.setattr(reproduce, "checked", lambda row, args: [reproduce.Check(True, "all")])
    row = TABLES["weather"]._replace(train=("models lite", "models nothing"), evaluate=("doctor",))
    monkeypatch.setitem(TABLES, "weather", row)
    assert main(["reproduce", "weather"]) == 2
    text = capsys.readouterr().err
    assert "pellucid models nothing" in text and "pellucid doctor" not in text


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["weather", "--official"], "no published weights make it"),
        (["daclip-naming"], "only --official makes it"),
        (["daclip"], "daclip-unified"),
    ],
)
def test_what_cannot_be_made_is_said(argv, message, capsys):
    assert main(["reproduce", *argv]) == 2
    assert message in capsys.readouterr().err


class OneConvolution(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 8, 3, padding=1)

    def condition(self, image, guidance):
        return guidance

    def forward(self, image, condition):
        return super().forward(image)


def test_operations_are_counted_from_the_network_and_its_schedule(monkeypatch):
    monkeypatch.setattr(table, "network_of", lambda sizes, diffusion: OneConvolution())
    forward = 2 * (3 * 3 * 3) * 8 * 256 * 256  # a multiplication and an addition a weight and pixel
    assert training_operations("daclip_nafnet") == 3 * forward * 400_000 * 16
    assert training_operations("daclip_controller") == 0
