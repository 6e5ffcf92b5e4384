import math

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

import tiny
from pellucid.errors import UsageError
from pellucid.evaluation import folder_report
from pellucid.evaluation.folder_scores import (
    SetSource,
    calibration_error,
    chosen,
    measured,
    named,
    run,
    score_folder,
    summarise,
)
from pellucid.evaluation.scoring import read_rows
from pellucid.imaging.io import read
from pellucid.networks.contract import Guidance

from .making import Lazy, Perfect, clean, noisy, save


@pytest.fixture
def root(tmp_path):
    """Noise, undamaged pictures, damage without a word, and pictures without a truth."""
    folder = tmp_path / "sets"
    for number in range(4):
        save(folder / f"noise/gt/{number}.png", clean(number))
        save(folder / f"noise/lq/{number}.png", noisy(number))
        save(folder / f"clean/gt/{number}.png", clean(number))
        save(folder / f"clean/lq/{number}.png", clean(number))
        save(folder / f"mixed/gt/{number}.png", clean(number))
        save(folder / f"mixed/lq/{number}.png", noisy(number, 40))
        save(folder / f"snow_real/lq/{number}.png", noisy(number))
    return folder


def row(psnr, before, detected="", second="", share=0.0, column="a", name="0"):
    return {"psnr_rgb": psnr, "psnr_rgb_input": before, "seconds": 0.5, "column": column} | {
        "name": name,
        "detected": detected,
        "second": second,
        "share": share,
    }


def test_harm_gain_and_change_are_counted_as_they_are_defined():
    rows = [
        row(20.0, 20.4),  # harmed
        row(20.0, 20.25),  # lost too little to be harmed, too much to be unchanged
        row(20.1, 20.0),  # unchanged
        row(19.9, 20.0),  # unchanged
        row(25.0, 20.0),
        row(33.9, 99.0),  # undamaged, harmed
        row(99.0, 99.0),
        row(math.nan, math.nan),  # no truth
    ]
    found = measured(rows)
    assert (found["pictures"], found["scored"], found["damaged"]) == (8, 7, 5)
    assert (found["harmed"], found["unchanged"]) == (2, 2)
    assert found["gain"]["mean"] == pytest.approx((5 - 0.4 - 0.25) / 5)
    assert found["worst"] == pytest.approx(-0.4)
    assert (found["itself"], found["itself_worst"]) == (pytest.approx(66.45), 33.9)
    assert found["input"] == pytest.approx((5 * 20 + 0.65) / 5)


def test_nothing_but_pictures_without_truth_has_no_scores():
    found = measured([row(math.nan, math.nan)])
    assert found["pictures"] == 1 and found["scored"] == found["harmed"] == 0
    assert found["gain"] is found["output"] is found["worst"] is None


def test_naming_is_a_confusion_table_of_the_pictures_whose_word_is_known():
    rows = [
        row(0, 0, "noisy", "hazy", 0.9, "noise", "0"),
        row(0, 0, "hazy", "noisy", 0.6, "noise", "1"),
        row(0, 0, "hazy", "snowy", 0.6, "noise", "2"),
        row(0, 0, "rainy", "noisy", 0.8, "both", "0"),
        row(0, 0, "rainy", "noisy", 0.8, "mixed", "0"),
    ]
    words = {("noise", str(n)): ("noisy",) for n in range(3)}
    words |= {("both", "0"): ("hazy", "rainy"), ("mixed", "0"): ()}
    found = named(rows, words)
    assert found["confusion"] == {"noisy": {"noisy": 1, "hazy": 2}}
    assert found["words"] == {
        "noisy": {"pictures": 3, "right": 1 / 3, "within_two": pytest.approx(2 / 3)}
    }
    assert found["sets"]["both"] == {"pictures": 1, "right": 1, "within_two": 1}
    assert found["all"] == {"pictures": 4, "right": 0.5, "within_two": 0.75}
    # bins: 0.9 right; 0.6 twice wrong; 0.8 right
    assert found["calibration_error"] == pytest.approx((0.1 + 1.2 + 0.2) / 4)


