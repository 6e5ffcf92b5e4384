import csv
import errno
import hashlib
import json
import math
import os

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import tiny
from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.evaluation.protocols import PROTOCOLS
from pellucid.evaluation.scoring import FolderSource, ModelSource, read_rows, score

from .making import Lazy, Perfect, clean, noisy, pairs, save

SETTINGS = PROTOCOLS["native"].settings


@pytest.fixture
def cases(tmp_path):
    return PROTOCOLS["native"].cases(pairs(tmp_path / "set"))


@pytest.fixture
def scored(cases, tmp_path):
    """Score a source into `tmp_path/out`."""

    def call(source, cases=cases, **options):
        return score(cases, SETTINGS, source, tmp_path / "out", {"protocol": "native"}, **options)

    return call


def test_a_perfect_restorer_scores_infinity_and_one(scored):
    rows, failures = scored(Perfect())
    assert len(rows) == 6 and not failures
    for row in rows:
        assert row["psnr_rgb"] == row["psnr_y"] == math.inf
        assert row["ssim_rgb"] == row["ssim_y"] == pytest.approx(1, abs=1e-12)
        assert 15 < row["psnr_rgb_input"] < 25


def test_rows_hold_what_scikit_image_says_of_the_files(scored, tmp_path):
    rows, _ = scored(Lazy())
    row = rows[4]
    assert (row["column"], row["name"], row["seed"]) == ("noisy", "1", 1)
    a, b = noisy(1), clean(1)
    assert row["psnr_rgb"] == pytest.approx(peak_signal_noise_ratio(b, a), rel=1e-9)
    expected = structural_similarity(
        *(b, a), channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert row["ssim_rgb"] == pytest.approx(expected, rel=1e-6)
    planes = np.ascontiguousarray(a.transpose(2, 0, 1), np.float32) / np.float32(255)
    assert row["input_sha256"] == hashlib.sha256(planes).hexdigest()
    kept = np.asarray(Image.open(tmp_path / "out/restored/noisy/1.png"))
    assert np.array_equal(kept, a)
    assert row["seconds"] >= 0 and (row["peak_mib"] > 1 or math.isnan(row["peak_mib"]))


def test_a_run_that_was_stopped_goes_on_where_it_was(scored, cases, tmp_path):
    first = Perfect()
    scored(first, cases[:2])
    with open(tmp_path / "out/images.csv", "a") as file:
        file.write("hazy,2,abc")  # the machine stopped in the middle of a line
    second = Perfect()
    rows, _ = scored(second)
    assert [name for _, name, _ in first.asked] == ["0", "1"]
    assert [(c, n) for c, n, _ in second.asked] == [
        *(("hazy", "2"), ("noisy", "0"), ("noisy", "1"), ("noisy", "2"))
    ]
    assert [(r["column"], r["name"]) for r in rows] == [(c.column, c.name) for c in cases]
    assert read_rows(tmp_path / "out/images.csv") == rows
    third = Perfect()
    assert scored(third).rows == rows and not third.asked


def test_a_run_that_stopped_after_the_head_writes_it_once(scored, cases, tmp_path):
    scored(Perfect(), cases[:1])
    csv = tmp_path / "out/images.csv"
    csv.write_text(csv.read_text().splitlines()[0] + "\n")
    scored(Perfect())
    assert csv.read_text().count("column,name") == 1 and len(read_rows(csv)) == 6


def test_seeds_do_not_depend_on_which_cases_are_run(scored, cases):
    source = Perfect()
    scored(source, cases[4:])
    assert source.asked == [("noisy", "1", 1), ("noisy", "2", 2)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": Perfect(weights="b")}, "other weights"),
        ({"extra": {"lpips": lambda a, b: torch.zeros(1)}}, "other metrics"),
    ],
)
def test_scores_of_different_runs_are_not_mixed(scored, change, words):
    scored(Perfect(weights="a"))
    with pytest.raises(UsageError, match=f"{words}.*--out"):
        scored(**{"source": Perfect(weights="a"), **change})


def test_a_case_that_fails_is_told_and_tried_again(scored, tmp_path):
    broken = tmp_path / "set/noisy/LQ/1.png"
    broken.write_bytes(b"no picture")
    rows, failures = scored(Perfect())
    assert len(rows) == 5 and [name for name, _ in failures] == ["noisy/1"]
    assert "1.png" in failures[0][1]
    save(broken, noisy(1))
    again = Perfect()
    rows, failures = scored(again)
    assert len(rows) == 6 and not failures and again.asked == [("noisy", "1", 1)]


