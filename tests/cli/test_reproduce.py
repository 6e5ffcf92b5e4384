import shlex
from dataclasses import replace
from functools import cache

import pytest
from torch import nn

from data.making import dataset, picture, save
from pellucid.cli import COMMANDS, main, reproduce, train
from pellucid.cli.evaluate import Evaluate
from pellucid.cli.parse import parse as parse_flags
from pellucid.cli.report import Report
from pellucid.data.benchmarks import BENCHMARKS
from pellucid.networks import table
from pellucid.recipes import ablation, papers, recipe
from pellucid.recipes.papers import TABLES, training_operations
from pellucid.training.tasks import perceive


def argvs(row):
    for command in (*row.train, *row.evaluate, *row.official):
        yield tuple(shlex.split(command.format(data="D", weights="W")))


@cache
def trained(flags):
    """The runs of a command; of an ablation, those of its last variant and of one seed."""
    method = flags[0].removeprefix(ablation.PREFIX)
    if method in ablation.METHODS:
        flags += ("--seeds", "0", "--variants", ablation.METHODS[method][1][-1])
    done = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_run", lambda config, resume: done.append(config) or True)
        patch.setattr(train, "_missing", lambda task: "")
        assert train.main(flags) == 0
    return done


def test_every_planned_command_can_be_parsed():
    for row in TABLES.values():
        assert row.official or (row.train and row.evaluate)
        for command, *flags in argvs(row):
            if command == "train":
                for config in trained(tuple(flags)):
                    assert config.data.root
                    assert config.recipe in row.recipes or config.recipe.endswith("/start")
            elif command in ("evaluate", "report"):
                kind = Evaluate if command == "evaluate" else Report
                assert str(parse_flags(kind, flags, command, "").data).startswith("D")
            else:
                assert command in COMMANDS
    assert all(recipe(name).recipe == name for row in TABLES.values() for name in row.recipes)


def test_what_a_training_leaves_is_what_is_measured():
    """The weights that are evaluated, and those of stages, are outputs of trainings before them."""
    for row in TABLES.values():
        made = set()
        for command, *flags in argvs(row):
            used = [f for f in flags if f.startswith("runs/") and f.endswith("weights.safetensors")]
            assert {f.removesuffix("/weights.safetensors") for f in used} <= made, row.name
            if command == "report":
                assert flags[0] in {output.rpartition("/")[0] for output in made}
            if command == "train":
                made |= {config.output for config in trained(tuple(flags))}


def test_a_dry_run_says_what_is_there_and_what_is_missing(tmp_path, monkeypatch, capsys):
    for name in ("Snow100K-S", "Snow100K-L", "Outdoor-Rain-Test1", "RainDrop-a"):
        monkeypatch.setitem(BENCHMARKS, name, replace(BENCHMARKS[name], count=1))
    row = TABLES["weather"]
    monkeypatch.setattr(papers, "training_operations", lambda name: 3.6e17)
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
    argv[argv.index("--data") + 1] = str(tmp_path / "nowhere")
    assert main([*argv[:-1]]) == 1  # something is missing: nothing is run
    assert "nowhere: no such folder; name that of the data" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["reproduce"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in TABLES)


def test_an_ablation_of_small_networks_needs_photographs_and_vgg(tmp_path, monkeypatch, capsys):
    vgg = []
    monkeypatch.setattr(perceive, "has_vgg", lambda: bool(vgg))
    monkeypatch.setattr(papers, "training_operations", lambda name: 1.8e17)
    save(tmp_path / "train/a.png", picture(0))
    argv = ["reproduce", "perceive-unseen", "--data", str(tmp_path), "--dry-run"]
    assert main(argv) == 1
    text = capsys.readouterr().out
    assert f"there    {tmp_path}/train: 1 clean photograph\n" in text
    assert f"MISSING  {tmp_path}/held_out: 0 clean photographs" in text
    assert "about 14 GPU hours" in text  # six variants and a start, two seeds, an hour each
    save(tmp_path / "held_out/a.png", picture(0))
    assert main(argv) == 1
    assert "MISSING  weights of VGG for L_dpl: pellucid fetch-metrics" in capsys.readouterr().out
    vgg.append(True)
    assert main(argv) == 0


def test_an_ablation_of_weather_needs_the_file_of_one_of_its_teachers(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(papers, "training_operations", lambda name: 1.8e17)
    for part in ("train", "held_out"):
        save(tmp_path / part / "a.png", picture(0))
    argv = ["reproduce", "weather-ablation", "--data", str(tmp_path), "--dry-run"]
    assert main(argv) == 1
    file = "data/teachers/tiny_vit_5m_224.onnx"
    text = capsys.readouterr().out
    assert f"MISSING  {file}, the teacher of full-tinyvit: python -m laboratory." in text
    assert text.count("MISSING") == 1
    save(tmp_path / file.replace(".onnx", ".png"), picture(0)).rename(tmp_path / file)
    assert main(argv) == 0
    assert f"there    {file}" in capsys.readouterr().out


@pytest.mark.parametrize("flags", [[], ["--official"]])
def test_the_semantics_of_perceive_ir_are_named(flags, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(papers, "training_operations", lambda name: 1.8e17)
    argv = ["reproduce", "perceive-3task", "--data", str(tmp_path), "--dry-run", *flags]
    assert main(argv) == 1
    assert "facebook/dinov2-base" in capsys.readouterr().out


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
