import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pellucid.evaluation import report
from pellucid.evaluation.perceptual import NOTHING
from pellucid.evaluation.protocols import PROTOCOLS
from pellucid.evaluation.report import Scored, comparison, markdown, summarise, table
from pellucid.evaluation.run import Evaluation

from .making import Lazy, Perfect, pairs

NATIVE = PROTOCOLS["native"]


def rows(column, psnrs, inputs, detected=""):
    return [
        {"column": column, "name": str(n), "detected": detected, "seconds": 1.0, "peak_mib": 5.0}
        | {"psnr_rgb": psnr, "psnr_rgb_input": before}
        for n, (psnr, before) in enumerate(zip(psnrs, inputs, strict=True))
    ]


TWO = [
    *rows("noisy@0.5", [30.0, 31.0, 29.0], [20.0, 20.0, 30.0], "noisy"),
    *rows("hazy@0.5", [40.0], [20.0], "noisy"),
]


def test_columns_have_means_gains_shares_and_costs():
    summary = summarise(Scored("a", TWO, {}), NATIVE)
    noisy, hazy = summary["columns"].values()
    assert noisy["psnr_rgb"]["mean"] == 30 and noisy["psnr_rgb_gain"]["mean"] == pytest.approx(
        20 / 3
    )
    assert noisy["worse"] == pytest.approx(1 / 3) and hazy["worse"] == 0
    assert (noisy["named"], hazy["named"], summary["named"]) == (1, 0, 0.5)
    assert (noisy["seconds"], noisy["peak_mib"], noisy["images"]) == (1, 5, 3)


def test_the_two_averages_differ_as_they_are_defined():
    average = summarise(Scored("a", TWO, {}), NATIVE)["average"]
    assert average["columns"]["psnr_rgb"]["mean"] == 35
    assert average["images"]["psnr_rgb"]["mean"] == 32.5


def test_columns_that_papers_leave_out_count_for_the_mean_of_images_alone():
    protocol = replace(NATIVE, not_averaged=("hazy@0.5",))
    average = summarise(Scored("a", TWO, {"noisy@0.5": 3.0, "hazy@0.5": 9.0}), protocol)["average"]
    assert average["columns"]["psnr_rgb"]["mean"] == 30 and average["columns"]["fid"] == 3
    assert average["images"]["psnr_rgb"]["mean"] == 32.5
    compared = comparison(
        [Scored("a", TWO, {}), Scored("b", TWO, {})], protocol, "psnr_rgb", "columns"
    )
    assert compared[-1][2] == "30.00"


def test_the_column_mean_is_that_of_the_published_tables():
    """Perceive-IR's own five columns and their printed averages, 32.63 and 29.84."""
    three = {"SOTS-outdoor": 30.87, "Rain100L": 38.29}
    three |= {"CBSD68-s15": 34.13, "CBSD68-s25": 31.53, "CBSD68-s50": 28.31}
    five = {"SOTS-outdoor": 28.19, "Rain100L": 37.25, "CBSD68-s15": 1, "CBSD68-s25": 31.44}
    five |= {"CBSD68-s50": 1, "GoPro": 29.46, "LOL-v1": 22.88}
    for name, columns, printed in (
        ("perceive-ir-3task", three, "32.63"),
        ("perceive-ir-5task", five, "29.84"),
    ):
        found = [row for c, value in columns.items() for row in rows(c, [value], [20.0])]
        mean = summarise(Scored("a", found, {}), PROTOCOLS[name])["average"]["columns"]
        assert f"{mean['psnr_rgb']['mean']:.2f}" == printed


def test_an_undamaged_input_has_no_gain():
    summary = summarise(Scored("a", rows("clean", [50.0, math.inf], [math.inf] * 2), {}), NATIVE)
    assert "psnr_rgb_gain" not in summary["columns"]["clean"]
    assert table(summary)[1][2] == "inf"


def test_models_are_compared_image_by_image_on_what_all_have():
    a = Scored("a", rows("noisy", [30.0, 20.0, 25.0], [10.0] * 3), {})
    b = Scored("b", rows("noisy", [31.0, 21.0], [10.0] * 2), {})
    head, line, mean = comparison([a, b], NATIVE, "psnr_rgb", "columns")
    assert head == ["", "images", "a", "b", "b − a"]
    assert line == ["noisy", "2", "25.00", "26.00", "+1.00 ± 0.00"] and mean[2:] == line[2:]


