import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import forked
from pellucid import cli
from pellucid.cli.progress import _found
from processes import Process

from .pictures import files, picture

HERE = Path(__file__).parents[1]
SOURCE = Path(cli.__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


# one picture -----------------------------------------------------------------


def test_one_file_to_one_file(folder, run):
    picture("photo.png")
    status, out, err = run("restore", "photo.png", "-o", "clean.png")
    assert (status, out) == (0, "") and "photo.png -> clean.png" in err
    with Image.open("clean.png") as image:
        assert image.size == (32, 24)
        assert (np.asarray(image) != np.asarray(Image.open("photo.png"))).any()


def test_the_default_output_is_the_folder_restored(folder, run):
    picture("photo.jpg")
    assert run("restore", "photo.jpg")[0] == 0
    assert files(folder) == ["photo.jpg", "restored/photo.jpg"]


def test_an_existing_folder_or_a_name_without_suffix_is_a_folder(folder, run):
    picture("photo.png")
    (folder / "album.png").mkdir()
    assert run("restore", "photo.png", "-o", "album.png")[0] == 0
    assert run("restore", "photo.png", "-o", "v1.2")[0] == 0
    assert files(folder) == ["album.png/photo.png", "photo.png", "v1.2/photo.png"]


def test_one_seed_gives_one_file(folder, run):
    picture("photo.png")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        options = ("--preset", "fast", "--seed", seed)
        assert run("restore", "photo.png", "-o", f"{name}.png", *options, model="sde")[0] == 0
    a, b, c = (Path(f"{name}.png").read_bytes() for name in "abc")
    assert a == b != c


def test_words_that_are_told_guide_and_are_reported(folder, run):
    picture("photo.png")
    status, out, _ = run("restore", "photo.png", "-o", "a.png", "--words", "hazy, noisy", "--json")
    assert status == 0 and json.loads(out)["words"] == ["hazy", "noisy"]
    assert run("restore", "photo.png", "-o", "b.png", "--words", "snowy")[0] == 0
    assert Path("a.png").read_bytes() != Path("b.png").read_bytes()


def test_the_map_of_the_damage_lies_beside_the_result(folder, run, weights):
    picture("photo.png")
    options = ("-o", "out.png", "--map")
    status, _, err = run("restore", "photo.png", *options)
    assert status == 2 and "net has no map of the damage" in err and not Path("out.png").exists()
    assert run("restore", "photo.png", *options, model="weather")[0] == 0
    with Image.open("out.png.map.jpg") as image:
        assert image.size == (32, 24) and image.mode == "RGB"


def test_auto_goes_to_the_model_that_covers_the_damage_and_says_so(
    folder, run, monkeypatch, weights
):
    from pellucid import zoo

    picture("photo.png")

    def row(name, **more):
        file, tower = (zoo.ShippedFile(str(weights / f"{n}.safetensors")) for n in (name, "tower"))
        return zoo.ModelEntry(name, "", file, tower, **more)

    monkeypatch.setattr(zoo, "DEFAULT", "net")
    rows = {"net": row("net"), "weather": row("weather", covers=("hazy", "rainy"))}
    monkeypatch.setattr(zoo, "MODELS", rows)
    for words, model in (("hazy", "weather"), ("hazy,noisy", "net")):
        out = f"{model}.png"
        argv = ("restore", "photo.png", "-o", out, "--words", words, "--json", "--model", "auto")
        status, _, err = run(*argv, "--map")
        assert status == 2 and "model auto has no map of the damage (--map); lite-weather" in err
        status, said, err = run(*argv)
        assert status == 0 and json.loads(said)["model"] == model and f", {model}, " in err


def test_strength_zero_keeps_every_pixel_of_a_16_bit_picture(folder, run):
    from pellucid.imaging.io import Photo, read, write

    values = np.random.default_rng(0).random((9, 8, 3), dtype=np.float32)
    write(Photo(values, bit_depth=16), "deep.png")
    assert run("restore", "deep.png", "-o", "out.png", "--strength", 0)[0] == 0
    result = read("out.png")
    assert result.bit_depth == 16
    np.testing.assert_array_equal(result.samples(16), read("deep.png").samples(16))


def test_metadata_and_transparency_pass_through(folder, run):
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Camera"
    Image.fromarray(samples).save("photo.webp", exif=exif, lossless=True, exact=True)
    assert run("restore", "photo.webp", "-o", "out.png")[0] == 0
    with Image.open("out.png") as image:
        assert image.size == (20, 30)
        assert image.getexif()[0x010F] == "Camera" and image.getexif()[0x0112] == 1
        np.testing.assert_array_equal(np.asarray(image)[..., 3], np.rot90(samples[..., 3], -1))


# many pictures ---------------------------------------------------------------


def test_a_folder_keeps_its_tree(folder, run):
    picture("in/a.png")
    picture("in/sub/deep/b.JPG", format="JPEG")
    picture("in/c.gif")
    picture("in/.hidden/d.png")
    picture("in/._e.png")
    (folder / "in/notes.txt").write_text("buy milk")
    assert run("restore", "in", "-o", "out")[0] == 0
    assert files("out") == ["a.png", "c.png", "sub/deep/b.JPG"]
    with Image.open("out/sub/deep/b.JPG") as image:
        assert image.format == "JPEG"


def test_an_output_folder_inside_the_input_is_not_an_input(folder, run):
    picture("a.png")
    picture("out/old.png")
    for inputs in (".", "**/*.png"):
        assert run("restore", inputs, "-o", "out", "--overwrite")[0] == 0
        assert files("out") == ["a.png", "old.png"]


def test_patterns_and_repeated_names(folder, run):
    picture("a.png")
    picture("b.png")
    picture("c.jpg")
    assert run("restore", "*.png", "a.png", "./a.png", folder / "a.png", "-o", "out")[0] == 0
    assert files("out") == ["a.png", "b.png"]


def test_another_format_for_all(folder, run):
    picture("in/a.png")
    picture("in/b.jpg")
    assert run("restore", "in", "-o", "out", "--format", "webp", "--quality", 80)[0] == 0
    assert files("out") == ["a.webp", "b.webp"]


def test_a_batch_goes_on_past_broken_files_and_lists_them(folder, run):
    picture("in/a.png")
    Path("in/b.png").write_bytes(b"")
    Path("in/c[1].jpg").write_text("not a picture")
    Path("in/d.png").write_bytes(Path("in/a.png").read_bytes()[:200])
    picture("in/e.png")
    before = {name: Path("in", name).read_bytes() for name in files("in")}
    status, out, err = run("restore", "in", "-o", "out", "--json")
    assert status == 1
    assert files("out") == ["a.png", "e.png"]
    assert {name: Path("in", name).read_bytes() for name in files("in")} == before
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["ok"] for row in rows] == [True, False, False, False, True]
    assert "empty" in rows[1]["error"]
    assert "2 restored, 3 failed" in err and "in/c[1].jpg" in err and "in/d.png" in err


