"""Runs by Ray: a picture kills its workers, then the driver is killed; another goes on.

The first starts Ray on this machine, the second is on a cluster that is there.
"""

import io
import json
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

psutil = pytest.importorskip("psutil")

from pellucid.bulk import parts  # noqa: E402
from pellucid.cli import main  # noqa: E402
from pellucid.places import Place  # noqa: E402

from . import pictures  # noqa: E402

COUNT = 24  # pictures, with the one that kills and the one that is broken
PATIENCE = 1200  # seconds, for a machine that does much else


def workers():
    """The processes that hold the model."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[0].startswith("ray::MapWorker"):
                found.append(process)
        except (psutil.Error, IndexError):
            continue
    return found


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.5)
    return found


def killed(command, condition, stuck, again=4):
    """Start a driver and kill it when something is so; the workers that it left behind.

    A driver that can no longer get there is `stuck` and started again.
    """
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: driver.poll() is not None or condition() or stuck())
        found = until(lambda: driver.poll() is not None or workers())
    finally:
        driver.kill()
        said = driver.communicate()[1]
    if again and "Ray did not start" in said:  # it gives up after half a minute on a busy machine
        return killed(command, condition, stuck, again - 1)
    assert driver.returncode == -signal.SIGKILL, said
    if again and not condition():
        psutil.wait_procs(found, PATIENCE)
        return killed(command, condition, stuck, again - 1)
    return found


def made(s3):
    return [name for name in s3.names("out") if name.endswith(".png")]


def named(stem, count, number):
    """A name that falls into that part."""
    for i in range(1000):
        name = f"{i}/{stem}.png"
        source = parts.Source(Place("/"), "pictures", [name])
        if next(parts.parts_of(source, count, None)).id == f"part-{number:07d}":
            return name
    raise AssertionError("no such name")


def test_every_picture_is_there_once_after_workers_and_then_the_driver_were_killed(
    tmp_path, s3, weights, ray_cluster, capsys
):
    folder = tmp_path / "in"
    count = -(-COUNT // parts.FEWEST)
    killer, gate = named("killer", count, 0), named("gate", count, count - 1)
    broken = named("broken", count, count - 1)  # is left for the second run
    names = sorted([f"{i % 3}/{i:03d}.png" for i in range(COUNT - 3)] + [gate])
    for seed, name in enumerate(names):
        pictures.save(folder / name, seed, (96, 64))
    (folder / broken).parent.mkdir(exist_ok=True)
    (folder / broken).write_bytes(b"no picture")
    pictures.save(folder / killer)
    closed = folder / gate.replace("gate.png", "closed")
    closed.touch()  # the worker waits there, so that the first run cannot end
    target = Place(f"{s3.uri}/out")
    arguments = ["bulk", str(folder), "-o", target.uri, "--device", "cpu", "--dtype", "float32"]
    arguments += ["--model", str(weights / "net.safetensors"), "--no-rating", "--json"]

    command = [sys.executable, "-m", "pellucid", *arguments, "--cpus", "1"]

    def two_workers_were_killed():
        return killer in pictures.table(target)

    def gate_came_first():  # Ray hands the parts out in any order
        waits = folder / gate.replace("gate.png", "waits")
        if not waits.exists() or time.time() - waits.stat().st_mtime < 10:
            return False
        waits.unlink()
        return not two_workers_were_killed()

    orphans = killed(command, two_workers_were_killed, gate_came_first)
    _, alive = psutil.wait_procs(orphans, PATIENCE)
    assert orphans and not alive  # nothing is restored without a driver
    reported = pictures.table(target)
    assert 0 < len(made(s3)) < len(names) and gate not in made(s3)

    closed.unlink()
    assert main([*arguments, "--address", ray_cluster, "--workers", "1"]) == 1
    done = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert made(s3) == names
    rows = pictures.table(target)  # fails if a name is there twice
    assert sorted(rows) == sorted([*names, killer, broken])
    assert {name for name, row in rows.items() if row["error"]} == {killer, broken}
    assert "died" in rows[killer]["error"]
    assert {name: rows[name] for name in reported} == reported  # and was not done again
    assert done["held"] == len(reported)
    assert done["restored"] + done["failed"] == COUNT - len(reported)
    for name in names:  # none is half: every result decodes, and is of its picture's size
        with Image.open(io.BytesIO(s3.read(f"out/{name}"))) as image:
            image.load()
            assert image.size == (96, 64)