def test_a_full_disk_and_a_damaged_note_are_said_and_no_score_is_lost(
    scored, tmp_path, monkeypatch
):
    writerow = csv.DictWriter.writerow

    def full(writer, row):
        if row["name"] == "1":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return writerow(writer, row)

    monkeypatch.setattr(csv.DictWriter, "writerow", full)
    with pytest.raises(PellucidError, match=r"images\.csv cannot be written: No space .*goes on"):
        scored(Lazy())
    monkeypatch.undo()
    assert [row["name"] for row in read_rows(tmp_path / "out/images.csv")] == ["0"]
    note = (tmp_path / "out/run.json").read_bytes()
    for damaged in (note[:20], b"[]"):
        (tmp_path / "out/run.json").write_bytes(damaged)
        with pytest.raises(UsageError, match=r"run\.json is damaged"):
            scored(Lazy())
    (tmp_path / "out/run.json").write_bytes(note)
    assert len(scored(Lazy()).rows) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [b"\xff\xfe", *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [*lines[:2], lines[2][:20], *lines[3:]],
        lambda lines: [*lines[:2], lines[2] + b"x", *lines[3:]],
        lambda lines: [*lines[:2], lines[2] + b",1", *lines[3:]],
    ],
)
def test_damaged_scores_are_said(scored, tmp_path, damage):
    scored(Lazy())
    table = tmp_path / "out/images.csv"
    table.write_bytes(b"\n".join([*damage(table.read_bytes().splitlines()), b""]))
    with pytest.raises(UsageError, match=r"images\.csv is damaged after \d rows?; .*--out"):
        scored(Lazy())


def test_another_size_is_a_failure_of_the_case(scored, tmp_path):
    for number in range(3):
        for column in ("hazy", "noisy"):
            side = 40 if number else 30
            save(tmp_path / "theirs" / column / f"{number}.png", clean(number, side))
    rows, failures = scored(FolderSource(tmp_path / "theirs", 2))
    assert len(rows) == 4 and rows[0]["psnr_rgb"] == math.inf
    assert "48 x 30, the ground truth 48 x 40" in failures[0][1]


def test_more_metrics_get_both_pictures(scored):
    rows, _ = scored(Lazy(), extra={"mae": lambda a, b: (a - b).abs().mean(dim=(1, 2, 3))})
    expected = np.abs(noisy(0) / 255 - clean(0) / 255).mean()
    assert rows[0]["mae"] == rows[0]["mae_input"] == pytest.approx(expected, rel=1e-5)


def test_results_of_other_tools_are_found_by_column_and_name(cases, tmp_path):
    folder = tmp_path / "theirs"
    save(folder / "noisy" / "1.jpg", clean(1))
    damaged = torch.zeros(1, 3, 40, 48)
    assert FolderSource(folder, 2).restore(cases[4], damaged, 0).picture.shape == damaged.shape
    with pytest.raises(ImageError, match=r"hazy/0: there is no picture of this name"):
        FolderSource(folder, 2).restore(cases[0], damaged, 0)
    save(folder / "0.png", clean(0))
    assert FolderSource(folder, 1).restore(cases[0], damaged, 0).picture.shape == damaged.shape
    with pytest.raises(UsageError, match="not a folder"):
        FolderSource(folder / "nowhere", 1)


def test_a_model_restores_as_its_restorer_does(cases):
    restorer = tiny.restorer(diffusion=True)
    source = ModelSource(restorer, preset="fast")
    damaged = torch.as_tensor(cases[0].load()[0])[None]
    answer = source.restore(cases[0], damaged, 7)
    expected = restorer.restore(damaged, preset="fast", seed=7)
    assert torch.equal(answer.picture, expected)
    assert answer.probabilities == restorer.diagnose(damaged)[0].probabilities
    assert source.name == "tiny-fast" and json.dumps(source.identity)
    assert source.identity["weights"] == restorer.fingerprint()


def test_the_fingerprint_knows_one_weight_from_another():
    one, same = tiny.restorer(), tiny.restorer()
    assert one.fingerprint() == same.fingerprint()
    with torch.no_grad():
        next(same.network.parameters()).view(-1)[0] += 1e-3
    assert one.fingerprint() != same.fingerprint()


def test_presets_of_models_that_have_none_are_refused():
    with pytest.raises(UsageError, match="one pass"):
        ModelSource(tiny.restorer(), preset="fast")
