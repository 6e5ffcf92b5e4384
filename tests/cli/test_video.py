import json
from pathlib import Path

import pytest

from video.clips import film, pictures, times

from .pictures import picture


def test_a_film_is_restored_and_what_was_found_is_printed(folder, run):
    film("a.mp4", pictures(12, cut=6), sound=True)
    status, out, err = run("restore", "a.mp4", "-o", "b.mp4", "--json", "--steady")
    record = json.loads(out)
    assert status == 0 and record["ok"] and record["frames"] == 12
    assert [(s["first"], s["last"]) for s in record["shots"]] == [(0, 6), (6, 12)]
    assert "a.mp4 -> b.mp4  (12 frames, 2 shots, " in err and "frames 6:12: " in err
    assert times("b.mp4") == times("a.mp4")


def test_films_go_into_a_folder_and_part_of_one_into_a_file(folder, run):
    film("a.mp4")
    film("b.mkv")
    assert run("restore", "a.mp4", "b.mkv", "-q") == (0, "", "")
    assert Path("restored/a.mp4").exists() and Path("restored/b.mkv").exists()
    assert run("restore", "a.mp4", "-o", "c.mp4", "--frames", "3:7")[0] == 0
    assert len(times("c.mp4")) == 4
    status, _, err = run("restore", "a.mp4", "b.mkv")
    assert status == 2 and "already" in err
    assert "2 results existed already" in run("restore", "a.mp4", "b.mkv", "--skip-existing")[2]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("a.mp4", "photo.png"), "photo.png is no film"),
        (("a.mp4", "-o", "b.xyz"), "choose one of .mp4"),
        (("a.mp4", "-o", "-"), "cannot go to standard output"),
        (("a.mp4", "-o", "a.mp4"), "would overwrite the input"),
        (("a.mp4", "--compare"), "--compare is for pictures"),
        (("a.mp4", "--frames", "x"), "is not of the form A:B"),
        (("a.mp4", "--frames", "50:60"), "has 12 frames"),
        (("photo.png", "--steady"), "are for films"),
        (("none.mp4",), "there is no such file"),
        (("a.mp4", "-o", ""), "(-o) is an empty text"),
        (("a.mp4", "-o", "photo.png/b.mp4"), "photo.png is a file, no folder"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(folder, run, argv, sentence):
    film("a.mp4")
    picture("photo.png")
    status, _, err = run("restore", *argv)
    assert status == 2 and sentence in err
    assert sorted(p.name for p in folder.iterdir()) == ["a.mp4", "photo.png"]


def test_a_broken_film_is_listed_and_the_others_go_on(folder, run):
    film("a.mp4")
    Path("broken.mp4").write_bytes(b"nothing")
    status, _, err = run("restore", "broken.mp4", "a.mp4")
    assert status == 1 and "not restored: broken.mp4: not a film" in err
    assert Path("restored/a.mp4").exists()
