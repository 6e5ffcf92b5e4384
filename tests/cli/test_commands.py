import json
from pathlib import Path

import pytest
import torch

import tiny
from pellucid import cli
from pellucid.degradations import CLASSES
from pellucid.errors import PellucidError

from .pictures import files, picture


@pytest.mark.parametrize(
    "argv, words",
    [
        (["restore"], "no input"),
        (["restore", "nowhere.png"], "nowhere.png: there is no such file"),
        (["restore", "*.nothing"], "no file has a name of this pattern"),
        (["restore", "empty"], "no picture in it"),
        (["restore", "a.png", "--strength", "2"], "strength"),
        (["restore", "a.png", "--steps", "5"], "one pass"),
        (["restore", "a.png", "--tile", "-5"], "tile"),
        (["restore", "a.png", "--words", "hazy,hail"], "does not know 'hail'"),
        (["restore", "a.png", "--words", "film grain"], "pellucid diagnose --words"),
        (["diagnose", "a.png", "--words", "fog,"], "a phrase is empty"),
        (["restore", "a.png", "--words", "hazy,,noisy"], "has an empty word"),
        (["restore", "a.png", "--words", ""], "has an empty word"),
        (["restore", "a.png", "--seed", "-1"], "seed -1 is not in 0..2**63 - 1"),
        (["restore", "a.png", "-o", ""], "(-o) is an empty text"),
        (["restore", "a.png", "--quality", "0"], "1..100"),
        (["restore", "a.png", "--max-pixels", "0"], "max-pixels"),
        (["restore", "a.png", "--overwrite", "--skip-existing"], "contradict"),
        (["restore", "a.png", "-o", "out.gif"], "cannot write .gif"),
        (["restore", "a.png", "b.png", "-o", "out.png"], "cannot all go into out.png"),
        (["restore", "a.png", "-o", "file"], "file is a file"),
        (["restore", "a.png", "--model", "lit"], "did you mean lite"),
        (["restore", "a.png", "--model", "none.safetensors"], "no weights file"),
        (["restore", "a.png", "--model", "w/universal-ir.pth"], "`pellucid models daclip` says"),
        (["restore", "a.png", "--device", "toaster"], "toaster"),
        (["restore", "a.png", "--preset", "quick"], "quick"),
        (["restore", "a.png", "--colour"], "--colour"),
        (["restor", "a.png"], "did you mean restore"),
        (["fetch", "metrics"], "did you mean fetch-metrics"),
        (["fly"], "see pellucid --help"),
        (["train", "lite_own2"], "did you mean lite_own"),
        (["data", "triplets", "a", "b", "--legacy-folds", "--medium", "lite"], "two --medium"),
        ([], "usage: pellucid"),
        (["models", "lit"], "did you mean lite"),
        (["convert", "nothing.pth", "out.safetensors"], "no such file"),
        (["convert", ".", "out.safetensors"], ".: is no regular file"),
        (["convert", "a.png", "out.pth"], "must end in .safetensors"),
        (["diagnose"], "no input"),
        (["diagnose", "a.png", "--max-pixels", "0"], "--max-pixels must be positive"),
    ],
)
def test_bad_usage_is_status_2_with_words_and_without_work(folder, weights, capsys, argv, words):
    picture("a.png")
    picture("b.png")
    Path("empty").mkdir()
    Path("file").touch()
    before = files(folder)
    extra = ["--model", str(weights / "net.safetensors")]
    if argv[:1] == ["restore"] and "--model" not in argv:
        argv = argv + extra
    try:
        status = cli.main(argv)
    except SystemExit as end:
        status = end.code
    captured = capsys.readouterr()
    assert status == 2 and words in captured.err.replace("\n", " ")
    assert "Traceback" not in captured.err and captured.out == ""
    assert files(folder) == before


