import pytest

import tiny
from data.making import dataset, photos
from pellucid.cli.data import main
from pellucid.errors import UsageError


def test_check_says_by_its_status_whether_all_is_well(tmp_path, capsys):
    root = dataset(tmp_path, {"hazy": 2})
    assert main(["check", str(root)]) == 0
    (root / "hazy/LQ/000.png").unlink()
    assert main(["check", str(root)]) == 1
    assert "unpaired" in capsys.readouterr().out


def test_check_takes_a_benchmark_and_training_pictures(tmp_path, capsys):
    with pytest.raises(UsageError, match="did you mean LIVE1"):
        main(["check", str(tmp_path), "--benchmark", "LIVE"])
    root = dataset(tmp_path / "universal" / "val", {"jpeg-compressed": 29}, 8, 9).parent
    arguments = ["check", str(root), "--benchmark", "LIVE1"]
    assert main(arguments) == 0
    train = root / "val/jpeg-compressed/GT"
    assert main([*arguments, "--train", str(train)]) == 1
    assert "leak" in capsys.readouterr().out
    assert main(["check", str(train), "--train", str(train)]) == 1


def test_captions_look_for_pictures_before_they_load_a_model(tmp_path, monkeypatch):
    monkeypatch.setattr("pellucid.data.captions.BlipCaptioner", lambda *_: pytest.fail("loaded"))
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UsageError):
            main(["captions", str(root)])


def test_generate_writes_pairs(tmp_path, capsys):
    clean, out = photos(tmp_path / "clean"), tmp_path / "out"
    words = ["--words", "noisy", "hazy", "--severity", "0.2", "0.4"]
    assert main(["generate", str(clean), str(out), *words]) == 0
    assert len(list(out.glob("*/LQ/*.png"))) == 6
    assert "noisy: 3 pairs" in capsys.readouterr().out
    with pytest.raises(UsageError, match="--severity"):
        main(["generate", str(clean), str(out), "--severity", "0", "0.5", "1"])


def test_captions_are_written_by_the_model_named(tmp_path, monkeypatch, capsys):
    asked = []

    def captioner(model, device):
        asked.append((model, device))
        return lambda pictures: ["a picture"] * len(pictures)

    monkeypatch.setattr("pellucid.data.captions.BlipCaptioner", captioner)
    root = dataset(tmp_path, {"hazy": 2})
    assert main(["captions", str(root), "--model", "folder", "--batch", "1"]) == 0
    assert asked == [("folder", "cpu")]
    assert (root / "captions.csv").read_text().count("a picture: hazy") == 2


@pytest.mark.parametrize("arguments", [[], ["check"], ["tidy"], ["check", "x", "--fast"]])
def test_a_wrong_command_line_ends_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "x", "y", "--seed", "-1"],
        ["generate", "x", "y", "--window", "0"],
        ["windows", "x", "y", "--count", "0"],
        ["windows", "x", "y", "--side", "8"],
        ["windows", "x", "y", "--workers", "-1"],
        ["windows", "x", "y", "--seed", "-1"],
        ["shards", "x", "y", "--each", "0"],
        ["captions", "x", "--batch", "0"],
    ],
)
def test_numbers_that_cannot_be_are_named_first(arguments):
    with pytest.raises(UsageError, match=f"{arguments[-2]} {arguments[-1]} is below"):
        main(arguments)


@pytest.mark.parametrize("command", ["generate", "windows", "shards"])
def test_an_output_that_is_a_file_is_said(tmp_path, command):
    root = dataset(tmp_path / "in", {"hazy": 1})
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UsageError, match="out is a file; name a folder"):
        main([command, str(root), str(tmp_path / "out")])
    with pytest.raises(UsageError, match="out is a file, no folder"):
        main([command, str(root), str(tmp_path / "out/deeper")])
    assert (tmp_path / "out").read_text() == "mine"


def test_triplets_are_rendered_by_any_model_and_checked(tmp_path, capsys):
    root, out = dataset(tmp_path / "pairs", {"hazy": 2}), tmp_path / "out"
    net = str(tiny.save_bundles(tmp_path) / "net.safetensors")
    command = ["triplets", str(root), str(out), "--device", "cpu", "--medium", net]
    assert main(command) == 0
    assert "2 triplets" in capsys.readouterr().out
    assert main(["check", str(out)]) == 0
    assert "all well" in capsys.readouterr().out
    next(out.glob("hazy/*.png")).unlink()
    assert main(["check", str(out)]) == 1
    with pytest.raises(UsageError, match="one model that never saw the pictures, or two"):
        main([*command, net, net])
