import pickle

import numpy as np
import pytest

from pellucid.data.photos import CleanPhotos
from pellucid.errors import ImageError, PellucidError, UsageError

from .making import photos, picture, save


def test_photographs_come_back_as_they_were(tmp_path):
    clean = CleanPhotos(photos(tmp_path / "clean"))
    assert clean.files == ["0.png", "1.png", "2.png"]
    assert all(np.array_equal(clean[i], picture(i, *clean.sizes[i])) for i in range(3))
    assert np.array_equal(clean[-1], clean[2])
    with pytest.raises(IndexError):
        clean[3]


def test_pixels_are_decoded_once(tmp_path, monkeypatch):
    folder = photos(tmp_path / "clean")
    CleanPhotos(folder)
    monkeypatch.setattr("pellucid.data.photos.read_pixels", lambda path: pytest.fail(str(path)))
    assert CleanPhotos(folder)[1].shape == (64, 30, 3)


def test_a_changed_folder_is_decoded_anew_and_the_old_pixels_go(tmp_path):
    folder, cache = photos(tmp_path / "clean"), tmp_path / "cache"
    CleanPhotos(folder, cache)
    save(folder / "sub" / "3.png", picture(3))
    assert len(CleanPhotos(folder, cache)) == 4
    assert len(list(cache.glob("*.bin"))) == 1


def test_two_folders_share_a_cache(tmp_path):
    one, two = (photos(tmp_path / name) for name in ("train", "held_out"))
    CleanPhotos(one, tmp_path / "cache")
    CleanPhotos(two, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.bin"))) == 2


def test_a_copy_for_a_worker_carries_no_pixels(tmp_path):
    clean = CleanPhotos(photos(tmp_path / "clean"))
    expected = clean[0].copy()
    carried = pickle.dumps(clean)
    assert len(carried) < 2000
    assert np.array_equal(pickle.loads(carried)[0], expected)


def test_pixels_cannot_be_changed_by_accident(tmp_path):
    with pytest.raises(ValueError):
        CleanPhotos(photos(tmp_path / "clean"))[0][:] = 0


def test_a_broken_photograph_is_named_and_nothing_is_left_behind(tmp_path):
    folder = photos(tmp_path / "clean")
    (folder / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        CleanPhotos(folder, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no pictures"):
        CleanPhotos(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        CleanPhotos(tmp_path / "absent")


def test_a_cache_that_cannot_be_written_is_explained(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PellucidError, match="cache="):
        CleanPhotos(photos(tmp_path / "clean"), tmp_path / "file" / "cache")


def test_where_a_choice_leaves_no_photograph_the_options_that_chose_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"of 3 photographs none is left by .*--data\.held-out"):
        CleanPhotos(photos(tmp_path)).only(lambda name: False)