def test_quality_is_told_where_there_are_prompts_and_only_there(folder, run, monkeypatch):
    picture("a.png")
    assert "quality" not in run("diagnose", "a.png")[1]
    shares = {"terrible": 0.5, "mediocre": 0.25, "excellent": 0.25}
    monkeypatch.setattr("pellucid.restorer.Restorer._quality", lambda self, picture: shares)
    out = run("diagnose", "a.png")[1]
    assert "quality" in out and "terrible" in out and "50.0%" in out
    assert json.loads(run("diagnose", "a.png", "--json")[1])["quality"] == shares
    assert run("restore", "a.png", "-o", "b.png", "--report", "json")[0] == 0
    report = json.loads(Path("b.png.report.json").read_text())
    assert report["quality"] == {"before": shares, "after": shares}


def test_help_teaches_with_examples(run):
    status, out, _ = run("--help")
    assert status == 0 and "pellucid restore photo.jpg -o clean.jpg" in out
    for command in cli.COMMANDS:
        assert command in out
    for command in ("restore", "diagnose", "evaluate", "gate", "models", "convert", "doctor"):
        status, out, _ = run(command, "--help")
        assert status == 0 and "examples:" in out, command
    assert run("--version")[1].startswith("pellucid ")


# the other commands ----------------------------------------------------------


def test_diagnose_shows_bars_or_json(folder, run):
    picture("a.png")
    picture("b.png", seed=1)
    status, out, _ = run("diagnose", "a.png")
    assert status == 0 and all(word in out for word in CLASSES) and "█" in out and "%" in out
    Path("broken.png").touch()
    status, out, err = run("diagnose", "*.png", "--json")
    assert status == 1 and "broken.png" in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["ok"] for row in rows] == [True, True, False]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1)


def test_diagnose_takes_phrases_of_one_s_own(folder, run):
    picture("a.png")
    status, out, _ = run("diagnose", "a.png", "--words", "rain streaks, fog,fog")
    rows = [line for line in out.splitlines() if "%" in line]
    assert status == 0 and "motion-blurry  " not in out
    assert sum("fog" in row for row in rows) == sum("rain streaks" in row for row in rows) == 1
    status, out, err = run("diagnose", "a.png", "--json", "--words", "fog,lens cap")
    row = json.loads(out)
    assert set(row["probabilities"]) == set(CLASSES) and list(row["phrases"]) == ["fog", "lens cap"]
    fog = row["phrases"]["fog"]
    mixed = sum(share * row["probabilities"][word] for word, share in fog["means"].items())
    assert fog["probability"] == pytest.approx(mixed) and fog["nearest"] == "fog"
    unclear = [text for text, phrase in row["phrases"].items() if not phrase["understood"]]
    assert all(f'"{text}" is not surely one of the degradations' in err for text in unclear)


def test_diagnose_marks_what_an_instruction_would_remove_and_keep(folder, run):
    picture("a.png")
    picture("b.png", seed=1)
    text = "take the rain away but keep it dark"
    status, out, err = run("diagnose", "a.png", "b.png", "--ask", text)
    assert status == 0 and "understood: remove rainy; keep low-light" in err
    marks = [(line.split()[0], line.split("%")[-1].strip()) for line in out.splitlines()]
    assert marks.count(("rainy", "to remove")) == marks.count(("low-light", "to keep")) == 2
    assert sum(mark.startswith("to ") for _, mark in marks) == 4
    row = json.loads(run("diagnose", "a.png", "--json", "--ask", text)[1])
    assert row["words"] == ["rainy"] and row["asked"]["kept"] == ["low-light"]
    status, _, err = run("diagnose", "a.png", "--ask", text, "--words", "fog")
    assert status == 2 and "--ask or --words" in err


def test_models_lists_origin_and_licence(run):
    status, out, _ = run("models")
    assert status == 0 and "lite" in out and "MIT" in out
    rows = json.loads(run("models", "--json")[1])
    assert {row["name"] for row in rows} >= {"lite", "daclip"}
    assert all(row["licence"] for row in rows)
    status, out, _ = run("models", "daclip")
    assert "sha256 87575b25" in out
    status, out, _ = run("models", "auto")
    assert status == 0 and "rain, snow and drops\n" in out
    chosen = json.loads(run("models", "auto", "--json")[1])["chooses"]
    assert {"lite", "lite-detail"} <= set(chosen) <= {row["name"] for row in rows}


