import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from pellucid.data.benchmarks import BENCHMARKS
from pellucid.data.check import check_folder

from .making import dataset, photos, picture, save
from .test_leaks import scene


def kinds(report):
    return [(p.kind, p.path.relative_to(report.root).as_posix()) for p in report.problems]


def test_a_good_folder_has_no_problems(tmp_path):
    report = check_folder(dataset(tmp_path, {"hazy": 2, "noisy": 1}))
    assert report.ok and report.counts == {"hazy": 2, "noisy": 1}


def test_every_kind_of_problem_is_found(tmp_path):
    root = dataset(tmp_path, {"hazy": 4, "noisy": 1})
    (root / "hazy/GT/000.png").unlink()
    save(root / "hazy/LQ/001.png", picture(0, 40, 47))
    whole = (root / "hazy/LQ/002.png").read_bytes()
    (root / "hazy/LQ/002.png").write_bytes(whole[: len(whole) // 2])
    (root / "rainy" / "LQ").mkdir(parents=True)
    report = check_folder(root)
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
    assert check_folder(folder).counts == {"clean pictures": 3}
    (folder / "bad.jpg").write_bytes(b"")
    assert kinds(check_folder(folder)) == [("unreadable", "bad.jpg")]


def test_an_empty_folder_is_a_problem(tmp_path):
    assert kinds(check_folder(tmp_path)) == [("empty", ".")]


def test_a_folder_without_access_is_named_and_the_rest_is_checked(tmp_path, monkeypatch, caplog):
    root = dataset(tmp_path / "pairs", {"hazy": 2, "rainy": 1, "snowy": 1})
    save(root / "snowy/LQ/more/a.png", picture(0))
    closed, scandir = {root / "rainy", root / "snowy/LQ/more"}, os.scandir

    def guarded(path):
        if Path(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    report = check_folder(root)
    assert report.counts == {"hazy": 2, "snowy": 1}
    assert {(p.kind, p.path) for p in report.problems} == {("unreadable", path) for path in closed}
    assert all(f"left out {str(path)!r}: Permission denied" in caplog.messages for path in closed)


def test_the_tables_name_every_problem(tmp_path):
    from rich.console import Console

    from pellucid.cli.data import tables

    root = dataset(tmp_path, {"hazy": 2})
    (root / "hazy/LQ/000.png").unlink()
    (root / "[red]\x1b[2J/LQ").mkdir(parents=True)
    console = Console(width=120)
    with console.capture() as captured:
        for table in tables(check_folder(root)):
            console.print(table)
    assert "unpaired" in captured.get() and "hazy/GT/000.png" in captured.get()
    assert "[red]\\x1b[2J" in captured.get() and "\x1b" not in captured.get()


def outdoor_rain(root):
    """Small stand-ins: scenes 301 to 303 are in the training pictures, 351 is not."""
    test, train = root / "test/Outdoor-Rain-Test1", root / "train"
    for number in (301, 302, 303, 351):
        clean = scene(number)
        save(test / f"gt/im_{number:04}.png", clean)
        for strength in (80, 85):
            rainy = np.clip(
                clean + np.random.default_rng(strength).integers(0, 60, clean.shape), 0, 255
            )
            save(test / f"input/im_{number:04}_s{strength}_a04.png", rainy.astype(np.uint8))
    for number in (1, 2, 301, 302, 303):
        image = Image.fromarray(scene(number))
        path = train / f"gt/im_{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path if number != 302 else path.with_suffix(".jpg"), quality=50)
    return replace(BENCHMARKS["Outdoor-Rain-Test1"], count=8), train


def test_the_leak_of_outdoor_rain_is_found(tmp_path):
    row, train = outdoor_rain(tmp_path)
    assert check_folder(tmp_path, benchmark=row).counts == {"Outdoor-Rain-Test1": 8}
    report = check_folder(tmp_path, benchmark=row, train=[train])
    folder = "test/Outdoor-Rain-Test1/gt"
    assert kinds(report) == [("leak", f"{folder}/im_{n:04}.png") for n in (301, 302, 303)]
    assert "im_0302.jpg" in report.problems[1].detail
    assert "the same picture" in report.problems[0].detail


def test_what_is_wrong_with_a_benchmark_is_listed(tmp_path):
    row, _ = outdoor_rain(tmp_path)
    folder = tmp_path / "test/Outdoor-Rain-Test1"
    (folder / "gt/im_0301.png").unlink()
    save(folder / "gt/im_0999.png", scene(999))
    save(folder / "input/im_0302_s80_a04.png", picture(0, 40, 47))
    report = check_folder(tmp_path, benchmark=row)
    assert report.counts == {"Outdoor-Rain-Test1": 5}
    assert [kind for kind, _ in kinds(report)] == ["wrong count", *["unpaired"] * 3, "unequal size"]
    assert report.problems[0].detail == "6 cases, there must be 8"
    assert report.problems[1].detail == "no picture of this name in gt"
    assert report.problems[3].detail == "no picture of this name in input"


def test_a_benchmark_without_inputs_is_counted_and_opened(tmp_path):
    row = replace(BENCHMARKS["CBSD68"], count=3)
    photos(tmp_path / "test/denoise/bsd68")
    assert check_folder(tmp_path, benchmark=row).ok
    (tmp_path / "test/denoise/bsd68/0.png").write_bytes(b"")
    assert kinds(check_folder(tmp_path, benchmark=row)) == [
        ("unreadable", "test/denoise/bsd68/0.png")
    ]


def test_leaks_are_found_in_any_layout(tmp_path):
    root = dataset(tmp_path / "data", {"hazy": 3})
    save(tmp_path / "train" / "x.png", scene(1))
    assert check_folder(root, train=[tmp_path / "train"]).ok
    (tmp_path / "train" / "y.png").write_bytes((root / "hazy/GT/001.png").read_bytes())
    assert kinds(check_folder(root, train=[tmp_path / "train"])) == [("leak", "hazy/GT/001.png")]


def test_that_nothing_leaks_is_said_with_the_numbers(tmp_path):
    for number, name in enumerate(("own/a.png", "own/b.png", "train/a.png")):
        save(tmp_path / name, scene(number))
    report = check_folder(tmp_path / "own", train=[tmp_path / "train"])
    assert report.ok
    assert report.notes == ["no leak: of 2 clean pictures, none is among 1 training picture"]
    assert check_folder(tmp_path / "own").notes == []
    assert check_folder(tmp_path / "own", train=[tmp_path / "own"]).notes == []