def test_transparency_that_would_be_lost_fails_before_the_work(folder, run):
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save("a.png")
    status, _, err = run("restore", "a.png", "-o", "a.jpg")
    assert status == 1 and "transparent" in err and files(folder) == ["a.png"]


# nothing is lost -------------------------------------------------------------


@pytest.mark.parametrize("output", ["in", "in/a.png", "in/../in", "link"])
def test_inputs_are_never_overwritten(folder, run, output):
    before = picture("in/a.png").read_bytes()
    (folder / "link").symlink_to("in")
    status, _, err = run("restore", "in/a.png", "-o", output, "--overwrite")
    assert status == 2 and "would overwrite the input" in err
    assert Path("in/a.png").read_bytes() == before


def test_two_results_of_one_name_are_refused_before_any_work(folder, run):
    picture("a/x.png")
    picture("b/x.png")
    picture("b/y.png")
    status, _, err = run("restore", "a", "b", "-o", "out")
    assert status == 2 and "a/x.png and b/x.png would both become out/x.png" in err
    assert not Path("out").exists()


def test_a_new_suffix_never_makes_two_names_equal(folder, run):
    for name in ("in/y.png", "in/y.gif", "in/z.gif"):
        picture(name)
    assert run("restore", "in", "-o", "out")[0] == 0
    assert files("out") == ["y.gif.png", "y.png", "z.png"]
    assert run("restore", "in", "-o", "web", "--format", "webp")[0] == 0
    assert files("web") == ["y.gif.webp", "y.png.webp", "z.webp"]


