"""Rain falls in one direction: what a restoration takes away besides such streaks stays (ours).

A network that has learned rain also takes hair, grass and furrows for it. What it takes away there
has all directions. So the light that was taken away is opened by short lines (Soille 2003: minimum,
then maximum, along a line), and the direction in which most of it is left is that of the rain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

STEP = 7.5  # degrees between two directions
LONG = 15  # px, of the lines that tell the direction
SHORT = 9  # px, of those that streaks must hold
LOOK = 768  # px: the direction is read in a square of this side, in the middle
# The light that is left in the direction of the rain, in parts of the mean of all directions. Below
# this there is none; the larger it is, the more of what was taken away is believed.
TOGETHER = 1.3
BELIEVED = 1.5  # least factor on the share of light that is left
FLOOR = 4e-6  # of light, so that none has a share


def without_texture(image: np.ndarray, restored: np.ndarray) -> np.ndarray | None:
    """A derained picture with the texture given back that was taken away with the rain.

    Args:
        image: with rain, float32 `(H, W, 3)`.
        restored: without, of the same shape.

    Returns:
        the same, or None where what was taken away has no one direction.
    """
    removed = image - restored
    light = removed.mean(axis=2).clip(0, None)
    top, left = (max(0, (side - LOOK) // 2) for side in light.shape)
    look = light[top : top + LOOK, left : left + LOOK]
    angles = np.deg2rad(np.arange(-90.0, 90.0, STEP))
    held = np.array([_opened(look, angle, LONG).mean() for angle in angles])
    best, mean = int(held.argmax()), float(held.mean())
    if held[best] <= TOGETHER * mean:
        return None
    near = [angles[(best + turn) % len(angles)] for turn in (-1, 0, 1)]
    streaks = np.maximum.reduce([_opened(light, angle, SHORT) for angle in near])
    believed = max(BELIEVED, (float(held[best]) / mean) ** 2 / 2)
    square = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
    streaks = _moved(streaks, square, np.maximum)
    share = (believed * streaks / (light + FLOOR)).clip(0, 1)
    share = _moved(share, square, np.add) / len(square)
    return image - share[..., None].astype(np.float32) * removed


def _opened(light: np.ndarray, angle: float, length: int) -> np.ndarray:
    """The opening of `(H, W)` by a line, `angle` from the vertical."""
    steps = np.arange(-(length // 2), length // 2 + 1)
    down, right = np.cos(angle), np.sin(angle)
    scale = max(abs(down), abs(right))  # one pixel a step
    places = zip(np.rint(down / scale * steps), np.rint(right / scale * steps), strict=True)
    line = [(int(row), int(column)) for row, column in places]
    return _moved(_moved(light, line, np.minimum), line, np.maximum)


def _moved(
    values: np.ndarray,
    offsets: list[tuple[int, int]],
    join: Callable[..., np.ndarray],
) -> np.ndarray:
    """Join copies of `(H, W)` that are moved by the offsets; the border is continued."""
    reach = max(max(abs(row), abs(column)) for row, column in offsets)
    height, width = values.shape
    padded = np.pad(values, reach, mode="edge")
    parts = (
        padded[reach + row : reach + row + height, reach + column : reach + column + width]
        for row, column in offsets
    )
    result = next(parts).copy()
    for part in parts:
        join(result, part, out=result)
    return result
