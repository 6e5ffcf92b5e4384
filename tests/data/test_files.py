from pellucid.data.files import pictures

from .making import picture, save


def test_pictures_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.png", "a/2.jpg", "a/1.png", ".cache/c.png", ".d.png"):
        save(tmp_path / name, picture(0))
    (tmp_path / "notes.txt").write_text("not a picture")
    found = [p.relative_to(tmp_path).as_posix() for p in pictures(tmp_path)]
    assert found == ["a/1.png", "a/2.jpg", "b.png"]
