"""Runs on a Ray cluster: a driver is killed; in the run that goes on, a picture kills workers."""

import io
import json
import subprocess
import sys
import time

import pytest
from PIL import Image

psutil = pytest.importorskip("psutil")

from pellucid.cli import main  # noqa: E402
from pellucid.places import Place  # noqa: E402

from . import pictures  # noqa: E402

COUNT = 24
PATIENCE = 1200  # seconds, for a machine that does much else


def workers():
    """The processes of the cluster that hold the model."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[0].startswith("ray::MapWorker"):
                found.append(process)
        except (psutil.Error, IndexError):
            continue
    return found


def until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)


def made(s3):
    return [name for name in s3.names("out") if name.endswith(".png")]


def test_every_picture_is_there_once_after_the_driver_and_two_workers_were_killed(
    tmp_path, s3, weights, ray_cluster, capsys
):
    folder = tmp_path / "in"
    names = sorted([f"{i % 3}/{i:03d}.png" for i in range(COUNT - 1)] + ["gate.png"])
    for seed, name in enumerate(names):
        pictures.save(folder / name, seed, (96, 64))
    (folder / "poison.png").write_bytes(b"no picture")
    (folder / "closed").touch()  # the worker waits there, so that the first run cannot end
    arguments = ["bulk", str(folder), "-o", f"{s3.uri}/out", "--address", ray_cluster]
    arguments += ["--model", str(weights / "net.safetensors"), "--device", "cpu"]
    arguments += ["--dtype", "float32", "--workers", "1", "--no-rating", "--json"]

    command = [sys.executable, "-m", "pellucid", *arguments]
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: len(made(s3)) >= 5, first)
        orphans = workers()
    finally:
        first.kill()
        first.communicate()
    _, alive = psutil.wait_procs(orphans, PATIENCE)
    assert orphans and not alive  # nothing is restored without a driver
    assert "gate.png" not in made(s3)

    (folder / "closed").unlink()
    (folder / "killer.png").write_bytes(b"kills who opens it")
    assert main(arguments) == 1
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert made(s3) == names
    rows = pictures.table(Place(f"{s3.uri}/out"))  # fails if a name is there twice
    assert sorted(rows) == sorted([*names, "killer.png", "poison.png"])
    assert {name for name, row in rows.items() if row["error"]} == {"killer.png", "poison.png"}
    assert "died" in rows["killer.png"]["error"]
    assert done["restored"] + done["failed"] + done["held"] == COUNT + 2
    for name in names:  # none is half: every result decodes, and is of its picture's size
        with Image.open(io.BytesIO(s3.read(f"out/{name}"))) as image:
            image.load()
            assert image.size == (96, 64)
