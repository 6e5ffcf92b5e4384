import shutil

import numpy as np
import pytest

from pellucid.data.check import check_folder
from pellucid.data.crops import TwoCrops
from pellucid.data.files import Pair, read_pair
from pellucid.data.folders import PairedFolders
from pellucid.data.layouts import LAYOUTS, ORDER, find_sets, match
from pellucid.data.triplets import render
from pellucid.errors import ImageError, UsageError
from pellucid.evaluation.protocols import PROTOCOLS

from .making import dataset, picture, save

TREES = {  # root of the sets: {set: (inputs, truths, {input: truth}, word, rule)}
    "DA-CLIP": {
        "hazy": ("LQ", "GT", {"0001_0.8_0.2": "0001", "0001_1_0.1": "0001"}, "hazy", "0001_0"),
        "rainy": ("LQ", "GT", {"norain-1": "norain-1"}, "rainy", "equal"),
        "shadowed": ("LQ", "GT", {"IMG_1": "IMG_1_no_shadow"}, "shadowed", ORDER),
    },
    "Perceive-IR, training": {
        "Dehaze": ("input", "gt", {"0001_0.8_0.2": "0001", "2_1_0.1": "2"}, "hazy", "0001_0"),
        "Derain": ("input", "gt", {"rain-1": "norain-1"}, "rainy", "rain-1"),
        "Deblur": ("input", "gt", {"GOPR1-000001": "GOPR1-000001"}, "motion-blurry", "equal"),
        "Enhance": ("input", "gt", {"10": "10"}, "low-light", "equal"),
    },
    "Perceive-IR, tests": {
        "dehaze": ("input", "target", {"0001_0.8_0.2": "0001"}, "hazy", "0001_0"),
        "derain/Rain100L": ("input", "target", {"rain-001": "rain-001"}, "rainy", "equal"),
        "deblur/gopro": ("input", "target", {"a/1": "a/1"}, "motion-blurry", "equal"),
        "enhance/lol": ("input", "target", {"1": "1"}, "low-light", "equal"),
    },
    "PromptIR": {
        "Derain": ("rainy", "gt", {"rain-1": "norain-1"}, "rainy", "rain-1"),
        "Dehaze": ("synthetic", "original", {"part1/0001_0.8_0.2": "0001"}, "hazy", "0001_0"),
    },
    "RESIDE": {
        "ITS": ("hazy", "clear", {"1_1_0.9": "1", "1_2_0.8": "1"}, "hazy", "0001_0"),
        "OTS": ("haze", "clear", {"part1/0001_0.8_0.2": "0001"}, "hazy", "0001_0"),
        "SOTS": ("hazy", "gt", {"1400_1": "1400"}, "hazy", "0001_0"),
    },
    "Outdoor-Rain": {"": ("in", "gt", {"im_0001_s80_a04": "im_0001"}, "rainy", "im_0001_s80")},
    "RainDrop": {"": ("data", "gt", {"0_rain": "0_clean"}, "raindrop", "0_rain")},
    "Snow100K": {"": ("synthetic", "gt", {"beautiful_1": "beautiful_1"}, "snowy", "equal")},
    "Rain200L": {"": ("rain", "norain", {"X2/norain-1x2": "norain-1"}, "rainy", "norain-1x2")},
    "Rain100L": {"": ("rainy", "norain-*", {"rain-001": "norain-001"}, "rainy", "rain-1")},
    "Rain100H": {"": ("rain-*", "norain-*", {"rain-001": "norain-001"}, "rainy", "rain-1")},
    "LOL": {"our485": ("low", "high", {"2": "2"}, "low-light", "equal")},
    "GoPro": {"GOPR0372_07_00": ("blur", "sharp", {"000047": "000047"}, "motion-blurry", "equal")},
    "own, in any case": {
        "mine": ("Input", "Target", {"1": "1"}, "mine", "equal"),
        "rain_own": ("Rainy", "Clean", {"1_rain": "1_clean"}, "rainy", "0_rain"),
        "snow": ("lq", "gt", {"1": "1"}, "snowy", "equal"),
    },
}


def put(root, folder, names):
    for i, name in enumerate(sorted(set(names))):
        save(root / folder / f"{name}.png", picture(i))


