from pellucid.data.check import check, tables

from .making import dataset, photos, picture, save


def kinds(report):
    return [(p.kind, p.path.relative_to(report.root).as_posix()) for p in report.problems]


def test_a_good_folder_has_no_problems(tmp_path):
    report = check(dataset(tmp_path, {"hazy": 2, "noisy": 1}))
    assert report.ok and report.counts == {"hazy": 2, "noisy": 1}


def test_every_kind_of_problem_is_found(tmp_path):
    root = dataset(tmp_path, {"hazy": 4, "noisy": 1})
    (root / "hazy/GT/000.png").unlink()
    save(root / "hazy/LQ/001.png", picture(0, 40, 47))
    whole = (root / "hazy/LQ/002.png").read_bytes()
    (root / "hazy/LQ/002.png").write_bytes(whole[: len(whole) // 2])
    (root / "rainy" / "LQ").mkdir(parents=True)
    report = check(root)
    assert not report.ok
    assert report.counts == {"hazy": 1, "noisy": 1, "rainy": 0}
    assert sorted(kinds(report)) == [
        ("empty", "rainy"),
        ("empty", "rainy/GT"),
        ("unequal size", "hazy/LQ/001.png"),
        ("unpaired", "hazy/LQ/000.png"),
        ("unreadable", "hazy/LQ/002.png"),
    ]
    sizes = next(p.detail for p in report.problems if p.kind == "unequal size")
    assert sizes == "47x40, but 001.png is 48x40"


def test_a_folder_of_clean_pictures_is_opened_too(tmp_path):
    folder = photos(tmp_path)
    assert check(folder).counts == {"clean pictures": 3}
    (folder / "bad.jpg").write_bytes(b"")
    assert kinds(check(folder)) == [("unreadable", "bad.jpg")]


def test_an_empty_folder_is_a_problem(tmp_path):
    assert kinds(check(tmp_path)) == [("empty", ".")]


def test_the_tables_name_every_problem(tmp_path):
    from rich.console import Console

    root = dataset(tmp_path, {"hazy": 2})
    (root / "hazy/LQ/000.png").unlink()
    console = Console(width=60)
    with console.capture() as captured:
        for table in tables(check(root)):
            console.print(table)
    assert "unpaired" in captured.get() and "hazy/GT/000.png" in captured.get()
