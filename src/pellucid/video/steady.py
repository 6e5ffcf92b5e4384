"""Steady a restored film: what is left of noise, rain and snow is averaged along the motion (ours).

Frames are moved onto each other by optical flow (DIS: Kroeger et al., ECCV 2016, as in OpenCV).
First a frame becomes the median of itself and its two neighbours, which removes what was there for
one frame only, such as a drop of rain. Then it is blended with the blended frame before it. Both
are done in so far as the moved frames agree: what moves otherwise, or was hidden, stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np

from pellucid.imaging.photo import LUMA
from pellucid.video.frames import Frame

SHARE = 0.7  # of the frame before in a blend, where both agree
AGREE = 0.06  # mean difference in a box at which agreement has fallen to 1/e
BOX = 7  # px
SMALLEST = 16  # px; DIS has no patches in a smaller picture


def steadied(frames: Iterable[Frame], starts: Iterable[int]) -> Iterator[Frame]:
    """The same frames, steadied within their shots; three are held at a time.

    Args:
        frames: restored, in order.
        starts: indices of the frames with which shots begin.
    """
    first = set(starts)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    before: Frame | None = None  # blended already
    current: Frame | None = None
    for after in frames:
        if current is not None:
            following = None if after.index in first else after
            before = _blended(flow, before, current, following)
            yield before
            if following is None:
                before = None
        current = after
    if current is not None:
        yield _blended(flow, before, current, None)


def _blended(
    flow: cv2.DISOpticalFlow, before: Frame | None, current: Frame, after: Frame | None
) -> Frame:
    if before is None or min(current.pixels.shape[:2]) < SMALLEST:
        return current
    pixels = current.pixels
    past = _moved(flow, before.pixels, pixels)
    if after is not None:
        future = _moved(flow, after.pixels, pixels)
        low, high = np.minimum(past, future), np.maximum(past, future)
        middle = np.clip(pixels, low, high)  # the median of three
        pixels = pixels + _agreement(past, future) * (middle - pixels)
    pixels = pixels + SHARE * _agreement(past, pixels) * (past - pixels)
    return current.with_pixels(pixels)


def _moved(flow: cv2.DISOpticalFlow, picture: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """A picture moved onto another one, both float32 `(H, W, 3)` in [0, 1]."""
    field = flow.calc(_grey(onto), _grey(picture), None)  # pyright: ignore
    rows, columns = np.indices(onto.shape[:2], dtype=np.float32)
    field[..., 0] += columns
    field[..., 1] += rows
    moved = cv2.remap(picture, field, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)  # pyright: ignore
    return np.clip(moved, 0, 1, out=moved)


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.rint((picture @ LUMA) * 255).clip(0, 255).astype(np.uint8)


def _agreement(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How far two pictures agree, `(H, W, 1)` in [0, 1]."""
    difference = cv2.blur(np.abs(a - b).mean(axis=2), (BOX, BOX))
    return np.exp(-np.square(difference / AGREE))[..., None]
