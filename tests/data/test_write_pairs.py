import numpy as np
import pytest

from pellucid.data.check import check_folder
from pellucid.data.files import read_pixels
from pellucid.data.folders import PairedFolders
from pellucid.data.write_pairs import write_pairs
from pellucid.errors import ImageError, UsageError

from .making import photos, picture, save


def test_what_is_written_is_a_dataset(tmp_path):
    clean, out = photos(tmp_path / "clean"), tmp_path / "out"
    assert write_pairs(clean, out, ["noisy", "rainy+jpeg-compressed"]) == {
        "noisy": 3,
        "rainy+jpeg-compressed": 3,
    }
    assert check_folder(out).ok
    assert np.array_equal(read_pixels(out / "noisy/GT/1.png"), picture(1, 64, 30))
    assert PairedFolders(out, crop=16)[1]["word"] == "rainy+jpeg-compressed"


def test_damage_depends_on_seed_word_and_name_alone(tmp_path):
    clean = photos(tmp_path / "clean")
    write_pairs(clean, tmp_path / "a", ["noisy"])
    save(clean / "0-more.png", picture(9))
    write_pairs(clean, tmp_path / "b", ["rainy", "noisy"])
    write_pairs(clean, tmp_path / "c", ["noisy"], seed=1)
    a, b, c = (read_pixels(tmp_path / n / "noisy/LQ/1.png") for n in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_copies_differ_in_their_damage_and_the_first_is_the_one_made_alone(tmp_path):
    clean = photos(tmp_path / "clean")
    assert write_pairs(clean, tmp_path / "a", ["noisy"], window=24, copies=2) == {"noisy": 6}
    write_pairs(clean, tmp_path / "b", ["noisy"], window=24)
    first, second, alone = (
        read_pixels(tmp_path / name)
        for name in ("a/noisy/LQ/1.png", "a/noisy/LQ/1-2.png", "b/noisy/LQ/1.png")
    )
    assert np.array_equal(first, alone) and not np.array_equal(first, second)
    with pytest.raises(UsageError, match="0 copies"):
        write_pairs(clean, tmp_path / "c", ["noisy"], copies=0)


def test_severity_is_a_range(tmp_path):
    flat = np.full((64, 64, 3), 128, np.uint8)
    for i in range(6):
        save(tmp_path / "clean" / f"{i}.png", flat)
    write_pairs(tmp_path / "clean", tmp_path / "out", ["noisy"], (0.1, 0.9))
    sigmas = [read_pixels(tmp_path / f"out/noisy/LQ/{i}.png").std() for i in range(6)]
    assert max(sigmas) > 1.5 * min(sigmas)


def test_nothing_is_replaced(tmp_path):
    clean = photos(tmp_path / "clean")
    write_pairs(clean, tmp_path / "out", ["noisy"])
    with pytest.raises(ImageError, match="exists already"):
        write_pairs(clean, tmp_path / "out", ["noisy"])


@pytest.mark.parametrize(
    ("words", "severity", "message"),
    [
        (["noisey"], (0.5, 0.5), "unknown degradation 'noisey'"),
        (["rainy+fog"], (0.5, 0.5), "unknown degradation 'fog'"),
        (["noisy"], (0.5, 1.5), "severity"),
        (["noisy"], (0.9, 0.1), "severity"),
        ([], (0.5, 0.5), "no degradation"),
    ],
)
def test_senseless_wishes_are_refused_before_anything_is_written(
    tmp_path, words, severity, message
):
    with pytest.raises(UsageError, match=message):
        write_pairs(photos(tmp_path / "clean"), tmp_path / "out", words, severity)
    assert not (tmp_path / "out").exists()


def test_names_that_would_collide_are_refused(tmp_path):
    save(tmp_path / "a.png", picture(0))
    save(tmp_path / "a.jpg", picture(0))
    with pytest.raises(UsageError, match=r"a\.jpg and .*a\.png"):
        write_pairs(tmp_path, tmp_path / "out", ["noisy"])
