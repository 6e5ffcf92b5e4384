"""A run on Ray: the driver is killed, then, in the run that goes on, a picture kills its worker."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("ray", reason="needs pip install 'pellucid[bulk]'")
psutil = pytest.importorskip("psutil")

import pellucid  # noqa: E402
from pellucid.places import Place  # noqa: E402

from . import pictures  # noqa: E402

COUNT = 100
PATIENCE = 1200  # seconds, for a machine that does much else
KILLER = """
import os, signal, sys

def hook(event, given):  # what a decoder does that crashes
    if event == "open" and str(given[0]).endswith("killer.png"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
"""


class Run:
    """`pellucid bulk` in a process of its own, whose workers are watched."""

    def __init__(self, source, target, model, folder):
        (folder / "sitecustomize.py").write_text(KILLER)
        path = f"{Path(pellucid.__file__).parents[1]}{os.pathsep}{folder}"
        command = [sys.executable, "-m", "pellucid", "bulk", str(source), "-o", target]
        command += ["--model", str(model), "--device", "cpu", "--dtype", "float32"]
        command += ["--cpus", "1", "--no-rating", "--json"]
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.driver = psutil.Process(self.process.pid)

    def all(self):
        """The driver and all that it has started."""
        try:
            return [self.driver, *self.driver.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def workers(self):
        """The processes that hold the model."""
        found = []
        for process in self.all():
            try:
                if process.cmdline()[0].startswith("ray::MapWorker"):
                    found.append(process)
            except (psutil.Error, IndexError):
                continue
        return found

    def summary(self, seconds=PATIENCE):
        out, err = self.process.communicate(timeout=seconds)
        assert self.process.returncode in (0, 1), err
        return json.loads(out.splitlines()[-1])


def until(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def made(s3):
    return [name for name in s3.names("out") if name.endswith(".png")]


def test_every_picture_is_there_once_after_the_driver_and_two_workers_were_killed(
    tmp_path, s3, weights
):
    names = sorted([f"{i % 3}/{i:03d}.png" for i in range(COUNT)])
    for seed, name in enumerate(names):
        pictures.save(tmp_path / "in" / name, seed, (96, 64))
    (tmp_path / "in" / "poison.png").write_bytes(b"no picture")
    given = (tmp_path / "in", f"{s3.uri}/out", weights / "net.safetensors", tmp_path)

    first = Run(*given)
    try:
        until(lambda: len(made(s3)) >= 5)
        orphans = first.workers()
    finally:
        first.process.send_signal(signal.SIGKILL)
        first.process.communicate()
    _, alive = psutil.wait_procs(orphans, PATIENCE)
    assert orphans and not alive  # nothing is restored without a driver
    before = made(s3)
    assert 0 < len(before) < COUNT

    (tmp_path / "in" / "killer.png").write_bytes(b"kills who opens it")
    second = Run(*given)
    done = second.summary()
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
