"""The regression bench on one photograph: `benchmarks/quality.py` has it on the held-out ones."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[1] / "benchmarks/quality.py"


@pytest.fixture(scope="module")
def quality():
    spec = importlib.util.spec_from_file_location("quality", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["lite", "lite-sde"])
def test_shipped_weights_score_what_was_accepted(quality, name, tmp_path):
    again = "after shipping weights: python benchmarks/quality.py --accept"
    assert quality.ACCEPTED.exists(), again
    before = json.loads(quality.ACCEPTED.read_text(encoding="utf-8"))[name]["astronaut"]
    (tmp_path / "photo").mkdir()
    cases = quality.one_photograph(tmp_path / "photo")
    found = quality.accepted(quality.measure(name, cases, tmp_path / "out", "astronaut"))
    assert found["weights"] == before["weights"], again
    assert not quality.lower(found, before)


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
