"""Work whose peak of memory is measured; each function is the target of a `processes.Process`.

A process that is forked begins with a peak of its own. Each prints bytes.
"""

import ctypes
import resource
import sys

import numpy as np

import tiny
from pellucid.degradations import CLASSES
from pellucid.imaging.io import Photo
from pellucid.restorer import Restorer


def peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def restoring() -> None:
    """What a photograph of 12 megapixels needs beside itself."""
    model = tiny.restorer(network=tiny.Identity(), guided=False)
    photo = Photo(np.full((3000, 4000, 3), 0.5, np.float32))
    before = peak()
    model.restore(photo, tile=1024)
    print(peak() - before)


def guarding(rows: int, columns: int) -> None:
    """What a picture of so many times 256 pixels needs beside itself where there is a guard."""
    given = (tiny.Identity(), tiny.controller(), tiny.text_features(), CLASSES)
    model = Restorer(*given, guard=True, device="cpu", dtype="float32")
    small = np.random.default_rng(0).random((256, 256, 3), np.float32)
    model.restore(small)
    pixels = np.tile(small, (rows, columns, 1))
    before = peak()
    model.restore(Photo(pixels), tile=512)
    assert np.array_equal(pixels[:256, :256], small)
    print(peak() - before)


def films(*paths: str) -> None:
    """The frames of each film, and the peak after its restoration."""
    from pellucid.video import restore_video

    ctypes.CDLL(None).mallopt(-8, 1)  # M_ARENA_MAX: threads share one
    for path in paths:
        done = restore_video(path, f"{path}.out.mp4", tiny.restorer(), steady=True)
        print(done.frames, peak())