@pytest.fixture(params=TREES)
def tree(request, tmp_path):
    for name, (inputs, truths, names, _, _) in TREES[request.param].items():
        put(tmp_path / name, "" if "*" in inputs else inputs, names)
        put(tmp_path / name, "" if "*" in truths else truths, names.values())
    return tmp_path, TREES[request.param]


def pairs_of(one):
    """{input: truth} by the paths below their folders."""
    sides = one.inputs, one.truths
    return {
        tuple(
            p.relative_to(s).with_suffix("").as_posix()
            for p, s in zip((x.lq, x.gt), sides, strict=True)
        )
        for x in one.match().pairs
    }


def test_every_published_layout_is_read_and_says_its_rule(tree):
    root, sets = tree
    found = {one.name if len(sets) > 1 or "" not in sets else "": one for one in find_sets(root)}
    assert set(found) == set(sets)
    for name, (inputs, truths, names, word, rule) in sets.items():
        one = found[name]
        assert pairs_of(one) == set(names.items()) and one.word == word
        sides = zip((one.inputs, one.truths), (inputs, truths), strict=True)
        assert all(side == root / name if "*" in of else side.name == of for side, of in sides)
        assert one.match().rule.startswith(rule) and not one.match().alone
        note = one.note(one.match())
        assert f"names {rule}" in note and f"{{{inputs}, {truths}}}" in note


def test_check_training_and_evaluation_see_the_same_pairs(tree):
    root, sets = tree
    expected = {one.name: {(p.lq, p.gt) for p in one.match().pairs} for one in find_sets(root)}
    everything = set().union(*expected.values())
    report = check_folder(root)
    assert report.ok and report.counts == {name: len(p) for name, p in expected.items()}
    trained = PairedFolders(root)
    assert {(p.lq, p.gt) for pairs in trained.pairs.values() for p in pairs} == everything
    assert set(trained.words) == {row[3] for row in sets.values()}
    assert trained.notes == report.notes
    cases = PROTOCOLS["native"].cases(root)
    assert {(c.input, c.truth) for c in cases} == everything
    assert {c.column for c in cases} == set(expected)


def test_every_row_has_a_tree():
    used = {one[:2] for sets in TREES.values() for one in sets.values()}
    assert {(row.inputs.lower(), row.truths.lower()) for row in LAYOUTS} <= {
        (a.lower(), b.lower()) for a, b in used
    }


def test_clean_pictures_for_denoising_may_lie_in_a_task(tmp_path):
    put(tmp_path / "a", "Denoise/gt", ["1"])
    put(tmp_path / "b", "Denoise/BSD400", ["1"])
    put(tmp_path / "b", "Denoise/WED", ["2"])
    put(tmp_path / "c", "denoise/bsd68/target", ["1"])
    put(tmp_path / "d", "noisy/GT", ["1"])
    for root, count in (("a", 1), ("b", 2), ("c", 1), ("d", 1)):
        data = PairedFolders(tmp_path / root, ["noisy"], crop=16, noise=(25,))
        assert len(data) == count and not (data[0]["lq"] == data[0]["gt"]).all()
        report = check_folder(tmp_path / root)
        assert report.ok and list(report.counts.values()) == [count]
        with pytest.raises(UsageError, match=r"clean pictures alone: give --data\.noise"):
            PairedFolders(tmp_path / root, ["noisy"], crop=16)


def test_the_training_and_validation_of_a_tree_are_never_mixed(tmp_path):
    dataset(tmp_path / "train", {"hazy": 1})
    dataset(tmp_path / "val", {"hazy": 1})
    for read in (find_sets, PairedFolders, check_folder, PROTOCOLS["native"].cases):
        with pytest.raises(UsageError, match=r"the sets are in .*train and .*val; name one"):
            read(tmp_path)


@pytest.mark.parametrize("parts", ["train test", "our485 eval15", "train test_a test_b"])
@pytest.mark.parametrize("below", ["", "Rain"])
def test_the_parts_of_a_downloaded_set_are_never_mixed(tmp_path, parts, below):
    for part in parts.split():
        put(tmp_path / below / part, "rain", ["norain-1x2"])
        put(tmp_path / below / part, "norain", ["norain-1"])
    with pytest.raises(UsageError, match=r"the sets are in .* and .*; name one of them"):
        find_sets(tmp_path)
    (one,) = find_sets(tmp_path / below / parts.split()[0])
    assert one.word == "rainy" and len(one.match().pairs) == 1


