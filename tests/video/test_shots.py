"""Cuts, one guidance a shot, steadiness, interruption, memory."""

import os
import signal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import peaks
import tiny
from pellucid.cli import main
from pellucid.degradations import WORDS
from pellucid.errors import ImageError, PellucidError
from pellucid.instruction import Understood
from pellucid.networks.contract import Guidance
from pellucid.video import restore_video
from pellucid.video.frames import Frame
from pellucid.video.shots import cuts, diagnosed, mean_of, spread
from pellucid.video.steady import steadied
from processes import Process

from .clips import film, pictures, shown, texture, times


def thumbnails(count, cut=None, flash=None, step=1):
    for i, picture in enumerate(pictures(count, (48, 27), step, cut)):
        yield np.ones_like(picture) if i == flash else picture


def test_cuts_are_found_where_they_are():
    assert cuts(thumbnails(40, cut=17)) == [17]
    assert cuts(thumbnails(12, cut=2)) == [2]
    assert cuts(thumbnails(12, cut=11)) == [11]
    assert cuts(thumbnails(0)) == cuts(thumbnails(1)) == []


def test_motion_noise_and_flashes_are_no_cuts():
    rng = np.random.default_rng(0)
    assert cuts(thumbnails(40, step=4)) == []
    assert cuts(thumbnails(40, flash=20)) == []
    assert cuts(t + rng.normal(0, 0.1, t.shape).astype(np.float32) for t in thumbnails(40)) == []


def test_samples_are_spread_and_different():
    assert spread(10, 20, 5) == [11, 13, 15, 17, 19]
    assert spread(3, 5, 5) == [3, 4] and spread(7, 8, 3) == [7]


def test_the_guidance_of_a_shot_is_the_mean_and_the_words_of_most():
    answers = [
        Guidance(torch.full((1, 2), float(i)), None, words, {"rainy": share, "noisy": 1 - share})
        for i, (words, share) in enumerate(
            [(("rainy",), 0.75), (("rainy", "noisy"), 0.5), (("rainy",), 1.0)]
        )
    ]
    mean = mean_of(answers)
    assert mean.content.tolist() == [[1.0, 1.0]] and mean.degradation is None
    assert mean.words == ("rainy",) and mean.probabilities == {"rainy": 0.75, "noisy": 0.25}


def test_all_frames_of_a_shot_have_one_guidance_and_one_strength(tmp_path):
    source = film(tmp_path / "a.mp4", pictures(16, cut=8))
    restorer, seen = tiny.restorer(guard=True), []
    original = restorer.condition
    restorer.condition = lambda batch, guidance: (
        seen.append(guidance.degradation.tolist()) or original(batch, guidance)
    )
    report = restore_video(source, tmp_path / "b.mp4", restorer, words=())
    assert [(s.first, s.last) for s in report.shots] == [(0, 8), (8, 16)]
    assert len({str(row) for row in seen}) == 2  # of the two shots
    assert all(s.decision in ("kept", "softened", "refused") and s.reason for s in report.shots)


# steadiness ---------------------------------------------------------------------


def noisy(count, seed=0, sigma=0.05):
    rng = np.random.default_rng(seed)
    return [
        (p + rng.normal(0, sigma, p.shape)).astype(np.float32)
        for p in pictures(count, (96, 64), step=2)
    ]


def flicker(frames, step=2):
    """Mean square difference of frames moved onto each other by the known motion."""
    pairs = pairwise(frames)
    return np.mean([np.square(a[:, step:] - b[:, :-step]).mean() for a, b in pairs])


def frames_of(arrays):
    return [Frame(i, array, i, 1) for i, array in enumerate(arrays)]


def test_what_an_instruction_keeps_is_not_touched_in_a_shot():
    frames = [Frame(i, np.float32(p), i, 1) for i, p in enumerate(pictures(3))]
    wanted = diagnosed(0, 3, frames, tiny.restorer(), asked=Understood("", wanted=("noisy",)))
    assert wanted.guidance.words == ("noisy",) and wanted.strength == 1
    kept = diagnosed(0, 3, frames, tiny.restorer(), asked=Understood("", kept=WORDS))
    assert kept.restored(frames[1]) is frames[1].pixels and kept.guidance.kept == WORDS


