"""The regression bench, `benchmarks/quality.py`."""

import importlib.util
import json
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

import pellucid
import tiny
from pellucid import zoo

PATH = Path(__file__).parents[1] / "benchmarks/quality.py"


@pytest.fixture(scope="module")
def quality():
    spec = importlib.util.spec_from_file_location("quality", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", [m for m in zoo.MODELS if zoo.MODELS[m].shipped])
def test_the_scores_on_file_are_those_of_the_shipped_weights(quality, name):
    again = "after shipping weights: python benchmarks/quality.py --accept"
    accepted = json.loads(quality.ACCEPTED.read_text(encoding="utf-8"))[name]
    assert pellucid.load(name, "cpu").fingerprint() == accepted["weights"], again


def test_accepted_scores_are_written_and_held_to(quality, tmp_path, monkeypatch, capsys):
    book, photos = tmp_path / "quality.json", tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(data.astronaut()[:256, :256]).save(photos / "astronaut.png")
    monkeypatch.setattr(quality, "ACCEPTED", book)
    monkeypatch.setattr(quality, "MODELS", {"lite": (None, 1)})
    monkeypatch.setattr(quality, "COLUMNS", ("hazy@0.5", "clean"))
    monkeypatch.setattr(quality.pellucid, "load", lambda *_, **__: tiny.restorer())

    def run(*options):
        argv = ["quality.py", "--photos", str(photos), "--out", str(tmp_path / "out"), *options]
        monkeypatch.setattr("sys.argv", argv)
        return quality.main(), capsys.readouterr()

    status, printed = run("--accept")
    assert status == 0 and "Finds its clean window: 100.0%" in printed.out
    accepted = json.loads(book.read_text())
    assert set(accepted["lite"]["columns"]) == {"hazy@0.5", "clean"}
    assert run()[0] == 0
    accepted["lite"]["columns"]["hazy@0.5"]["psnr_rgb"] += 1
    book.write_text(json.dumps(accepted))
    status, printed = run()
    assert status == 1 and "lower than accepted: lite: hazy@0.5: psnr_rgb" in printed.err


def test_a_score_below_the_tolerance_is_named(quality):
    before = {"columns": {"noisy@0.5": {"psnr_rgb": 30.0, "ssim_rgb": 0.9}}}
    for psnr, ssim, told in (
        (29.95, 0.91, []),
        (29.85, 0.9, ["psnr_rgb"]),
        (31, 0.89, ["ssim_rgb"]),
    ):
        found = {"columns": {"noisy@0.5": {"psnr_rgb": psnr, "ssim_rgb": ssim}}}
        problems = quality.lower(found, before)
        assert [p.split(": ")[1].split()[0] for p in problems] == told
    undefined = {"columns": {"noisy@0.5": {"psnr_rgb": float("nan"), "ssim_rgb": 0.9}}}
    assert quality.lower(undefined, before)