def test_calibration_error_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    shares, right = rng.random(500), rng.random(500) < 0.4
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (shares >= low) & (shares < low + 1 / 15)
        if inside.any():
            expected += inside.mean() * abs(shares[inside].mean() - right[inside].mean())
    assert calibration_error(shares, right) == pytest.approx(expected, abs=1e-12)
    assert calibration_error([1.0], [True]) == 0
    assert calibration_error([], []) is None


def test_a_perfect_and_a_lazy_restorer(root, tmp_path):
    cases = chosen(root, ("clean", "mixed", "noise"), None)
    sources = {"a": Perfect(), "b": Lazy()}
    outcomes = run(sources, cases, tmp_path, {}, lambda items, what: items)
    found = summarise(outcomes, cases)
    perfect, lazy = found["all"]["a"], found["all"]["b"]
    assert perfect["output"] == 99 and perfect["harmed"] == perfect["unchanged"] == 0
    assert lazy["unchanged"] == lazy["damaged"] == 8 and lazy["gain"]["mean"] == 0
    before = [peak_signal_noise_ratio(clean(n), noisy(n)) for n in range(4)]
    assert found["sets"]["noise"]["b"]["output"] == pytest.approx(np.mean(before), abs=1e-9)
    assert found["sets"]["clean"]["b"]["itself"] == 99


def test_a_model_is_asked_in_several_ways(root):
    restorer = tiny.restorer()
    case = next(case for case in chosen(root, (), None) if case.column == "noise")
    damaged = torch.as_tensor(case.load()[0])[None]
    answers = {
        way: SetSource(restorer, way).restore(case, damaged, 0)
        for way in ("blind", "told", "unguided")
    }
    expected = {
        "blind": restorer.restore(damaged),
        "told": restorer.restore(damaged, words=("noisy",)),
        "unguided": restorer.restore(
            damaged, guidance=Guidance(torch.zeros(1, 16), torch.zeros(1, 16))
        ),
    }
    for way, picture in expected.items():
        assert torch.allclose(answers[way].picture, picture, atol=1e-6), way
    assert not torch.allclose(expected["blind"], expected["told"], atol=1e-3)
    assert answers["blind"].probabilities == restorer.diagnose(damaged)[0].probabilities
    assert answers["unguided"].probabilities == answers["blind"].probabilities


def test_holes_are_told_by_the_masks_of_a_set(root):
    holes = np.zeros((*clean(0).shape[:2], 3), np.uint8)
    holes[4:20, 6:12] = 255
    for number in range(2):
        save(root / f"inpaint/gt/{number}.png", clean(number))
        save(root / f"inpaint/lq/{number}.png", noisy(number, 0.01))
    save(root / "inpaint/mask/0.png", holes)
    restorer = tiny.restorer()
    found = score_folder(restorer, root, ways=("masked",))
    assert found["all"]["masked"]["pictures"] == 1 and not found["failures"]
    case = next(case for case in chosen(root, (), None) if case.mask)
    assert (case.column, case.name) == ("inpaint", "0")
    answer = SetSource(restorer, "masked").restore(case, None, 0).picture
    expected = restorer.restore(read(case.input), words=["uncompleted"], missing=case.mask)
    assert np.array_equal(answer[0].numpy().transpose(1, 2, 0), expected.pixels)


def test_a_grey_file_comes_back_grey(tmp_path):
    path = tmp_path / "sets/noise/lq/0.png"
    save(path, noisy(0))
    Image.open(path).convert("L").save(path)
    (case,) = chosen(tmp_path / "sets", (), None)
    restorer = tiny.restorer()
    picture = SetSource(restorer, "blind").restore(case, None, 0).picture
    assert torch.equal(picture[:, 0], picture[:, 1]) and torch.equal(picture[:, 0], picture[:, 2])
    luma = restorer.restore(read(path)).luma
    assert np.array_equal(picture[0, 0].numpy(), luma)


