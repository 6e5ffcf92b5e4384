import pytest

from pellucid.data.files import pairs, pictures, types_of
from pellucid.errors import UsageError

from .making import dataset, picture, save


def test_types_come_in_the_official_order_then_by_name(tmp_path):
    dataset(tmp_path, {"snowy": 1, "blurred": 1, "hazy": 1})
    assert list(types_of(tmp_path)) == ["hazy", "snowy", "blurred"]


def test_a_single_pair_of_folders_is_a_type(tmp_path):
    dataset(tmp_path, {"hazy": 1})
    assert types_of(tmp_path / "hazy") == {"hazy": tmp_path / "hazy"}


def test_pictures_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.png", "a/2.jpg", "a/1.png", ".cache/c.png", ".d.png"):
        save(tmp_path / name, picture(0))
    (tmp_path / "notes.txt").write_text("not a picture")
    found = [p.relative_to(tmp_path).as_posix() for p in pictures(tmp_path)]
    assert found == ["a/1.png", "a/2.jpg", "b.png"]


def test_pairs_go_by_name_whatever_the_format(tmp_path):
    for name in ("LQ/1.jpg", "LQ/2.png", "GT/1.png", "GT/2.png", "GT/3.png"):
        save(tmp_path / name, picture(0))
    matched, alone = pairs(tmp_path)
    assert [(p.lq.name, p.gt.name) for p in matched] == [("1.jpg", "1.png"), ("2.png", "2.png")]
    assert alone == [tmp_path / "GT/3.png"]


def test_pairs_go_by_order_where_no_name_fits(tmp_path):
    for name in ("LQ/rain-1.png", "LQ/rain-2.png", "GT/norain-1.png", "GT/norain-2.png"):
        save(tmp_path / name, picture(0))
    matched, alone = pairs(tmp_path)
    assert [p.gt.name for p in matched] == ["norain-1.png", "norain-2.png"] and not alone
    save(tmp_path / "GT" / "norain-3.png", picture(0))
    matched, alone = pairs(tmp_path)
    assert not matched and len(alone) == 5


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="absent"):
        types_of(tmp_path / "absent")
