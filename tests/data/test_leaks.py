import numpy as np
import pytest
from PIL import Image

from pellucid.data.files import pictures
from pellucid.data.leaks import NEAR, find_leaks, signs
from pellucid.errors import ImageError

from .making import save


def scene(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """Smooth like a photograph: random colours at five scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for cells in (3, 6, 12, 24, 48):
        small = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8))
        total += np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)) / cells
    return np.uint8(255 * (total - total.min()) / np.ptp(total))


@pytest.fixture
def folders(tmp_path):
    """Ten test scenes; a training folder of twenty others."""
    for i in range(10):
        save(tmp_path / "test" / f"{i}.png", scene(i))
    for i in range(20):
        save(tmp_path / "train" / f"{100 + i}.png", scene(100 + i))
    return tmp_path


def leaks(folders):
    return find_leaks(*(pictures(folders / name) for name in ("test", "train")))


def test_other_pictures_are_no_leaks(folders):
    assert leaks(folders) == []


def test_copies_are_found_however_they_were_saved(folders):
    images = [Image.fromarray(scene(i)) for i in range(5)]
    train = folders / "train"
    images[0].save(train / "a.bmp")
    images[1].save(train / "b.jpg", quality=50)
    images[2].resize((64, 48), Image.Resampling.BICUBIC).save(train / "c.jpg", quality=50)
    images[3].transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(train / "d.jpg", quality=50)
    images[4].crop((0, 0, 128, 94)).save(train / "e.png")
    found = leaks(folders)
    assert [(x.truth.name, x.train.name, x.mirrored) for x in found] == [
        ("0.png", "a.bmp", False),
        ("1.png", "b.jpg", False),
        ("2.png", "c.jpg", False),
        ("3.png", "d.jpg", True),
        ("4.png", "e.png", False),
    ]
    assert found[0].distance == 0 and all(x.distance <= NEAR for x in found)


def test_the_hash_of_a_mirrored_picture_is_that_hash_with_known_signs_changed(tmp_path):
    pixels = scene(0)
    one = signs(save(tmp_path / "one.png", pixels)).tolist()
    other = signs(save(tmp_path / "other.png", pixels[:, ::-1])).tolist()
    horizontal = [k % 16 for k in range(1, 256)]
    assert other == [-s if k % 2 else s for s, k in zip(one, horizontal, strict=True)]


def test_the_hash_holds_the_signs_of_a_discrete_cosine_transform(tmp_path):
    transform = pytest.importorskip("scipy.fft").dctn
    path = save(tmp_path / "one.png", scene(0, 32, 32))
    luma = np.asarray(Image.open(path).convert("L"), float)
    expected = np.sign(transform(luma)[:16, :16].ravel()[1:])
    assert np.array_equal(signs(path), expected)


def test_a_truth_of_many_cases_is_one_leak(folders):
    truth = folders / "test" / "0.png"
    assert len(find_leaks([truth] * 3, [truth])) == 1


def test_a_damaged_training_picture_is_named(folders):
    (folders / "train" / "bad.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"bad\.png"):
        leaks(folders)
