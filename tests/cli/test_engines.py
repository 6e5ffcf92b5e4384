"""`pellucid restore --engine`, and what `pellucid doctor` says of engines.

A picture restored by one: tests/runtimes/test_engines.py, which has its graph.
"""

import json

from pellucid import cli
from pellucid.runtimes import choice

from .pictures import picture


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