def test_a_folder_is_scored_from_python(root):
    seen = []
    found = score_folder(
        tiny.restorer(), root, limit=2, track=lambda items, what: (seen.append(what), items)[1]
    )
    assert seen == ["tiny blind", "tiny told", "tiny unguided"]
    assert list(found["sets"]) == ["clean", "mixed", "noise", "snow_real"]
    assert found["sets"]["noise"]["told"]["pictures"] == 2
    assert "told" not in found["sets"]["mixed"]  # nobody knows its words
    assert found["sets"]["snow_real"]["blind"]["scored"] == 0
    assert found["all"]["blind"]["pictures"] == 8 and found["all"]["blind"]["scored"] == 6
    assert found["naming"]["all"]["pictures"] == 6
    with pytest.raises(UsageError, match="no way 'loud'"):
        score_folder(tiny.restorer(), root, ways=("loud",))


def test_a_limit_is_spread_over_each_set(root):
    for number in range(4, 10):
        save(root / f"noise/gt/{number}.png", clean(number))
        save(root / f"noise/lq/{number}.png", noisy(number))
    cases = chosen(root, ("noise", "mixed"), 5)
    assert [c.name for c in cases if c.column == "noise"] == ["0", "2", "4", "6", "8"]
    assert [c.name for c in cases if c.column == "mixed"] == ["0", "1", "2", "3"]


def test_a_run_goes_on_where_it_was_and_is_not_mixed_with_another(root, tmp_path):
    out, restorer = tmp_path / "out", tiny.restorer()
    score_folder(restorer, root, ("blind",), limit=1, out=out)
    first = read_rows(out / "blind/images.csv")
    found = score_folder(restorer, root, ("blind", "told"), limit=2, out=out)
    rows = read_rows(out / "blind/images.csv")
    assert len(first) == 4 and [r["input_sha256"] for r in rows[:4]] == [
        r["input_sha256"] for r in first
    ]
    assert rows[0]["seconds"] == first[0]["seconds"] and len(rows) == 8
    assert found["all"]["blind"]["pictures"] == 8
    with pytest.raises(UsageError, match="another run"):
        score_folder(tiny.restorer(diffusion=True), root, ("blind",), out=out)


def test_reports_tell_harm_by_way_and_draw_every_picture(root, tmp_path):
    restorer = tiny.restorer()
    cases = chosen(root, (), 3)
    sources = {way: SetSource(restorer, way) for way in ("blind", "told")}
    out = tmp_path / "out"
    summary = folder_report.evaluate(
        *("tiny", sources, cases, {"limit": 3}, root, out, True, lambda items, what: items)
    )
    tables = folder_report.tables(summary)
    by_set, by_way, naming = tables.values()
    assert [cells[0] for cells in by_set] == ["set", "clean", "mixed", "noise", "snow_real", "all"]
    assert by_set[0][5:8] == ["worst", "harmed", "unchanged"]
    assert by_set[1][4] == "-" and by_set[1][5].endswith("left")
    assert by_set[4][2:4] == ["-", "-"] and by_set[2][8] == "-"
    assert by_way[0] == ["set", "blind", "told"] and by_way[2][2] == by_way[4][1] == "-"
    assert [cells[0] for cells in naming[1:]] == ["noisy", "snowy", "clean"]
    text = (out / "summary.md").read_text()
    assert "only a subset: limit 3" in text and "blind, set by set" in text
    assert (out / "summary.json").exists()
    assert {p.stem for p in (out / "sheets").iterdir()} == {"clean", "mixed", "noise", "snow_real"}
    width, height = Image.open(out / "sheets/noise.png").size
    assert width > 3 * 48 and height > 40
    assert folder_report.comparison([summary, summary])[-1][1:] == [by_way[-1][1]] * 2