def test_convert_turns_an_official_checkpoint_into_a_bundle(folder, run):
    from pellucid.checkpoints.load import load_network
    from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig

    config = UNetConfig(nf=32, ch_mult=(1, 1), context_dim=16)
    network = tiny.randomised(ConditionalUNet(config))
    torch.save(network.state_dict(), "net.pth")
    status, out, _ = run("convert", "net.pth", "net.safetensors")
    assert status == 0 and "irsde-unet" in out
    loaded = load_network("net.safetensors")
    again = loaded.network
    assert loaded.meta["source"] == "net.pth" and again.config == network.config
    status, _, err = run("convert", "net.pth", "net.safetensors")
    assert status == 2 and "exists already" in err
    assert run("convert", "net.pth", "small.safetensors", "--dtype", "int8")[0] == 0
    small = load_network("small.safetensors").network.state_dict()
    for name, weight in again.state_dict().items():
        assert (small[name] - weight).abs().max() <= weight.abs().max() / 250, name
    assert Path("small.safetensors").stat().st_size < 0.4 * Path("net.safetensors").stat().st_size
    Path("other.pth").write_bytes(b"garbage")
    assert run("convert", "other.pth", "other.safetensors")[0] == 1
    assert not Path("other.safetensors").exists()
    state = network.state_dict()
    del state["final_conv.bias"]
    torch.save(state, "part.pth")
    status, _, err = run("convert", "part.pth", "part.safetensors")
    assert status == 1 and "final_conv.bias is missing" in err
    assert not Path("part.safetensors").exists()


def test_doctor_reports_and_warns_of_a_torchvision_that_does_not_fit(run, monkeypatch, tmp_path):
    status, out, _ = run("doctor", "--json")
    facts = json.loads(out)
    assert facts["packages"]["torch"] == torch.__version__ and "cpu" in facts["device"]
    assert not any("torchvision" in warning for warning in facts["warnings"])
    broken = tmp_path / "torchvision"
    broken.mkdir()
    (broken / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    status, out, _ = run("doctor")
    assert status == 1 and "pip uninstall torchvision" in out


@pytest.mark.parametrize(
    "argv, words",
    [
        (["convert", "net.safetensors", "x" * 300 + ".safetensors"], "xxx: File name too long"),
        (["convert", "net.safetensors", "a.png/out.safetensors"], "a.png is a file, no folder"),
        (["export", "net.safetensors", "-o", "a.png/x.onnx"], "a.png is a file, no folder"),
        (["convert", "net.safetensors", "/proc/x.safetensors"], "written: No such file or"),
        (["restore", "a.png", "--model", "x" * 300 + ".pth"], "xxx: File name too long"),
        (["restore", "x" * 300 + ".mp4"], "xxx: File name too long"),
    ],
)
def test_paths_that_cannot_be_end_in_a_sentence(folder, weights, capsys, argv, words):
    picture("a.png")
    Path("net.safetensors").write_bytes((weights / "net.safetensors").read_bytes())
    before = files(folder)
    assert cli.main(argv) in (1, 2)
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and files(folder) == before


def test_a_missing_package_is_named_with_the_extra_that_has_it(monkeypatch, capsys):
    def lacking(name):
        def command(argv):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return command

    for package, extra in (("matplotlib", "eval"), ("accelerate", "train")):
        monkeypatch.setattr(cli, "_load", lambda name, package=package: lacking(package))
        assert cli.main(["evaluate"]) == 2
        assert f"needs {package}: pip install 'pellucid[{extra}]'" in capsys.readouterr().err
    monkeypatch.setattr(cli, "_load", lambda name: lacking("torch"))
    with pytest.raises(ModuleNotFoundError):
        cli.main(["evaluate"])


def test_errors_of_the_package_are_status_1_without_traceback(monkeypatch, capsys):
    def broken(argv):
        raise PellucidError("the moon is too bright")

    monkeypatch.setattr(cli, "_load", lambda name: broken)
    assert cli.main(["restore"]) == 1
    assert capsys.readouterr().err == "pellucid: the moon is too bright\n"
