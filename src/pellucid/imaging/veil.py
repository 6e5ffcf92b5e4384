"""Falling snow also lies over a picture as a veil: what a restoration leaves of it (ours).

A veil of light `v` makes `(1 - v) * scene + v` of a scene, and grey of its black. Few scenes have
no black at all, yet a network cannot be sure and takes too little of the veil away. So where it
took light from most of the picture and left no black, the darkest places tell how much is left.
The network's own change is the bound: a scene without black loses no more than it again.
"""

from __future__ import annotations

import numpy as np

from pellucid.imaging.photo import LUMA

SEEN = 3.5 / 255  # of light taken from three quarters of the picture: there was a veil
DARKEST = 0.5  # per cent of the pixels stand for black
GREY = 20 / 255  # black that is darker is black
BLACK = 15 / 255  # what it is brought to: scenes under falling snow have little that is darker


def without_veil(image: np.ndarray, restored: np.ndarray) -> np.ndarray | None:
    """A restored picture without the veil that is left, or None if none is seen.

    Args:
        image: the picture with snow, float32 `(H, W, 3)` in [0, 1].
        restored: without the snow, of the same shape.
    """
    luma = restored @ LUMA
    taken = float(np.percentile(image @ LUMA - luma, 25))
    black = float(np.percentile(luma, DARKEST))
    if taken < SEEN or black < GREY:
        return None
    left = max(BLACK, black - taken)
    veil = np.float32((black - left) / (1 - left))
    return ((restored - veil) / (1 - veil)).clip(0, 1)
