"""`pellucid restore --engine`, and what `pellucid doctor` says of engines."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from pellucid import cli
from pellucid.runtimes import choice

from .pictures import picture


def pixels(path):
    return np.asarray(Image.open(path), np.int16)


def test_another_engine_gives_the_same_picture_within_a_level(folder, run, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(folder / "cache"))
    picture("photo.png")
    assert run("restore", "photo.png", "-o", "a.png")[0] == 0
    options = ("--engine", "onnxruntime", "--report", "json")
    assert run("restore", "photo.png", "-o", "b.png", *options)[0] == 0
    assert np.abs(pixels("a.png") - pixels("b.png")).max() <= 1
    assert np.abs(pixels("a.png") - pixels("photo.png")).max() > 1
    assert json.loads(Path("b.png.report.json").read_text())["settings"]["engine"] == "onnxruntime"


def test_an_engine_that_cannot_compute_so_is_bad_usage(folder, capsys):
    picture("photo.png")
    options = ["--engine", "onnxruntime", "--dtype", "bfloat16", "--device", "cpu"]
    assert cli.main(["restore", "photo.png", *options]) == 2
    assert "computes in float32 only" in capsys.readouterr().err


def test_doctor_shows_engines_and_their_speed(folder, run, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(folder / "cache"))
    row = {"model": "lite", "key": "k", "dtype": "float32", "machine": choice._machine()}
    row |= {"seconds": {"torch": 1.5, "openvino": 0.5}, "wrong": {"onnxruntime": "it differs"}}
    choice._remember({**row, "chosen": "openvino"})
    _, out, _ = run("doctor", "--json")
    facts = json.loads(out)
    assert facts["engines"]["torch"] == "yes"
    expected = "openvino 0.50 s/MP; torch 1.50 s/MP; onnxruntime wrong: it differs"
    assert facts["measured"] == {"lite float32": expected}