def test_sets_of_one_kind_of_part_are_read_together(tmp_path):
    for name in ("test_a", "test_b", "testimony"):
        put(tmp_path, f"{name}/data", ["0_rain"])
        put(tmp_path, f"{name}/gt", ["0_clean"])
    assert len(find_sets(tmp_path)) == 3


def test_sets_that_lie_too_deep_are_said(tmp_path, caplog):
    for name in ("outdoor", "indoor/nyuhaze500"):
        put(tmp_path / "SOTS", f"{name}/hazy", ["1400_1"])
        put(tmp_path / "SOTS", f"{name}/gt", ["1400"])
    for root in (tmp_path, tmp_path / "SOTS"):
        assert len(find_sets(root)) == 1
    assert f"left out '{tmp_path}/SOTS/indoor': it holds sets of its own" in caplog.text
    shutil.rmtree(tmp_path / "SOTS/outdoor")
    with pytest.raises(UsageError, match=r"the sets are in .*indoor; name it"):
        find_sets(tmp_path / "SOTS")


def test_types_called_rainy_and_clean_are_not_two_sides(tmp_path):
    dataset(tmp_path, {"rainy": 1, "clean": 1})
    assert [one.name for one in find_sets(tmp_path)] == ["rainy", "clean"]


def test_types_come_in_the_official_order_then_by_name(tmp_path):
    dataset(tmp_path, {"snowy": 1, "blurred": 1, "hazy": 1})
    assert [one.word for one in find_sets(tmp_path)] == ["hazy", "snowy", "blurred"]
    assert [one.word for one in find_sets(tmp_path / "hazy")] == ["hazy"]
    with pytest.raises(UsageError, match="absent"):
        find_sets(tmp_path / "absent")


def test_pairs_go_by_name_whatever_the_format(tmp_path):
    for name in ("LQ/1.jpg", "LQ/2.png", "GT/1.png", "GT/2.png", "GT/3.png"):
        save(tmp_path / name, picture(0))
    found = match(tmp_path / "LQ", tmp_path / "GT")
    assert [(p.lq.name, p.gt.name) for p in found.pairs] == [("1.jpg", "1.png"), ("2.png",) * 2]
    assert found.alone == [tmp_path / "GT/3.png"]


def test_the_order_pairs_only_in_da_clips_layout_and_equal_numbers(tmp_path):
    put(tmp_path, "LQ", ["a", "b"])
    put(tmp_path, "GT", ["c", "d"])
    sides = tmp_path / "LQ", tmp_path / "GT"
    assert [p.gt.stem for p in match(*sides, by_order=True).pairs] == ["c", "d"]
    assert not match(*sides).pairs and len(match(*sides).alone) == 4
    put(tmp_path, "GT", ["e"])
    assert not match(*sides, by_order=True).pairs


def test_scenes_of_outdoor_rains_test_are_not_trained_on(tmp_path):
    scenes = ["im_0300", "im_0301", "im_0349", "im_0350", "im_0351"]
    put(tmp_path, "in", [f"{scene}_s80_a04" for scene in scenes])
    put(tmp_path, "gt", scenes)
    data = PairedFolders(tmp_path)
    assert [p.gt.stem for p in data.pairs["rainy"]] == ["im_0300", "im_0351"]
    assert "left out, as in its test set: 3 pairs" in data.notes[-1]
    assert len(PROTOCOLS["native"].cases(tmp_path)) == 5