def test_noise_that_flickers_becomes_steady_and_the_picture_nearer_to_the_clean_one():
    clean, damaged = list(pictures(12, (96, 64), step=2)), noisy(12)
    result = [f.pixels for f in steadied(frames_of(damaged), [])]
    assert len(result) == 12
    assert flicker(result) < 0.3 * flicker(damaged)
    before, after = (np.square(np.array(x) - np.array(clean)).mean() for x in (damaged, result))
    assert after < 0.6 * before


def test_nothing_is_blended_across_a_cut():
    arrays = list(pictures(12, (96, 64), cut=6))
    joined = [f.pixels for f in steadied(frames_of(arrays), [6])]
    parts = [f.pixels for f in steadied(frames_of(arrays)[6:], [6])]
    assert all(np.array_equal(a, b) for a, b in zip(joined[6:], parts, strict=True))


def test_a_still_clean_film_is_left_alone():
    still = [texture(64, 96)] * 5
    for frame in steadied(frames_of(still), []):
        assert np.abs(frame.pixels - still[0]).max() < 0.01


# what ends early -----------------------------------------------------------------


def test_an_interrupted_film_is_whole_up_to_there(tmp_path):
    source = film(tmp_path / "a.mp4", pictures(20), sound=True)

    def stop(done):
        if done.phase == "frames" and done.done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_video(source, tmp_path / "b.mp4", tiny.restorer(), progress=stop)
    assert times(tmp_path / "b.mp4") == times(source)[:7]
    assert not list(tmp_path.glob(".pellucid*"))


def test_a_frame_that_fails_leaves_those_before_it_and_says_so(tmp_path):
    source = film(tmp_path / "a.mp4", pictures(10))
    restorer, calls = tiny.restorer(), []
    original = restorer.restored

    def failing(*args, **options):
        calls.append(1)
        if len(calls) > 4:
            raise PellucidError("too little memory")
        return original(*args, **options)

    restorer.restored = failing
    with pytest.raises(ImageError, match=r"stopped at frame 4: too little memory; 4 frames"):
        restore_video(source, tmp_path / "b.mp4", restorer)
    assert len(shown(tmp_path / "b.mp4")) == 4


def test_a_signal_leaves_a_playable_film(tmp_path):
    weights = str(tiny.save_bundles(tmp_path) / "net.safetensors")
    film(tmp_path / "a.avi", pictures(400, (256, 192)), "mjpeg", "yuvj420p")
    argv = ["restore", "a.avi", "-o", "b.avi", "--device", "cpu", "--model", weights]
    process = Process(main, argv, folder=tmp_path)

    def begun():
        return any(p.stat().st_size > 20_000 for p in tmp_path.glob(".pellucid*"))

    process.until(begun)
    os.kill(process.pid, signal.SIGTERM)  # Ctrl-C: test_an_interrupted_film_is_whole_up_to_there
    assert process.wait() == 143 and "frames in b.avi" in process.err
    count = len(times(tmp_path / "b.avi"))
    assert 0 < count < 400 and f"{count} frames in" in process.err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is Linux's")
def test_memory_does_not_grow_with_length(tmp_path):
    films = [tmp_path / f"{seconds}.mp4" for seconds in (10, 40)]
    for path in films:
        film(path, pictures(10 * int(path.stem), (96, 64), 0), sound=True)
    work = Process(peaks.films, *map(str, films), folder=tmp_path)
    assert work.wait() == 0, work.err
    (short, before), (long, after) = (map(int, line.split()) for line in work.out.splitlines())
    assert (short, long) == (100, 400)
    # 300 more frames of 96 x 64 would be 22 MB as float32
    assert after - before < 12_000_000
