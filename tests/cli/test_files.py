"""Names, folders and streams as they come: nothing lost, nothing left out in silence."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli import forked
from hostile import damaged_fax
from pellucid import cli
from pellucid.errors import UsageError
from processes import Process

from .pictures import files, picture

HERE = Path(__file__).parents[1]
SOURCE = Path(cli.__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"}
RUN = """
import sys, tiny, pellucid.loading
from pellucid import cli
model = tiny.restorer()
pellucid.loading.load = lambda *_: model
{more}
sys.exit(cli.main(sys.argv[1:]))
"""


def finished(*argv, more="", **options):
    """Status and streams of a real process that ran a command with a tiny model."""
    script = RUN.format(more=more)
    return ended([sys.executable, "-c", script, *map(os.fsencode, argv)], **options)


def ended(command, **options):
    """Status and streams of a process."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": ENVIRONMENT, **options}
    done = subprocess.run(command, timeout=120, **options)
    err = (done.stderr or b"").decode("utf-8", "backslashreplace")
    return done.returncode, done.stdout or b"", err


# names -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["~$lock.jpg", "~holiday.jpg", "~", "[x].jpg", "a*b.jpg", "-.jpg"])
def test_odd_names_are_names(folder, run, name):
    picture("in/ok.png")
    if name == "~":
        picture("in/~/x.png")
    else:
        picture(f"in/{name}")
    os.chdir("in")
    given = name if name == "~" else f"./{name}"
    assert run("restore", given, "-o", "../out")[0] == 0
    assert files("../out") == (["x.png"] if name == "~" else [name])
    if name != "-.jpg" and name != "~":
        assert run("restore", name, "-o", "../again")[0] == 0


def test_names_that_cannot_be_are_bad_usage(folder, run):
    picture("a.png")
    for name in (
        "x" * 300 + ".jpg",
        "x" * 300 + ".png",
        "a\0b.png",
        "a\0b.jpg",
        "",
        "~nobody-of-this-name/a.jpg",
    ):
        status, _, err = run("restore", name)
        assert status == 2 and "Traceback" not in err, err
    for name in ("x" * 300 + ".jpg", "a\0b"):
        status, _, err = run("restore", "a.png", "-o", name)
        assert status == 2 and "cannot be the output" in err
    assert files(folder) == ["a.png"]


def test_a_result_whose_name_is_too_long_fails_alone(folder, run):
    picture("in/a.png")
    picture("in/" + "x" * 250 + ".gif")
    picture("in/" + "y" * 250 + ".jpg")
    status, _, err = run("restore", "in", "-o", "out", "--compare")
    assert status == 1 and "2 failed" in err and "1 restored" in err
    assert files("out") == ["a.png", "a.png.compare.jpg"]
    status, _, err = run("restore", "in", "-o", "out", "--compare", "--skip-existing")
    assert status == 1 and "2 failed, 1 existed already" in err


def test_a_folder_that_looks_like_a_pattern_is_a_folder(folder, run):
    picture("set [2020]/a.jpg")
    picture("set [2020]/b.png")
    picture("set 2/c.jpg")
    assert run("restore", "set [2020]/*.jpg", "-o", "out")[0] == 0
    assert files("out") == ["a.jpg"]
    assert run("restore", "set [0-9]/*.jpg", "-o", "class")[0] == 0
    assert files("class") == ["c.jpg"]


@pytest.mark.parametrize("name", ["x.jp2", "x.tga", "x.psd", "x.nef", "x.pdf"])
def test_an_output_that_cannot_be_written_is_no_folder(folder, run, name):
    picture("a.png")
    status, _, err = run("restore", "a.png", "-o", name)
    assert status == 2 and f"{name}: cannot write" in err and files(folder) == ["a.png"]