def test_allweather_is_told_apart_by_names_and_cut_to_its_list(tmp_path):
    root = tmp_path / "input" / "allweather"  # "input" in the path is no trap
    names = ["0_rain", "im_0001_s80_a04", "city_1", "city_2"]
    put(root, "input", names)
    put(root, "gt", names)
    words = {"raindrop": 1, "snowy": 2, "rainy": 1}
    assert {w: len(p) for w, p in PairedFolders(root).pairs.items()} == words
    assert {c.column for c in PROTOCOLS["native"].cases(root)} == set(words)
    assert check_folder(root).counts == {"allweather": 4}
    (one,) = find_sets(root)
    assert "4 pairs, 1 of raindrop, 1 of rainy, 2 of snowy in {input, gt}" in one.note(one.match())
    lines = ["./allweather/input/0_rain.png", "./allweather/input/city_2.png", ""]
    (root.parent / "allweather.txt").write_text("\n".join(lines))
    found = PairedFolders(root, crop=16)
    assert [p.lq.stem for p in found.pairs["snowy"]] == ["city_2"] and "rainy" not in found.pairs
    drawn = [found[i]["word"] for i in range(4)]
    assert drawn[:2] == drawn[2:] and set(drawn) == {"raindrop", "snowy"}
    kept = PairedFolders(root, ["snowy"], keep=lambda name: name == "city_2").pairs
    assert [pair.lq.stem for pair in kept["snowy"]] == ["city_2"]
    with pytest.raises(UsageError, match="1 picture of 'raindrop' none is left"):
        PairedFolders(root, keep=lambda name: name == "city_2")


def test_triplets_are_rendered_from_any_layout(tmp_path):
    put(tmp_path / "data/Dehaze", "input", ["0001_0.8_0.2"])
    put(tmp_path / "data/Dehaze", "gt", ["0001"])
    put(tmp_path / "data", "Denoise/gt", ["1"])
    assert render(tmp_path / "data", tmp_path / "out", [("same", lambda p: p)], noise=[25]) == 2
    assert (tmp_path / "out/hazy/0001-0001_0.8_0.2.png").exists()
    assert (tmp_path / "out/noisy-low/1.png").exists()


def test_the_view_is_the_whole_damaged_picture_turned_as_the_crop_is(tmp_path):
    put(tmp_path, "synthetic", ["a"])
    put(tmp_path, "gt", ["a"])
    data = PairedFolders(tmp_path, crop=None, view=40)
    turns = set()
    for index in range(12):
        sample = data[index]
        lq, view = ((sample[k].permute(1, 2, 0).numpy() * 255).round() for k in ("lq", "view"))
        left, top = ((n - 40) // 2 for n in (lq.shape[1], lq.shape[0]))
        assert np.array_equal(view, lq[top : top + 40, left : left + 40])
        turns.add(view.tobytes())
    assert len(turns) > 3
    cut = TwoCrops(PairedFolders(tmp_path, crop=24, view=40), 16)[0]
    assert cut["view"].shape == (3, 40, 40) and cut["lq"].shape == (3, 16, 16)
    put(tmp_path / "types" / "noisy", "GT", ["a"])
    with pytest.raises(UsageError, match="no view"):
        PairedFolders(tmp_path / "types", noise=(15,), view=40)


def test_truths_of_resides_indoor_part_lose_their_border(tmp_path):
    truth = picture(3, 60, 70)
    save(tmp_path / "clear" / "1.png", truth)
    save(tmp_path / "hazy" / "1_1_0.9.png", truth[10:-10, 10:-10])
    (pair,) = find_sets(tmp_path)[0].match().pairs
    hazy, clear = read_pair(pair)
    assert hazy.shape == (40, 50, 3) and np.array_equal(hazy, clear)
    assert check_folder(tmp_path).ok
    (case,) = PROTOCOLS["native"].cases(tmp_path)
    assert np.array_equal(*case.load())
    assert pair == Pair(pair.lq, pair.gt, border=10)
    save(tmp_path / "hazy" / "1_1_0.9.png", truth[5:-5, 5:-5])
    with pytest.raises(ImageError, match="differ in size"):
        read_pair(pair)
    assert [p.kind for p in check_folder(tmp_path).problems] == ["unequal size"]


def test_evaluation_leaves_out_clean_pictures_for_denoising(tmp_path):
    put(tmp_path, "denoise/bsd68/target", ["1"])
    with pytest.raises(UsageError, match="clean pictures alone"):
        PROTOCOLS["native"].cases(tmp_path)
    dataset(tmp_path, {"hazy": 1})
    assert {case.column for case in PROTOCOLS["native"].cases(tmp_path)} == {"hazy"}
