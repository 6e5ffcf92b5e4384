"""A map of the damage laid over its photograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pellucid.imaging.photo import LUMA, Photo

# nothing, some, much: the colours of embers
STOPS = np.array([[0.0, 0.0, 0.0], [0.75, 0.1, 0.2], [1.0, 0.6, 0.1], [1.0, 1.0, 0.6]], np.float32)


def heat(photo: Photo, where: np.ndarray) -> Photo:
    """Show `where`, `(H, W)` in [0, 1], in colours on the grey and darkened photograph.

    The answer is an opaque RGB picture of the same size.
    """
    ground = 0.6 * (photo.pixels @ LUMA)[..., None]
    place = np.clip(where, 0, 1) * (len(STOPS) - 1)
    colours = np.stack(
        [np.interp(place, np.arange(len(STOPS)), channel) for channel in STOPS.T], axis=-1
    )
    share = np.clip(where, 0, 1)[..., None]
    pixels = ground * (1 - share) + colours.astype(np.float32) * share
    return replace(photo, pixels=pixels.astype(np.float32), alpha=None, grey=False, icc=None)