def test_a_large_picture_brings_no_warning_of_a_library(folder, run, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    picture("a.png")
    assert run("restore", "a.png", "-o", "b.png")[0] == 0
    assert not [w for w in recwarn if "bomb" in str(w.message)]


def test_outputs_that_cannot_be_are_said_before_the_work(folder, run):
    picture("in/a.png")
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    for output, words in (
        ("dangling", "dangling is a link that leads nowhere"),
        ("loop", "loop is a link that leads nowhere"),
        ("in/a.png/deeper", "in/a.png is a file, no folder"),
    ):
        status, _, err = run("restore", "in", "-o", output)
        assert status == 2 and words in err and "input" not in err
    assert files("in") == ["a.png"]


# folders ---------------------------------------------------------------------


def test_linked_folders_are_searched_once(folder, run, caplog):
    picture("elsewhere/b.png")
    picture("in/a.png")
    os.symlink("../elsewhere", "in/link")
    os.symlink("..", "in/back")
    os.symlink("../elsewhere", "in/other")
    assert run("restore", "in", "-o", "out")[0] == 0
    assert files("out") == ["a.png", "link/b.png"]
    assert "left out in/back: a link to a folder that it lies in" in caplog.text


def test_a_folder_that_cannot_be_read_is_a_failure(folder, run, monkeypatch):
    picture("in/a.png")
    picture("in/secret/b.png")
    scan = os.scandir

    def denied(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    status, _, err = run("restore", "in", "-o", "out")
    assert status == 1 and "in/secret: is a folder" in err and "1 restored, 1 failed" in err
    status, _, err = run("restore", "in/secret", "-o", "out3")
    assert (status, err) == (2, "pellucid: in/secret: cannot be an input (Permission denied)\n")
    monkeypatch.setattr(Path, "is_dir", lambda path: scan("/nowhere"))
    status, _, err = run("restore", "in", "-o", "out2")
    assert status == 2 and "Traceback" not in err


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_a_folder_without_access_for_a_real_user(tmp_path, weights):
    picture(tmp_path / "in/a.png")
    picture(tmp_path / "in/secret/b.png")
    (tmp_path / "in/secret").chmod(0)
    tmp_path.chmod(0o777)
    script = (
        "import os, sys\nfrom pellucid.cli.batch import plan\n"
        "from pellucid.errors import ImageError, UsageError\n"
        "from pellucid.imaging.io import read\nos.setuid(65534)\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(len(plan([name], 'out')))\n"
        "    except UsageError as error: print(error)\n"
        "try: plan(['in/a.png'], 'in/deep/er')\n"
        "except UsageError as error: print(error)\n"
        "try: read('in/secret')\n"
        "except ImageError as error: print(error)\n"
    )
    for place in [tmp_path, *tmp_path.parents][:4]:
        place.chmod(place.stat().st_mode | 0o755) if place != Path("/") else None
    argv = [sys.executable, "-c", script, "in", "in/secret", "in/secret/b.png"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, env=ENVIRONMENT)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "2",
        "in/secret: cannot be an input (Permission denied)",
        "in/secret/b.png: cannot be an input (Permission denied)",
        "in: no permission to write into this folder; name another",
        "in/secret: is a folder without access",
    ]


def test_special_files_in_a_folder_are_failures_and_do_not_hang(folder, run):
    picture("in/a.png")
    os.mkfifo("in/pipe.jpg")
    os.symlink("/dev/zero", "in/zero.png")
    os.symlink("loop.jpg", "in/loop.jpg")
    status, _, err = run("restore", "in", "-o", "out")
    assert status == 1 and files("out") == ["a.png"] and "1 restored, 3 failed" in err
    for name, words in (("pipe.jpg", "pipe"), ("zero.png", "device"), ("loop.jpg", "leads back")):
        assert any(name in line and words in line for line in err.splitlines())


def test_files_that_are_no_pictures_are_named(folder, run, caplog):
    picture("in/a.png")
    for name in ("notes.txt", "b.nef", "c.mov", "d.xmp"):
        Path("in", name).write_text("x")
    assert run("restore", "in", "-o", "out")[0] == 0
    assert "left out 4 files that are no picture" in caplog.text and "in/b.nef" in caplog.text


def test_what_pillow_reads_is_read(folder, run):
    for name in ("a.tga", "b.jp2", "c.ppm", "d.pcx", "e.sgi"):
        picture(f"in/{name}")
    assert run("restore", "in", "-o", "out")[0] == 0
    assert files("out") == ["a.png", "b.png", "c.png", "d.png", "e.png"]


def test_results_that_vanish_are_failures(folder, run, monkeypatch):
    import shutil

    import pellucid.imaging.io as imaging

    picture("in/a.png")
    picture("in/b.png")
    read = imaging.read

    def vandal(source, *more):
        if str(source).endswith("b.png"):
            shutil.rmtree("out")
        return read(source, *more)

    monkeypatch.setattr(imaging, "read", vandal)
    status, _, err = run("restore", "in", "-o", "out")
    assert status == 1 and "out/a.png: was written, and is no longer there" in err
    assert "1 restored, 1 failed" in err


# nothing is overwritten ------------------------------------------------------


def test_side_files_never_replace_an_input(folder, run):
    picture("in/a.png")
    before = picture("in/a.webp.compare.jpg", format="JPEG").read_bytes()
    for option in ("--skip-existing", "--overwrite"):
        argv = ("restore", "in", "-o", "in", "--format", "webp", "--compare", option)
        status, _, err = run(*argv)
        assert (status == 2 and "would overwrite the input" in err) or "would both become" in err
    assert Path("in/a.webp.compare.jpg").read_bytes() == before
    assert files("in") == ["a.png", "a.webp.compare.jpg"]


def test_of_two_processes_one_writes_and_neither_deletes_the_others(tmp_path):
    picture(tmp_path / "a.png")
    argv = ("restore", "a.png", "-o", "out.png", "--compare", "--report", "json")
    runs = [Process(forked.run, argv, forked.meet, folder=tmp_path) for _ in range(2)]
    assert sorted(run.wait() for run in runs) == [0, 1], [run.err for run in runs]
    assert any("exists already" in run.err for run in runs)
    made = [name for name in files(tmp_path) if not name.startswith("here-")]
    assert made == ["a.png", "out.png", "out.png.compare.jpg", "out.png.report.json"]


def test_unfinished_files_of_killed_processes_are_removed_later(folder, run):
    picture("a.png")
    Path("out").mkdir()
    old, new = Path("out/.pellucid-0123456789abcdef.tmp"), Path("out/.pellucid-new.tmp")
    old.write_bytes(b"half")
    new.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    assert run("restore", "a.png", "-o", "out")[0] == 0
    assert files("out") == [".pellucid-new.tmp", "a.png"]


def test_sigterm_is_as_clean_as_ctrl_c(tmp_path):
    for i in range(4):
        picture(tmp_path / f"in/{i}.png", seed=i)
    argv = ("restore", "in", "-o", "out")
    started = Process(forked.run, argv, forked.stop_at_the_third_file, folder=tmp_path)
    started.until(lambda: started.out == "now\n")
    os.kill(started.pid, signal.SIGTERM)
    assert started.wait() == 143 and "Traceback" not in started.err
    assert "interrupted: 2 of 4 pictures done" in started.err
    assert files(tmp_path / "out") == ["0.png", "1.png"]


# streams and terminals -------------------------------------------------------


@pytest.fixture
def printed(run, monkeypatch):
    """Run a command with streams of an encoding; (status, standard output, standard error)."""

    def call(*argv, encoding="utf-8"):
        streams = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            status = run(*argv)[0]
            for stream in streams:
                stream.flush()
        return status, *(stream.buffer.getvalue() for stream in streams)

    return call


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_encoding_of_the_streams_will_do(folder, printed, encoding, words_too):
    picture("in/写真.png")
    picture("in/a.png")
    status, out, _ = printed("diagnose", "in", encoding=encoding)
    assert status == 0
    assert ("█".encode() in out) is (encoding == "utf-8") and (b"#" in out) != (encoding == "utf-8")
    assert printed("restore", "in", encoding=encoding)[0] == 0
    assert files("restored") == ["a.png", "写真.png"]


@pytest.fixture
def words_too(monkeypatch):
    """A model that tells degradations apart, whatever file is named."""
    import pellucid.loading
    import tiny

    model = tiny.restorer()
    monkeypatch.setattr(pellucid.loading, "load", lambda *_: model)


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_names_that_are_not_utf_8(folder, printed, words_too):
    picture("in/a.png")
    os.rename("in/a.png", b"in/caf\xe9.png")
    status, out, _ = printed("restore", "in", "-o", "out", "--json")
    assert status == 0 and json.loads(out)["ok"]
    assert os.listdir(b"out") == [b"caf\xe9.png"]
    assert printed("diagnose", "in")[0] == 0


def test_escapes_in_names_do_not_reach_the_terminal(folder, printed, words_too):
    picture("in/\x1b[31mred\x07.png")
    Path("in/\x1b[2J.png").write_text("no picture")
    for argv in (("restore", "in"), ("diagnose", "in"), ("restore", "\x1b[2Jnowhere.png")):
        _, out, err = printed(*argv)
        assert b"\x1b" not in out + err and b"\x07" not in out + err
        assert b"\\x1b[2J" in err


def test_closed_streams(tmp_path):
    picture(tmp_path / "a.png")
    more = (
        "assert cli.main(('restore', 'a.png', '-o', 'b.png', '--json')) == 0\n"
        "assert cli.main(('restore', '-', '-o', 'c.png')) == 2\n"
    )
    shut = {"preexec_fn": lambda: os.closerange(0, 2), "cwd": tmp_path}
    argv = ("restore", "a.png", "-o", "-")
    status, _, err = finished(*argv, more=more, **shut, stdin=None, stdout=None)
    assert files(tmp_path) == ["a.png", "b.png"]
    assert status == 2 and "Traceback" not in err
    assert "standard input is closed" in err and "standard output is closed" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output(tmp_path):
    picture(tmp_path / "a.png")
    with open("/dev/full", "w") as full:
        argv = ("restore", "a.png", "-o", "b.png", "--json")
        more = "assert cli.main(('restore', 'a.png', '-o', '-')) == 1\n"
        status, _, err = finished(*argv, more=more, cwd=tmp_path, stdout=full)
        assert status == 1 and "Traceback" not in err and files(tmp_path) == ["a.png", "b.png"]
        assert "  a.png: No space left" in err
        assert "standard output: No space left" in err
    for asked in ("--help", "--version"):
        with open("/dev/full", "w") as full:
            status, _, err = ended([sys.executable, "-m", "pellucid", asked], stdout=full)
            assert (status, err) == (1, "pellucid: standard output: No space left on device\n")


def test_a_reader_of_standard_output_that_leaves_is_told_what_was_left(folder, run, monkeypatch):
    for name in "abc":
        picture(f"in/{name}.png")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as pipe, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", pipe)
        status, _, err = run("restore", "in", "-o", "out", "--json", "--quiet")
    assert status == 1 and files("out") == ["a.png"]
    assert "standard output cannot be written" in err and "1 of 3 pictures done" in err


def test_a_name_of_two_lines_is_printed_as_one(folder, printed, words_too):
    picture("in/a\nb.png")
    Path("in/c\nd.png").write_text("no picture")
    for command in ("restore", "diagnose"):
        _, out, err = printed(command, "in")
        assert rb"in/a\nb.png" in out + err
    assert rb"in/c\nd.png" in printed("restore", "in", "--overwrite")[2]


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_takes_for_its_own_error_ends_the_batch(
    folder, run, monkeypatch, number, status
):
    import pellucid.imaging.io as imaging

    def read(*_):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt as error:
            raise RuntimeError("something else") from error

    picture("in/a.png")
    picture("in/b.png")
    monkeypatch.setattr(imaging, "read", read)
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job begins without
    try:
        ended, _, err = run("restore", "in", "-o", "out")
    finally:
        for n, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
            signal.signal(n, handler)
    assert ended == status and "interrupted: 0 of 2 pictures done" in err


def test_paths_and_reasons_are_whole_where_there_is_no_terminal(folder, run):
    name = "a rather long name of a folder " * 6
    Path(name).mkdir()
    Path(name, "b.png").write_text("no picture")
    _, _, err = run("restore", name)
    assert f"{name}/b.png: not a picture in a format that can be read" in err


# metadata --------------------------------------------------------------------


def test_what_is_left_out_is_said_and_reported(folder, run):
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("a.png", dpi=(300, 300))
    status, out, err = run("restore", "a.png", "-o", "a.webp", "--json", "--report", "json")
    note = "its resolution was left out: WEBP has no place for it"
    assert status == 0 and f"  note: {note}" in err
    assert json.loads(out)["notes"] == [note]
    assert json.loads(Path("a.webp.report.json").read_text())["notes"] == [note]


def test_whatever_one_picture_throws_the_batch_goes_on(folder, run, monkeypatch):
    import pellucid.imaging.io as imaging

    for name in "abc":
        picture(f"in/{name}.png")
    read = imaging.read

    def odd(source, *more):
        if str(source).endswith("b.png"):
            raise AssertionError("an odd one")
        return read(source, *more)

    monkeypatch.setattr(imaging, "read", odd)
    status, _, err = run("restore", "in", "-o", "out")
    assert status == 1 and "in/b.png: an odd one" in err and files("out") == ["a.png", "c.png"]


def test_planning_never_ends_in_a_traceback():
    from pellucid.cli.batch import plan

    for name in ("\0", "\ud800", "x" * 5000, "a/" * 3000, "~\0", "[" * 300):
        with pytest.raises(UsageError):
            plan([name], None)
        with pytest.raises(UsageError):
            plan([__file__], name + ".png")


@pytest.mark.parametrize("command", ["restore", "diagnose"])
def test_what_libtiff_prints_has_the_name_of_the_file(folder, printed, words_too, command):
    Path("in").mkdir()
    Path("in/fax.tif").write_bytes(damaged_fax())
    status, _, err = printed(command, "in")
    said = b"  note: libtiff: " if command == "restore" else b"pellucid: in/fax.tif: libtiff: "
    assert status == 0 and said in err
