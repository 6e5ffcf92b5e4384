import json

import numpy as np
import pytest

from pellucid.data import windows
from pellucid.data.crops import turned
from pellucid.data.photos import CleanPhotos
from pellucid.data.windows import Windows, make_windows
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError

from .making import photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("windows")
    patch = pytest.MonkeyPatch()
    patch.setattr(windows, "SHARD", 6)
    clean = CleanPhotos(photos(root / "clean", ((120, 90), (80, 100))))
    make_windows(clean, root / "out", 12, side=48)
    yield root
    patch.undo()


def test_a_window_is_a_function_of_photographs_seed_and_number(folder):
    clean = CleanPhotos(folder / "clean")
    make_windows(clean, folder / "more", 18, side=48)
    make_windows(clean, folder / "other", 6, side=48, seed=1)
    first, more, other = (Windows(folder / name, None) for name in ("out", "more", "other"))
    assert (len(first), len(more)) == (12, 18)
    for i in range(12):
        assert first[i]["word"] == more[i]["word"]
        assert (first[i]["lq"] == more[i]["lq"]).all() and (first[i]["gt"] == more[i]["gt"]).all()
    assert any((first[i]["gt"] != other[i]["gt"]).any() for i in range(6))


def test_windows_of_plain_scenes_are_other_windows(folder):
    clean = CleanPhotos(folder / "clean")
    make_windows(clean, folder / "plain", 6, side=48, plain=1.0)
    make_windows(clean, folder / "half", 6, side=48, plain=0.5)
    plain, varied, half = (Windows(folder / name, None) for name in ("plain", "out", "half"))
    assert any((plain[i]["gt"] != varied[i]["gt"]).any() for i in range(6))
    alike = [[(half[i]["gt"] == w[i]["gt"]).all() for i in range(6)] for w in (plain, varied)]
    assert all(map(any, alike)) and all(map(any, zip(*alike, strict=True)))
    with pytest.raises(UsageError, match="use a new folder"):
        make_windows(clean, folder / "plain", 12, side=48)


def test_a_stopped_run_goes_on_and_keeps_what_is_there(folder):
    clean, out = CleanPhotos(folder / "clean"), folder / "stopped"
    make_windows(clean, out, 6, side=48)
    held = (out / "windows-00000.npy").stat().st_mtime_ns
    told = []
    assert make_windows(clean, out, 12, side=48, progress=told.append) == 12
    assert (out / "windows-00000.npy").stat().st_mtime_ns == held
    assert told == [1.0] and not list(out.glob("*.part"))


def test_other_settings_are_refused(folder):
    with pytest.raises(UsageError, match="use a new folder"):
        make_windows(CleanPhotos(folder / "clean"), folder / "out", 12, side=32)
    with pytest.raises(UsageError, match="holds no windows"):
        Windows(folder / "clean", 32)
    with pytest.raises(UsageError, match="48 px, crops of 64"):
        Windows(folder / "out", 64)


def test_crops_are_cut_from_both_pictures_alike(folder):
    whole = Windows(folder / "out", None)
    pairs = np.stack(
        [np.concatenate([s["lq"], s["gt"]]) for s in map(whole.__getitem__, range(12))]
    )
    views = np.lib.stride_tricks.sliding_window_view(pairs, (24, 24), axis=(2, 3))
    for index in range(8):
        sample = Windows(folder / "out", 24, turns=False)[index]
        crop = np.concatenate([sample["lq"], sample["gt"]])
        assert crop.shape == (6, 24, 24)
        corners = (views[..., 0, 0] == crop[:, 0, 0][None, :, None, None]).all(axis=1)
        found = {
            whole.words[i]
            for i, y, x in np.argwhere(corners)
            if np.array_equal(views[i, :, y, x], crop)
        }
        assert sample["word"] in found


@pytest.mark.parametrize("symmetries", [2, 4, 8])
def test_windows_are_turned_in_the_chosen_ways(folder, symmetries):
    whole = Windows(folder / "out", None)
    known = {
        turned(whole[i]["lq"].numpy().transpose(1, 2, 0), turn).tobytes(): turn
        for i in range(12)
        for turn in range(8)
    }
    drawn = Windows(folder / "out", 48, symmetries=symmetries)
    pictures = (drawn[i]["lq"].numpy().transpose(1, 2, 0) for i in range(100))
    assert {known[picture.tobytes()] for picture in pictures} == set(range(symmetries))


def test_words_are_those_of_the_classes(folder):
    words = json.loads((folder / "out" / "windows-00000.json").read_text())
    assert {part for word in words for part in word.split("+")} <= set(CLASSES)


def test_windows_of_some_words_and_a_share_of_clean_ones(folder):
    held = Windows(folder / "out", None).words
    word = next(w for w in held if w != "clean" and "+" not in w)
    drawn = Windows(folder / "out", 24, words=(word,), clean=0.0)
    assert {drawn[i]["word"] for i in range(40)} == {word}
    with pytest.raises(UsageError, match="no windows with unheard"):
        Windows(folder / "out", 24, words=("unheard",))
    if "clean" in held:
        drawn = Windows(folder / "out", 24, clean=1.0)
        assert {drawn[i]["word"] for i in range(20)} == {"clean"}


def test_windows_of_chosen_degradations_hold_no_other(folder):
    clean = CleanPhotos(folder / "clean")
    make_windows(clean, folder / "noise", 12, side=48, words=("noisy", "jpeg-compressed"))
    found = {part for word in Windows(folder / "noise", None).words for part in word.split("+")}
    assert "noisy" in found and found <= {"noisy", "jpeg-compressed", "clean"}
    with pytest.raises(UsageError, match="use a new folder"):
        make_windows(clean, folder / "noise", 12, side=48)


def test_a_word_that_is_given_more_often_is_drawn_more_often(folder):
    make_windows(
        CleanPhotos(folder / "clean"),
        folder / "often",
        36,
        side=48,
        words=["noisy"] * 9 + ["rainy"],
    )
    held = Windows(folder / "often", None).words
    noise, rain = (sum(word in w for w in held) for word in ("noisy", "rainy"))
    assert noise > 4 * rain > 0  # 9 to 1
