from dataclasses import replace

import pytest

from pellucid.data.benchmarks import BENCHMARKS, SetFolders, benchmark
from pellucid.degradations import WORDS
from pellucid.errors import UsageError

from .making import picture, save


def fill(root, folder, names):
    for i, name in enumerate(names):
        save(root / folder / f"{name}.png", picture(i, 20, 24))


def small(name, count):
    return replace(BENCHMARKS[name], count=count)


def names(pairs):
    return [(p.name, p.input and p.input.stem, p.truth.stem) for p in pairs]


def test_every_row_is_complete():
    for name, row in BENCHMARKS.items():
        assert name == row.name and row.word in WORDS and row.layouts and row.source


@pytest.mark.parametrize(
    ("name", "count"),
    [
        *(("CBSD68", 68), ("SOTS-outdoor", 500), ("Rain100L", 100), ("GoPro", 1111)),
        *(("LOL-v1", 15), ("RainDrop-a", 58), ("Snow100K-L-601", 601), ("Snow100K-L", 16_801)),
        ("Outdoor-Rain-Test1", 750),
    ],
)
def test_counts_are_the_published_ones(name, count):
    assert BENCHMARKS[name].count == count


def test_equal_names_are_pairs(tmp_path):
    for side in ("input", "target"):
        fill(tmp_path, f"test/derain/Rain100L/{side}", ["rain-002", "rain-001"])
    assert names(small("Rain100L", 2).pairs(tmp_path)) == [
        ("rain-001", "rain-001", "rain-001"),
        ("rain-002", "rain-002", "rain-002"),
    ]


def test_hazy_pictures_share_the_truth_before_the_underscore(tmp_path):
    fill(tmp_path, "test/dehaze/input", ["0001_0.8_0.2", "0001_1_0.1", "0002_0.9_0.16"])
    fill(tmp_path, "test/dehaze/target", ["0001", "0002"])
    found = small("SOTS-outdoor", 3).pairs(tmp_path)
    assert [p.truth.stem for p in found] == ["0001", "0001", "0002"]
    assert found[0].name == "0001_0.8_0.2"


def test_the_weather_sets_pair_by_either_of_their_customs(tmp_path):
    fill(tmp_path, "test/RainDrop-a/input", ["0_rain", "10_rain", "1_rain"])
    fill(tmp_path, "test/RainDrop-a/gt", ["0_clean", "10_clean", "1_clean"])
    found = small("RainDrop-a", 3).pairs(tmp_path)
    assert [p.truth.stem for p in found] == ["0_clean", "10_clean", "1_clean"]
    cases = [f"im_{i:04}_s{s}_a04" for i in (301, 302) for s in (80, 85)]
    for folder, truths in (("a", ["im_0301", "im_0302"]), ("b", cases)):
        fill(tmp_path / folder, "test/Outdoor-Rain-Test1/input", cases)
        fill(tmp_path / folder, "test/Outdoor-Rain-Test1/gt", truths)
    rain = small("Outdoor-Rain-Test1", 4)
    assert {p.truth.stem for p in rain.pairs(tmp_path / "a")} == {"im_0301", "im_0302"}
    assert all(p.truth.stem == p.name for p in rain.pairs(tmp_path / "b"))


def test_da_clips_tree_pairs_by_order_where_no_names_are_equal(tmp_path):
    fill(tmp_path, "val/shadowed/LQ", ["IMG_1", "IMG_2"])
    fill(tmp_path, "val/shadowed/GT", ["IMG_1_no_shadow", "IMG_2_no_shadow"])
    found = small("SRD", 2).pairs(tmp_path)
    assert [p.truth.stem for p in found] == ["IMG_1_no_shadow", "IMG_2_no_shadow"]


def test_pictures_that_get_their_noise_later_have_no_input(tmp_path):
    fill(tmp_path, "test/denoise/bsd68", ["b", "a"])
    row = small("CBSD68", 2)
    assert names(row.pairs(tmp_path)) == [("a", None, "a"), ("b", None, "b")]
    fill(tmp_path, "test/denoise/bsd68/target", ["c", "d"])
    assert [p.name for p in row.pairs(tmp_path)] == ["c", "d"]


def test_names_may_lie_deeper(tmp_path):
    for side in ("input", "target"):
        fill(tmp_path, f"test/deblur/gopro/{side}/GOPR0384_11_00", ["000001"])
    assert small("GoPro", 1).pairs(tmp_path)[0].name == "GOPR0384_11_00/000001"


def test_what_is_missing_is_said_with_its_place(tmp_path):
    with pytest.raises(UsageError, match=r"Rain100L.*100.*test/derain/Rain100L/\{input,target\}"):
        BENCHMARKS["Rain100L"].pairs(tmp_path)
    for side in ("input", "target"):
        fill(tmp_path, f"test/derain/Rain100L/{side}", ["1", "2"])
    with pytest.raises(UsageError, match=r"100 cases, here are 2; .*--benchmark Rain100L"):
        BENCHMARKS["Rain100L"].pairs(tmp_path)
    fill(tmp_path, "test/derain/Rain100L/input", ["3"])
    with pytest.raises(UsageError, match=r"here are 2, 1 without a partner.*3\.png"):
        small("Rain100L", 2).pairs(tmp_path)


def test_a_wrong_name_brings_the_nearest():
    assert benchmark("GoPro") is BENCHMARKS["GoPro"]
    with pytest.raises(UsageError, match="did you mean Rain100L"):
        benchmark("rain100L")


def test_layouts_are_shown_as_people_write_them():
    assert str(SetFolders("val/hazy/GT", "val/hazy/LQ")) == "val/hazy/{LQ,GT}"
    assert str(SetFolders("test/denoise/bsd68")) == "test/denoise/bsd68"