def test_json_is_json_even_of_infinities():
    text = report.to_json({"a": [math.inf, -math.inf, math.nan, 1.5]})
    assert json.loads(text) == {"a": ["inf", "-inf", "nan", 1.5]}


def test_markdown_has_a_head_and_equal_rows():
    lines = markdown([["", "psnr"], ["noisy", "30.00"]]).splitlines()
    assert lines == ["|  | psnr |", "|---|---:|", "| noisy | 30.00 |"]


def test_numbers_have_the_digits_of_papers():
    assert report.number("psnr_rgb", 31.456) == "31.46"
    assert report.number("ssim_rgb", 0.91234) == "0.9123"
    estimate = {"mean": 1.0, "low": 0.8, "high": 1.2, "count": 9}
    assert report.number("lpips_alex", estimate, signed=True) == "+1.0000 ± 0.2000"


@pytest.fixture
def evaluation(tmp_path):
    cases = NATIVE.cases(pairs(tmp_path / "set"))
    plain = (NATIVE, cases, {"data": "set"}, {"columns": "", "limit": 3}, NOTHING)
    return Evaluation(*plain, tmp_path / "out", lambda items, what: items)


def test_an_evaluation_leaves_tables_json_and_pictures(evaluation, tmp_path):
    result = evaluation.run(Lazy())
    folder = tmp_path / "out/native/lazy"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["protocol"] == "native" and summary["images"] == 6
    assert summary["identity"]["data"] == "set"
    assert {"torch", "pillow", "libjpeg-turbo", "machine"} <= summary["environment"].keys()
    assert summary["columns"]["noisy"]["psnr_rgb_gain"]["mean"] == 0
    text = (folder / "summary.md").read_text()
    assert "protocol native, only a subset: limit 3" in text and "- pillow: " in text
    for name in ("sheet.png", "gain.png"):
        assert np.asarray(Image.open(folder / name)).std() > 0
    compared = evaluation.compare([result, evaluation.run(Perfect())])
    assert compared[1][-1] == "+inf"
    text = (tmp_path / "out/native/comparison.md").read_text()
    assert "lazy, perfect" in text and "ssim_y" in text


def test_fid_of_a_column_is_left_out_where_a_picture_is_gone_and_the_rest_stays(
    evaluation, tmp_path
):
    class Vanishing(Lazy):
        def restore(self, case, damaged, seed):
            if (case.column, case.name) == ("noisy", "2"):  # the last one
                (tmp_path / "set/hazy/GT/1.png").unlink()
            return super().restore(case, damaged, seed)

    evaluation.perceptual = NOTHING._replace(inception=lambda picture: picture.mean(dim=(2, 3)))
    summary = evaluation.run(Vanishing()).summary
    assert summary["columns"]["noisy"]["fid"] >= 0 and "fid" not in summary["columns"]["hazy"]
    assert summary["average"]["columns"].keys() == {"psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y"}
    assert summary["images"] == 6 and not summary["failures"]
    assert summary["left_out"][0].startswith("FID of hazy: 1: ")


def test_a_column_of_one_picture_has_no_fid(evaluation):
    evaluation.perceptual = NOTHING._replace(inception=lambda picture: picture.mean(dim=(2, 3)))
    evaluation.cases = evaluation.cases[2:]
    summary = evaluation.run(Lazy()).summary
    assert "fid" not in summary["columns"]["hazy"] and not summary["left_out"]
    assert report.table(summary)[1][6] == ""


def test_the_sheet_shows_best_median_and_worst_where_most_has_changed(tmp_path):
    from pellucid.evaluation.pictures import CROP, LABEL, contact_sheet

    cases = NATIVE.cases(pairs(tmp_path / "set", columns=("noisy",)))
    found = rows("noisy", [21.0, 29.0, 25.0], [20.0] * 3)
    for case, level in zip(cases, (40, 80, 120), strict=True):
        target = tmp_path / "restored/noisy" / f"{case.name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 40), (level,) * 3).save(target)
    drawn, lost = contact_sheet(found, cases, tmp_path / "restored", "psnr_rgb")
    sheet = np.asarray(drawn)
    assert not lost
    step = (sheet.shape[1]) // 3
    middle = [sheet[LABEL + 5, place * step + CROP + 1 + 5, 0] for place in range(3)]
    assert middle == [80, 120, 40]  # best, median, worst
