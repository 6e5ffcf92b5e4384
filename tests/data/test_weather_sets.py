import numpy as np
import pytest

from pellucid.data.crops import TwoCrops
from pellucid.data.folders import PairedFolders, read_pair
from pellucid.data.weather_sets import weather_pairs
from pellucid.errors import ImageError, UsageError

from .making import picture, save

CASES = {  # inputs, truths, {input: truth}, word
    "Outdoor-Rain": (
        "in",
        "gt",
        {"im_0001_s80_a04": "im_0001", "im_0300_s1_a1": "im_0300"},
        "rainy",
    ),
    "RainDrop": ("data", "gt", {"0_rain": "0_clean", "17_rain": "17_clean"}, "raindrop"),
    "Snow100K": ("synthetic", "gt", {"beautiful_1": "beautiful_1"}, "snowy"),
    "RESIDE": ("hazy", "clear", {"0001_0.8_0.04": "0001", "2_3_0.9": "2"}, "hazy"),
}


def put(root, folder, names):
    for i, name in enumerate(names):
        save(root / folder / f"{name}.png", picture(i))


@pytest.mark.parametrize("name", CASES)
def test_every_input_finds_its_truth(tmp_path, name):
    inputs, truths, names, word = CASES[name]
    put(tmp_path, inputs, names)
    put(tmp_path, truths, names.values())
    found = weather_pairs(tmp_path)
    assert set(found) == {word}
    assert {p.lq.stem: p.gt.stem for p in found[word]} == names


def test_scenes_of_outdoor_rains_test_are_left_out(tmp_path):
    scenes = ["im_0300", "im_0301", "im_0349", "im_0350", "im_0351"]
    put(tmp_path, "in", [f"{scene}_s80_a04" for scene in scenes])
    put(tmp_path, "gt", scenes)
    assert [p.gt.stem for p in weather_pairs(tmp_path)["rainy"]] == ["im_0300", "im_0351"]


def test_allweather_is_told_apart_by_names_and_cut_to_its_list(tmp_path):
    root = tmp_path / "input" / "allweather"  # "input" in the path is no trap
    names = ["0_rain", "im_0001_s80_a04", "city_1", "city_2"]
    put(root, "input", names)
    put(root, "gt", names)
    assert {w: len(p) for w, p in weather_pairs(root).items()} == {
        "raindrop": 1,
        "snowy": 2,
        "rainy": 1,
    }
    lines = ["./allweather/input/0_rain.png", "./allweather/input/city_2.png", ""]
    (root.parent / "allweather.txt").write_text("\n".join(lines))
    found = weather_pairs(root)
    assert [p.lq.stem for p in found["snowy"]] == ["city_2"] and "rainy" not in found
    assert all(p.gt.parent.name == "gt" for pairs in found.values() for p in pairs)
    words = [PairedFolders(root, crop=16)[i]["word"] for i in range(4)]
    assert words[:2] == words[2:] and set(words) == {"raindrop", "snowy"}
    kept = PairedFolders(root, ["snowy"], keep=lambda name: name == "gt-city_2").pairs
    assert [pair.lq.stem for pair in kept["snowy"]] == ["city_2"]
    with pytest.raises(UsageError, match="no pairs of 'raindrop'"):
        PairedFolders(root, keep=lambda name: name == "gt-city_2")


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
    (pair,) = weather_pairs(tmp_path)["hazy"]
    hazy, clear = read_pair(pair)
    assert hazy.shape == (40, 50, 3)
    assert np.array_equal(hazy, clear)
    save(tmp_path / "hazy" / "1_1_0.9.png", truth[5:-5, 5:-5])
    with pytest.raises(ImageError, match="differ in size"):
        read_pair(pair)
