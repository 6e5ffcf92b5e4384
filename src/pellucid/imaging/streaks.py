"""Rain falls in one direction: what a restoration takes away besides such streaks stays (ours).

A network that has learned rain also takes hair, grass and furrows for it. What it takes away there
has all directions. So the light that was taken away is opened by short lines (Soille 2003: minimum,
then maximum, along a line), and the direction in which most of it is left is that of the rain.
Where that is nearly level, it is no rain, but the joints of a wall or the boards of a fence, and
these are given back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

STEP = 7.5  # degrees between two directions
LEAN = 60.0  # degrees from the vertical, at most
LONG = 15  # px, of the lines that tell the direction
SHORT = 9  # px, of those that streaks must hold
LOOK = 768  # px: the direction is read in a square of this side, in the middle
ROWS = 512  # that are worked on at once
# Light that is left in the best direction, in parts of the mean of all: below it there is none.
TOGETHER = 1.3
# The same where the light may also be that of flakes or drops, or lies in a direction of no rain;
# and the share of all light that must be left then.
STRONG = 1.85
HELD = 0.3
# The share of light that is left counts so many times, or half the square of that ratio if it is
# more: where nearly all that was taken away are streaks, nearly all of it is believed.
BELIEVED = 1.5
FLOOR = 4e-6  # of light; the share is defined where none was taken away
SQUARE = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]


def without_texture(
    image: np.ndarray, restored: np.ndarray, rain: bool = True, upright: bool = True
) -> np.ndarray | None:
    """A restored picture with the texture given back that was taken away with rain, snow or drops.

    Away from the streaks, what the restoration made brighter is undone, too: rain only adds light.

    Args:
        image: the damaged picture, float32 `(H, W, 3)`.
        restored: without the damage, of the same shape.
        rain: it was rain alone; else what was taken away must be streaks for the most part.
        upright: light that lies level was no rain and is given back, the rest stays as it is.

    Returns:
        the same, or None where what was taken away has no one direction, or lies level in a picture
        that may not be upright.
    """
    if min(image.shape[:2]) < LONG:
        return None
    top, left = (max(0, (side - LOOK) // 2) for side in image.shape[:2])
    middle = slice(top, top + LOOK), slice(left, left + LOOK)
    light = _taken(image[middle], restored[middle])
    angles = np.deg2rad(np.arange(-90.0, 90.0, STEP))
    held = np.array([_opened(light, angle, LONG).mean() for angle in angles])
    best, mean = int(held.argmax()), float(held.mean())
    level = abs(angles[best]) > np.deg2rad(LEAN)
    if held[best] <= TOGETHER * mean or (level and not upright):
        return None
    if (level or not rain) and (held[best] < STRONG * mean or held[best] < HELD * light.mean()):
        return None
    believed = BELIEVED if level else max(BELIEVED, (float(held[best]) / mean) ** 2 / 2)
    near = angles.take(range(best - 1, best + 2), mode="wrap")  # 90 degrees are -90
    result = np.empty_like(restored)
    for first in range(0, len(image), ROWS):
        above = max(0, first - SHORT - 2)
        band = slice(above, first + ROWS + SHORT + 2)
        share = _share(_taken(image[band], restored[band]), near, believed)
        rows = slice(first, first + ROWS)
        share = share[first - above :][: len(image[rows]), :, None]
        share = 1 - share if level else share
        result[rows] = image[rows] + share * (restored[rows] - image[rows])
    return result


def _taken(image: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """The light `(H, W)` that was taken away, a mean of the channels."""
    return (image - restored).mean(axis=2).clip(0, None)


def _share(light: np.ndarray, angles: Iterable[float], believed: float) -> np.ndarray:
    """How much of the change is believed, `(H, W)` in [0, 1]."""
    streaks = np.zeros_like(light)
    for angle in angles:
        np.maximum(streaks, _opened(light, angle, SHORT), out=streaks)
    streaks = _moved(streaks, SQUARE, np.maximum)
    share = (np.float32(believed) * streaks / (light + np.float32(FLOOR))).clip(0, 1)
    return _moved(share, SQUARE, np.add) / np.float32(len(SQUARE))


def _opened(light: np.ndarray, angle: float, length: int) -> np.ndarray:
    """The opening of `(H, W)` by a line, `angle` from the vertical, `length` px from end to end."""
    down, right = np.cos(angle), np.sin(angle)
    scale = max(abs(down), abs(right))  # one pixel a step
    reach = round(length // 2 * scale)
    steps = np.arange(-reach, reach + 1) / scale
    places = zip(np.rint(down * steps), np.rint(right * steps), strict=True)
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
