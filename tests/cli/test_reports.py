import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.degradations import CLASSES

from .pictures import files, picture


def test_before_and_after_side_by_side(folder, run):
    picture("photo.png", size=(200, 120))
    # half restored: beside what random weights make, JPEG's ringing would reach the divider
    options = ("--compare", "--strength", 0.5)
    assert run("restore", "photo.png", "-o", "out/clean.png", *options)[0] == 0
    assert files("out") == ["clean.png", "clean.png.compare.jpg"]
    with Image.open("out/clean.png.compare.jpg") as image:
        assert image.size == (404, 120)
        pixels = np.asarray(image).astype(int)
        assert (pixels[:, 201:203] > 230).all()  # the divider
        plate = pixels[2:8, 2:20]
        assert (plate.max(axis=(0, 1)) > 180).any() and plate.mean() < 140  # the label
        before = np.asarray(Image.open("photo.png")).astype(int)
        assert np.abs(pixels[60:, :190] - before[60:, :190]).mean() < 12


def test_large_transparent_and_tiny_pictures_can_be_compared():
    from pellucid.imaging.compare import side_by_side
    from pellucid.imaging.io import Photo

    large = Photo(np.zeros((1000, 3300, 3), np.float32), alpha=np.zeros((1000, 3300), np.float32))
    shown = side_by_side(large, large)
    assert shown.width == 2 * 1600 + 4 and shown.pixels[-1].min() == 1
    small = Photo(np.zeros((1, 1, 3), np.float32), grey=True)
    assert side_by_side(small, small).width == 6


def test_a_report_says_what_was_found_and_done(folder, run):
    picture("photo.png")
    options = ("--report", "json", "--preset", "fast", "--seed", 7)
    assert run("restore", "photo.png", "-o", "out", *options, model="sde")[0] == 0
    report = json.loads(Path("out/photo.png.report.json").read_text())
    assert set(report["probabilities"]) == set(CLASSES)
    assert report["model"] == "sde" and report["settings"]["seed"] == 7
    assert report["settings"]["preset"] == "fast" and report["seconds"] > 0
    assert (report["width"], report["height"]) == (32, 24)
    assert report["versions"]["torch"] == torch.__version__
    assert isinstance(report["words"], list)


def test_json_is_one_line_a_picture_and_quiet_is_silent(folder, run):
    picture("in/a.png")
    picture("in/b.png")
    status, out, err = run("restore", "in", "-o", "out", "--json", "--quiet")
    assert status == 0 and err == ""
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["output"] for row in rows] == ["out/a.png", "out/b.png"]
