"""Test pictures that are parts of training pictures: crops, rescaled, recompressed, mirrored.

A hash of the whole picture (`leaks`) does not find a crop. Local features do: SIFT (Lowe, IJCV
2004) with Hellinger distances (Arandjelovic and Zisserman, CVPR 2012). Features of a training
picture vote for the test pictures that their nearest neighbours are of; those with most votes are
matched by the ratio of the two nearest distances, and the matches that agree on one similarity
transform (RANSAC) are counted.

Features that agree, by `benchmarks/crop_leaks.py data/photos --limit 30`; windows of other
photographs, 1350 pairs: at most 2. Windows with few features are missed.

================================  ======  ====  =====
256 px windows of 30 photographs  median  10 %  found
================================  ======  ====  =====
as it is                             178    25   97 %
of half the size                     188    86  100 %
JPEG quality 50                      122    20   93 %
mirrored                             178    25   97 %
noise, sigma 25                       71    12   87 %
half the size, mirrored, JPEG 50     150    72  100 %
================================  ======  ====  =====
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from pellucid.data.files import read_pixels

AGREEING = 15  # features on one similarity transform that make a leak

_TRUTH, _TRAIN = (512, 300), (1024, 1500)  # longest side in px, and features kept
_CONTRAST = 0.02
_NEAR, _RATIO = 0.6, 0.8  # distance, and distance over that of the second nearest
_FEWEST, _CANDIDATES = 4, 10  # matches of a candidate; candidates for a training picture
_SCALES = (1 / 16, 16)  # of the test picture in the training picture
_PIXELS = 3.0  # that a feature may lie off


class CropLeak(NamedTuple):
    """A test picture and a training picture that holds it."""

    truth: Path
    train: Path
    agreeing: int
    """Features of the two that agree on one similarity transform."""
    mirrored: bool


class _Features(NamedTuple):
    points: np.ndarray  # (n, 2), px
    descriptors: np.ndarray  # (n, 128), of length 1


def find_crops(truths: Sequence[Path], train: Sequence[Path], threads: int = 4) -> list[CropLeak]:
    """The truths that are parts of training pictures, one leak each: where most features agree.

    Raises:
        ImageError: a file cannot be read.
    """
    if not truths or not train:
        return []
    same: dict[bytes, list[Path]] = {}  # sets share truths
    for truth in dict.fromkeys(truths):
        same.setdefault(sha256(read_pixels(truth).tobytes()).digest(), []).append(truth)
    asked = [(group, mirrored) for group in same.values() for mirrored in (False, True)]
    with ThreadPoolExecutor(threads) as pool:
        known = list(pool.map(lambda a: _features(a[0][0], *_TRUTH, mirrored=a[1]), asked))
        if not any(len(features.points) for features in known):
            return []
        index = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 48})  # k-d trees
        index.add([features.descriptors for features in known])
        index.train()
        best: dict[Path, CropLeak] = {}
        for path, seen in zip(train, pool.map(lambda p: _features(p, *_TRAIN), train), strict=True):
            for place in _candidates(index, seen):
                group, mirrored = asked[place]
                agreeing = _agreeing(known[place], seen)
                least = best[group[0]].agreeing + 1 if group[0] in best else AGREEING
                if agreeing >= least:
                    best |= {t: CropLeak(t, path, agreeing, mirrored) for t in group}
    return [best[truth] for truth in dict.fromkeys(truths) if truth in best]


def _features(path: Path, side: int, count: int, mirrored: bool = False) -> _Features:
    image = Image.fromarray(read_pixels(path)).convert("L")
    image.thumbnail((side, side), Image.Resampling.BOX)
    pixels = np.asarray(image)[:, ::-1] if mirrored else np.asarray(image)
    sift = cv2.SIFT.create(count, contrastThreshold=_CONTRAST)
    points, descriptors = sift.detectAndCompute(np.ascontiguousarray(pixels), None)
    if descriptors is None:
        return _Features(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    shares = descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1)
    return _Features(
        np.array([p.pt for p in points], np.float32), np.sqrt(shares, dtype=np.float32)
    )


def _candidates(index: cv2.FlannBasedMatcher, seen: _Features) -> list[int]:
    """Numbers of the truths that most features of a training picture are nearest to."""
    if not len(seen.points):
        return []
    near = index.match(seen.descriptors)
    votes = Counter(match.imgIdx for match in near if match.distance < _NEAR)
    return [place for place, count in votes.most_common(_CANDIDATES) if count >= _FEWEST]


def _agreeing(truth: _Features, seen: _Features) -> int:
    """Matches of two pictures that agree on one similarity transform, each place counted once."""
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(truth.descriptors, seen.descriptors, 2)
    good = [a for a, b in pairs if a.distance < min(_NEAR, _RATIO * b.distance)]
    if len(good) < _FEWEST:
        return 0
    ours = truth.points[[m.queryIdx for m in good]]
    theirs = seen.points[[m.trainIdx for m in good]]
    transform, inside = cv2.estimateAffinePartial2D(
        ours, theirs, method=cv2.RANSAC, ransacReprojThreshold=_PIXELS
    )
    if transform is None or not _SCALES[0] < np.hypot(*transform[:, 0]) < _SCALES[1]:
        return 0
    return len(np.unique(theirs[inside.ravel() > 0].round(), axis=0))
