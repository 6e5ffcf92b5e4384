from collections import Counter

import pytest
import torch

from pellucid.data.folders import CaptionedPairs, PairedFolders
from pellucid.data.table import CaptionWriter
from pellucid.errors import ImageError, UsageError

from .making import dataset, picture, save


def aligned(sample):
    """LQ is GT inverted (tests.data.make)."""
    return torch.allclose(sample["lq"], 1 - sample["gt"], atol=1 / 254)


def test_types_are_balanced_whatever_their_numbers(tmp_path):
    data = PairedFolders(dataset(tmp_path, {"hazy": 1, "noisy": 3, "rainy": 2}), crop=16)
    words = [data[i]["word"] for i in range(12)]
    assert Counter(words) == {"hazy": 4, "noisy": 4, "rainy": 4}
    assert words[:3] == ["hazy", "noisy", "rainy"] and len(data) == 6


def test_windows_and_turns_are_the_same_in_both(tmp_path):
    data = PairedFolders(dataset(tmp_path, {"hazy": 2}), crop=16)
    samples = [data[i] for i in range(16)]
    assert all(aligned(s) and s["lq"].shape == (3, 16, 16) for s in samples)
    assert len({s["lq"].numpy().tobytes() for s in samples}) == 16


def test_a_sample_depends_on_seed_and_index_alone(tmp_path):
    root = dataset(tmp_path, {"hazy": 2, "noisy": 2})
    first = PairedFolders(root, crop=16, seed=1)[5]
    assert torch.equal(PairedFolders(root, crop=16, seed=1)[5]["lq"], first["lq"])
    assert not torch.equal(PairedFolders(root, crop=16, seed=2)[5]["lq"], first["lq"])


def test_pictures_smaller_than_the_window_are_extended_alike(tmp_path):
    sample = PairedFolders(dataset(tmp_path, {"hazy": 1}, 20, 70), crop=64)[0]
    assert sample["lq"].shape == (3, 64, 64) and aligned(sample)


def test_validation_takes_every_pair_once_and_whole(tmp_path):
    root = dataset(tmp_path, {"hazy": 1, "noisy": 3})
    data = PairedFolders(root, crop=None, draw="each", turns=False)
    samples = [data[i] for i in range(len(data))]
    assert [s["word"] for s in samples] == ["hazy", "noisy", "noisy", "noisy"]
    assert len({s["gt"].numpy().tobytes() for s in samples}) == 4
    assert samples[0]["gt"].shape == (3, 40, 48)
    assert torch.equal(data[4]["gt"], samples[0]["gt"])


def test_words_can_be_chosen(tmp_path):
    root = dataset(tmp_path, {"hazy": 1, "noisy": 1})
    assert PairedFolders(root, ["noisy"], crop=8)[0]["word"] == "noisy"
    with pytest.raises(UsageError, match=r"no 'snowy' in it; there are: hazy, noisy"):
        PairedFolders(root, ["snowy"])


def test_wrong_folders_are_explained(tmp_path):
    with pytest.raises(UsageError, match="LQ"):
        PairedFolders(tmp_path)
    (tmp_path / "hazy" / "LQ").mkdir(parents=True)
    with pytest.raises(UsageError, match="data check"):
        PairedFolders(tmp_path)


def test_unequal_sizes_are_an_error_with_both_names(tmp_path):
    root = dataset(tmp_path, {"hazy": 1})
    save(root / "hazy" / "LQ" / "000.png", picture(0, 40, 47))
    with pytest.raises(ImageError, match=r"LQ.*GT.*47x40 and 48x40.*data check"):
        PairedFolders(root, crop=8)[0]


@pytest.fixture
def table(tmp_path):
    root = dataset(tmp_path, {"hazy": 3, "noisy": 1}, 60, 90)
    writer = CaptionWriter(root / "captions.csv")
    rows = [(f"hazy/LQ/{i:03}.png", f"a sign: number {i}", "hazy") for i in range(3)]
    writer.append([*rows, (str(root / "noisy" / "LQ" / "000.png"), "a cat", "noisy")])
    return root / "captions.csv"


def test_captions_go_with_their_pictures(table):
    data = CaptionedPairs(table, size=32)
    assert len(data) == 4
    sample = data[1]
    assert (sample["caption"], sample["word"]) == ("a sign: number 1", "hazy")
    assert sample["lq"].shape == sample["gt"].shape == (3, 32, 32) and aligned(sample)
    assert data[3]["word"] == "noisy"


def test_without_a_random_crop_the_centre_square_is_seen(table):
    one, two = (CaptionedPairs(table, size=60, seed=s, scale=(1, 1))[0] for s in (0, 1))
    assert torch.equal(one["gt"], two["gt"])
    whole = PairedFolders(table.parent, crop=None, draw="each", turns=False)[0]["gt"]
    assert torch.equal(one["gt"], whole[:, :, 15:75])


def test_a_table_of_other_pictures_is_refused(table):
    CaptionWriter(table).append([("hazy/LQ/999.png", "gone", "hazy")])
    with pytest.raises(UsageError, match=r"999\.png"):
        CaptionedPairs(table)


def test_where_a_choice_leaves_no_pair_the_options_that_chose_are_named(tmp_path):
    root = dataset(tmp_path, {"hazy": 3, "rainy": 2})
    with pytest.raises(UsageError, match=r"of 3 pictures of 'hazy' none is left by --data\.fold"):
        PairedFolders(root, keep=lambda name: False)