def test_existing_results_are_kept_skipped_or_replaced(folder, run):
    picture("in/a.png")
    picture("in/b.png")
    Path("out").mkdir()
    Path("out/a.png").write_bytes(b"precious")
    status, _, err = run("restore", "in", "-o", "out")
    assert status == 2 and "out/a.png exists already" in err and "--skip-existing" in err
    assert files("out") == ["a.png"]
    status, _, err = run("restore", "in", "-o", "out", "--skip-existing")
    assert status == 0 and "1 restored, 1 existed already" in err
    assert Path("out/a.png").read_bytes() == b"precious" and files("out") == ["a.png", "b.png"]
    assert "2 results existed already" in run("restore", "in", "-o", "out", "--skip-existing")[2]
    assert run("restore", "in", "-o", "out", "--overwrite")[0] == 0
    assert Path("out/a.png").read_bytes() != b"precious"


def test_a_full_disk_fails_the_picture_and_leaves_nothing(folder, run, monkeypatch):
    import errno

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = picture("a.png").read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    status, _, err = run("restore", "a.png", "-o", "out/a.png", "--compare", "--report", "json")
    assert status == 1 and "the disk is full" in err
    assert files(folder) == ["a.png"] and Path("a.png").read_bytes() == before


def test_interrupting_leaves_finished_files_whole(tmp_path):
    """A real SIGINT to a real process, in the middle of the third picture."""
    for i in range(6):
        picture(tmp_path / f"in/{i}.png", seed=i)
    argv = ("restore", "in", "-o", "out")
    started = Process(forked.run, argv, forked.stop_at_the_third_picture, folder=tmp_path)
    started.until(lambda: started.out == "now\n")
    os.kill(started.pid, signal.SIGINT)
    assert started.wait() == 130, started.err
    assert "interrupted: 2 of 6 pictures done" in started.err
    assert "Traceback" not in started.err
    assert files(tmp_path / "out") == ["0.png", "1.png"]
    for name in files(tmp_path / "out"):
        with Image.open(tmp_path / "out" / name) as image:
            image.load()


# streams ---------------------------------------------------------------------


def test_a_pipeline_of_real_processes(weights, tmp_path):
    data = picture(tmp_path / "a.png").read_bytes()
    options = ["-o", "-", "--quiet", "--device", "cpu", "--model", weights / "net.safetensors"]
    done = subprocess.run(
        [sys.executable, "-m", "pellucid", "restore", "-", *map(str, options)],
        input=data,
        capture_output=True,
        env=ENVIRONMENT,
    )
    assert done.returncode == 0 and done.stderr == b""
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.format == "PNG" and image.size == (32, 24)


class Stream(io.TextIOWrapper):
    def __init__(self, data=b""):
        super().__init__(io.BytesIO(data))


def test_standard_input_keeps_its_format_unless_another_is_asked_for(folder, run, monkeypatch):
    data = {name: picture(f"a.{name}").read_bytes() for name in ("webp", "gif")}
    for given, options, expected in (
        ("webp", [], "WEBP"),
        ("gif", [], "PNG"),
        ("webp", ["--format", "jpg"], "JPEG"),
    ):
        out = Stream()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", Stream(data[given]))
            patch.setattr(sys, "stdout", out)
            assert run("restore", "-", *options)[0] == 0
        with Image.open(io.BytesIO(out.buffer.getvalue())) as image:
            assert image.format == expected
    monkeypatch.setattr(sys, "stdin", Stream(data["gif"]))
    assert run("restore", "-", "-o", "out")[0] == 0 and Path("out/stdin.png").exists()
    monkeypatch.setattr(sys, "stdin", Stream(b"garbage"))
    status, out, err = run("restore", "-", "-o", "other")
    assert (status, out) == (1, "") and "format that can be read" in err.replace("\n", " ")


