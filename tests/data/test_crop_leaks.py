import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data.check import check_folder as check
from pellucid.data.files import pictures
from pellucid.data.leaks import find_leaks
from pellucid.errors import ImageError

from .making import save

pytest.importorskip("cv2")

from pellucid.data.crop_leaks import AGREEING, find_crops

TRAIN, SETS = os.environ.get("PELLUCID_TRAIN"), os.environ.get("PELLUCID_SETS")


def scene(seed: int) -> np.ndarray:
    """Overlapping rectangles of random colours: corners that are found again."""
    rng = np.random.default_rng(seed)
    pixels = np.full((480, 640, 3), 128, np.uint8)
    for _ in range(250):
        top, left, height, width = rng.integers((0, 0, 8, 8), (470, 630, 90, 90))
        pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    return pixels


@pytest.fixture
def train(tmp_path):
    for seed in range(4):
        save(tmp_path / "train" / f"{seed}.png", scene(seed))
    return tmp_path / "train"


def test_parts_are_found_rescaled_recompressed_and_mirrored(train, tmp_path):
    window = Image.fromarray(scene(0)).crop((100, 60, 356, 316))
    tests = tmp_path / "test"
    tests.mkdir()
    window.save(tests / "a.png")
    window.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tests / "b.png")
    Image.fromarray(scene(2)).resize((320, 240)).crop((30, 0, 286, 240)).save(
        tests / "c.jpg", quality=60
    )
    save(tests / "d.png", scene(7)[:256, :256])
    save(tests / "e.png", np.full((64, 64, 3), 90, np.uint8))
    leaks = find_crops(pictures(tests), pictures(train))
    assert [(x.truth.name, x.train.name, x.mirrored) for x in leaks] == [
        *(("a.png", "0.png", False), ("b.png", "0.png", True), ("c.jpg", "2.png", False))
    ]
    assert all(leak.agreeing >= 2 * AGREEING for leak in leaks)
    assert find_leaks(pictures(tests), pictures(train)) == []  # hashes of whole pictures are blind


def test_nothing_is_found_in_nothing(train, tmp_path):
    (truth,) = pictures(train)[:1]
    assert find_crops([], [truth]) == find_crops([truth], []) == []
    flat = save(tmp_path / "flat.png", np.full((64, 64, 3), 90, np.uint8))
    assert find_crops([flat], [flat]) == []


def test_a_picture_that_cannot_be_read_is_named(train):
    (train / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        find_crops([train / "0.png"], pictures(train))


def test_a_check_of_sets_lists_parts_of_training_pictures(train, tmp_path):
    sets = tmp_path / "sets"
    save(sets / "noise/gt/0.png", scene(1)[100:356, 200:456])
    save(sets / "noise/lq/0.png", scene(1)[100:356, 200:456] // 2)
    save(sets / "noise/gt/1.png", scene(8)[:256, :256])
    save(sets / "noise/lq/1.png", scene(8)[:256, :256] // 2)
    save(sets / "real/lq/0.png", scene(3)[100:356, 200:456])
    assert check(sets, train=[train]).ok
    report = check(sets, train=[train], crops=True)
    assert report.counts == {"noise": 2, "real": 1}
    found = [(p.kind, p.path.relative_to(sets).as_posix()) for p in report.problems]
    assert found == [("leak", "noise/gt/0.png"), ("leak", "real/lq/0.png")]
    assert f"part of {train / '1.png'}" in report.problems[0].detail


@pytest.mark.skipif(
    not (TRAIN and SETS), reason="PELLUCID_TRAIN: training pictures, PELLUCID_SETS: SET/{lq,gt}"
)
def test_no_training_picture_nor_a_part_of_it_validates():
    train = [Path(folder) for folder in TRAIN.split(os.pathsep)]
    report = check(SETS, train=train, crops=True)
    assert [f"{p.path}: {p.detail}" for p in report.problems if p.kind == "leak"] == []
