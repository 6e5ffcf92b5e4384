"""`pellucid report`: trained runs side by side."""

import csv
import io
import json

import numpy as np
import pytest
import yaml
from PIL import Image

import tiny
from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.cli import report
from pellucid.errors import UsageError
from pellucid.evaluation import runs


def scored(gain):
    values = {
        "psnr_rgb": {"a": [20 + gain, 22 + gain], "b": [30.0, 30.0]},
        "ssim_rgb": {"a": [0.5, 0.6], "b": [0.9, 0.9]},
    }
    return values, {}


def test_a_variant_is_the_mean_gain_over_the_same_seed():
    found = {"l1": {0: scored(0.0), 1: scored(0.4)}, "x": {0: scored(1.0), 1: scored(2.0)}}
    base, x = runs.compare(found, "l1")
    assert base.gain == {} and base.level["psnr_rgb"].mean == pytest.approx((21.2 + 30) / 2)
    gain = x.gain["psnr_rgb"]
    assert tuple(gain)[:3] == pytest.approx((0.65, 0.65, 0.65))
    assert x.range["psnr_rgb"] == pytest.approx((0.5, 0.8))
    text = runs.cells([base, x])[2]
    assert "+0.650 [+0.650, +0.650]" in text and "+0.500, +0.800" in text


def test_a_photograph_is_drawn_with_all_its_columns():
    def found(a, b):
        values = {"a": [20.0 + v for v in a], "b": [30.0 + v for v in b]}
        return {0: ({"psnr_rgb": values, "ssim_rgb": values}, {})}

    each = {"l1": found([0, 0], [0, 0]), "x": found([1, -1], [-1, 1]), "y": found([1, 3], [1, 3])}
    _, x, y = runs.compare(each, "l1")
    assert tuple(x.gain["psnr_rgb"])[:3] == pytest.approx((0, 0, 0))
    assert tuple(y.gain["psnr_rgb"])[:3] == pytest.approx((2, 1, 3))


def test_the_length_of_the_training_is_told_and_a_stopped_run_named(tmp_path):
    one, two = (runs.Run(tmp_path / f"a-{i}", "a", i, "", 40, 40) for i in (0, 1))
    stopped = runs.Run(tmp_path / "b-0", "b", 0, "", 17, 40)
    assert runs.trained([one, two]) == "40 steps"
    assert runs.trained([one, stopped]) == "17 to 40 steps (not finished: b-0 at 17 of 40)"
    assert runs.trained([runs.Run(tmp_path, "c", 0, "")]) == ""


def test_runs_without_a_common_seed_are_not_compared():
    with pytest.raises(UsageError, match="no run of x has a seed that the base has"):
        runs.compare({"l1": {0: scored(0)}, "x": {1: scored(0)}}, "l1")


@pytest.fixture
def trained(tmp_path):
    """Two variants with two seeds each, as a training leaves them, and a photograph."""
    bundles = tiny.save_bundles(tmp_path)
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photos / "one.png")
    for variant in ("start", "l1", "sgm"):
        for seed in (0, 1):
            run = tmp_path / "runs" / f"{variant}-{seed}"
            run.mkdir(parents=True)
            name = "net.safetensors"
            (run / "weights.safetensors").write_bytes((bundles / name).read_bytes())
            (run / "tower.safetensors").write_bytes((bundles / "tower.safetensors").read_bytes())
            data = {"kind": "generated", "validation": str(photos)}
            (run / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "data": data}))
    return tmp_path / "runs"


def test_the_report_of_equal_runs_has_no_gain(trained, capsys):
    argv = [str(trained), "--columns", "noisy@0.5", "--quiet", "--format"]
    assert report.main([*argv, "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["base"], found["photographs"]) == ("l1", 1)
    rows = {(row["variant"], row["metric"]): row for row in found["rows"]}
    assert set(rows) == {(v, m) for v in ("l1", "sgm") for m in ("psnr_rgb", "ssim_rgb")}
    assert rows["sgm", "psnr_rgb"]["gain"] == 0 and rows["l1", "psnr_rgb"]["gain"] is None
    assert rows["sgm", "psnr_rgb"]["seeds"] == "0 1"
    assert not any(found["changes"])
    assert report.main([*argv, "csv"]) == 0  # from what is scored already
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(lines) == 4 and float(lines[2]["gain"]) == 0
    assert report.main([*argv, "markdown"]) == 0
    text = capsys.readouterr().out
    assert "| sgm | 0 1 |" in text and "| +0.000 |" in text  # one photograph has no interval


def test_a_run_that_was_trained_on_keeps_its_earlier_scores(trained, capsys):
    argv = [str(trained / "sgm-1"), "--columns", "clean", "--quiet", "--format", "json"]
    weights, meta = load_bundle(trained / "sgm-1/weights.safetensors")
    for step in (6, 9):
        save_bundle(trained / "sgm-1/weights.safetensors", weights, {**meta, "step": step})
        assert report.main(argv) == 0
        assert json.loads(capsys.readouterr().out)["steps"] == [step]
    kept = sorted(path.name for path in (trained / "sgm-1/evaluation/pellucid-bench").iterdir())
    assert kept == ["sgm-1-step-6", "sgm-1-step-9"]


def test_a_run_that_went_on_with_other_pictures_says_so(trained, capsys):
    weights, meta = load_bundle(trained / "sgm-1/weights.safetensors")
    change = "from step 6 with other training pictures (noisy: 2 instead of 3)"
    save_bundle(trained / "sgm-1/weights.safetensors", weights, {**meta, "changes": [change]})
    assert report.main([str(trained), "--columns", "clean", "--quiet", "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["changes"] == [[], [], [], [change]]
    assert f"{trained / 'sgm-1'} went on {change}" in err
    save_bundle(trained / "sgm-1/weights.safetensors", weights, {**meta, "step": "six"})
    with pytest.raises(UsageError, match="what it says of its run is damaged"):
        report.main([str(trained)])


@pytest.mark.parametrize("text", ["seed: 0", "{seed: 0, data: 3}", "[1]", "a: [", "\xff"])
def test_a_run_whose_config_is_damaged_is_named(trained, text):
    (trained / "sgm-1/config.yaml").write_bytes(text.encode("latin1"))
    with pytest.raises(UsageError, match=r"config\.yaml is not the config of a run"):
        report.main([str(trained)])


def test_a_run_that_is_not_finished_is_named(trained):
    (trained / "sgm-1" / "weights.safetensors").unlink()
    with pytest.raises(UsageError, match="sgm-1 has no weights"):
        report.main([str(trained)])
    with pytest.raises(UsageError, match="holds no run"):
        report.main([str(trained / "l1-0" / "nothing")])