def test_streams_with_what_makes_no_sense_of_them(folder, run):
    picture("a.png")
    picture("b.png")
    assert "cannot all go to standard output" in run("restore", "a.png", "b.png", "-o", "-")[2]
    assert "cannot be mixed" in run("restore", "a.png", "-", "-o", "out")[2]
    for option in (["--compare"], ["--report", "json"], ["--json"]):
        status, _, err = run("restore", "a.png", "-o", "-", *option)
        assert status == 2 and "standard output" in err


def test_what_a_person_marks_is_restored_or_filled_and_reported(folder, run):
    picture("photo.png", size=(80, 64))
    before = np.asarray(Image.open("photo.png"))
    marked = np.zeros((64, 80), np.uint8)
    marked[20:30, 30:50] = 255
    Image.fromarray(marked).save("mask.png")
    command = ("restore", "photo.png", "--format", "png", "--report", "json", "-o")
    for option, value in (("--mask", "mask.png"), ("--region", "30,20,20,10")):
        name = option.strip("-")
        assert run(*command, f"{name}/", option, value)[0] == 0
        result = np.asarray(Image.open(f"{name}/photo.png"))
        assert (result != before)[marked > 0].any()
        assert (result == before)[:4].all() and (result == before)[:, :14].all()
        report = json.loads(Path(f"{name}/photo.png.report.json").read_text())
        assert report["settings"][name] == value
    assert run(*command, "filled/", "--missing", "mask.png", "--words", "uncompleted")[0] == 0
    result = np.asarray(Image.open("filled/photo.png"))
    assert (result == before)[marked == 0].all() and (result != before)[marked > 0].any()
    report = json.loads(Path("filled/photo.png.report.json").read_text())
    assert report["model"] == "fill" and report["words"] == ["uncompleted"]
    assert report["settings"]["missing"] == "mask.png"


def test_masks_and_regions_that_do_not_fit_are_said_and_the_batch_goes_on(folder, run):
    picture("in/a.png", size=(40, 30))
    picture("in/b.png", size=(80, 64))
    picture("mask.png", size=(80, 64))
    status, _, err = run("restore", "in", "-o", "out", "--mask", "mask.png")
    assert status == 1 and files("out") == ["b.png"]
    assert "80 x 64, the picture 40 x 30" in " ".join(err.split())
    for options, sentence in (
        (("--region", "1,2,3"), "is not X,Y,W,H"),
        (("--region", "0,0,9,9", "--mask", "mask.png"), "not both"),
    ):
        status, _, err = run("restore", "in", "-o", "none", *options)
        assert status == 2 and sentence in " ".join(err.split())
    Image.new("L", (40, 30), 255).save("white.png")
    for name, sentence in (
        ("nowhere.png", "--missing nowhere.png: there is no such file"),
        ("in", "--missing in: there is no such file"),
        ("white.png", "missing white.png: all of it is white"),
    ):
        status, _, err = run("restore", "in/a.png", "-o", "c.png", "--missing", name)
        assert status == 2 and sentence in err and not Path("c.png").exists()


def test_a_word_that_the_model_does_not_find_has_no_share():
    record = {"words": ["uncompleted", "noisy", "odd"]}
    record["probabilities"] = {"noisy": 0.7, "uncompleted": 0.001}
    assert _found(record) == "uncompleted, noisy 70%, odd"


def test_an_instruction_is_printed_as_it_was_understood(folder, run):
    picture("a.png")
    text = "take the rain away but keep it dark"
    status, _, err = run("restore", "a.png", "-o", "b.png", "--ask", text, "--report", "json")
    assert status == 0 and "understood: remove rainy; keep low-light" in err
    asked = json.loads(Path("b.png.report.json").read_text())["asked"]
    assert asked["wanted"] == ["rainy"] and asked["kept"] == ["low-light"]
    assert asked["text"] == text and asked["not_understood"] == []
    status, _, err = run("restore", "a.png", "-o", "c.png", "--ask", "turn it into a painting")
    assert status == 2 and "understood in" in err and not Path("c.png").exists()
    status, _, err = run("restore", "a.png", "-o", "c.png", "--ask", text, "--words", "hazy")
    assert status == 2 and "--ask or --words" in err
