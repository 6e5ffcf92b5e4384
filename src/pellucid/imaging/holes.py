"""Find holes: regions that were filled with one even colour (ours).

A hole knows nothing of the picture around it. Across its border the picture begins at once, and
what lies one pixel further is like the first pixel, not further away from the colour of the hole.
Where light, lens or drawing made the even region (white sky, black night, paper, letters with soft
edges), the first pixel beyond is a mixture, and the next one goes on away from it. With c the
even colour, p the first known pixel and q the one behind it,

    continuation = sum sign(p - c) (q - p) / sum |p - c|

is about 0 at a hole, 1 at an edge that one pixel shares out (the mean of (1 - a) / a, a uniform),
and more at a blurred one. Graphics have sharp borders, too, but even colours on both sides of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .regions import label, row_runs

STRIP = 256  # rows
COLOURS = 4  # even colours that are looked at
LEAST_SHARE = 0.003  # of the picture, of one colour
CONTRAST = 20.0  # least mean distance of the border from the colour, levels of 255
UNLIKE = 0.33  # most |continuation| + half the differences behind the border by the step at it
UNLIKE_SMALL = 0.25  # the same for small regions, which noise makes where it clips
FLAT = 0.5  # most share of border pixels that equal the pixel behind them, weighted by the step
BAR = 0.2  # share of the picture up to which a bar along one side is a caption
SMALL = 32  # px; smaller regions are judged together
PAIRS = 24  # least number of places along a border
TINTS = 32  # least number of colours beside holes; drawings and halftones have few


@dataclass(frozen=True, eq=False)
class Holes:
    """Regions of exactly even colour with a border that no lens makes.

    `mask` is bool `(H, W)`, True where nothing is known; None without holes. `share` is of
    the picture, in [0, 1]; `count` of 8-connected regions; `sharpness` in [0, 1] is 1 minus the
    continuation behind the border (0.5 and less: an edge in a picture).
    """

    mask: np.ndarray | None = None
    share: float = 0.0
    count: int = 0
    sharpness: float = 0.0


def find_holes(codes: np.ndarray) -> Holes:
    """Holes of a picture, by the codes `(H, W)` of `codes_of`."""
    found = {}
    for colour in _frequent(codes):
        holes = _of_colour(codes, colour)
        if holes is not None:
            found[colour] = holes
    if not found or _is_impulse(found, codes.size):
        return Holes()
    shares = np.array([holes.share for holes in found.values()])
    return Holes(
        np.logical_or.reduce([holes.mask for holes in found.values()]),
        float(shares.sum()),
        sum(holes.count for holes in found.values()),
        float(shares @ [holes.sharpness for holes in found.values()] / shares.sum()),
    )


def codes_of(image: np.ndarray) -> np.ndarray:
    """`(H, W, 3)` in [0, 1] to one uint32 a pixel: its levels red + 256 green + 65536 blue."""
    four = np.zeros((*image.shape[:-1], 4), np.uint8)
    for top in range(0, len(image), STRIP):  # little memory beside the picture
        four[top : top + STRIP, :, :3] = image[top : top + STRIP] * np.float32(255) + np.float32(
            0.5
        )
    return four.view("<u4")[..., 0]


def _levels(codes: np.ndarray) -> np.ndarray:
    """Codes `(n,)` to levels, int16 `(n, 3)`."""
    return codes.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :3].astype(np.int16)


def _frequent(codes: np.ndarray) -> list[int]:
    """The colours that cover `LEAST_SHARE` of the picture, most frequent first."""
    step = max(1, codes.size // 32768) | 1  # odd: half of it is odd rows or columns
    values, counts = np.unique(codes.ravel()[::step], return_counts=True)
    order = np.argsort(-counts)[:COLOURS]
    enough = counts[order] >= LEAST_SHARE * codes.size / step
    return [int(v) for v in values[order][enough]]


def _of_colour(codes: np.ndarray, colour: int) -> Holes | None:
    """The holes of one colour."""
    mask, value = codes == colour, _levels(np.array([colour]))
    inner, first, second = _places(mask)
    if len(inner) < PAIRS:
        return _lattice(codes, mask, value)
    rows = _rows(codes, value, first, second)
    apart = np.flatnonzero(rows[1] >= CONTRAST)
    if len(apart) < PAIRS or _are_few(codes.ravel()[first[apart]]):
        return None
    labels, areas = label(mask)
    # Small regions are one group, number 0.
    group = np.where(areas < SMALL, 0, np.arange(len(areas)))
    of = group[labels.ravel()[inner]]
    sums = [np.bincount(of, weights=row, minlength=len(areas)) for row in rows]
    pairs, total = np.maximum(sums[0], 1), np.maximum(sums[1], 1e-6)
    continuation = np.abs(sums[2] / total)
    good = (sums[0] >= PAIRS) & (total / pairs >= CONTRAST) & (sums[4] / total < FLAT)
    unlike = continuation + 0.5 * sums[3] / total
    good &= unlike < UNLIKE
    good[0] &= unlike[0] < UNLIKE_SMALL
    good &= ~_frames(labels, areas)
    chosen = good[group]
    chosen[0] = False
    share = float(areas[chosen].sum() / mask.size)
    if share < LEAST_SHARE:
        return None
    weights = sums[1] * good
    sharpness = 1 - float(continuation @ weights / weights.sum())
    return Holes(chosen[labels], share, int(chosen.sum()), sharpness)


def _places(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat indices of the last even pixel, the first known and the second, in four directions."""
    width, flat = mask.shape[1], mask.ravel()
    inner, first, second = [], [], []
    for step in (1, width):
        near, middle, far = flat[: -2 * step], flat[step:-step], flat[2 * step :]
        here = np.flatnonzero((near ^ far) & ~middle)  # even, known, known, or the other way round
        if step == 1:
            here = here[here % width < width - 2]
        outward, there = flat[here], here + 2 * step
        inner.append(np.where(outward, here, there))
        first.append(here + step)
        second.append(np.where(outward, there, here))
    return np.concatenate(inner), np.concatenate(first), np.concatenate(second)


def _rows(
    codes: np.ndarray, value: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, ...]:
    """By place: 1, and means over the channels of |p - c|, sign(p - c) (q - p), |q - p|, and of
    |p - c| where p = q."""
    first, second = codes.ravel()[first], codes.ravel()[second]
    step, onward, rough = np.zeros((3, len(first)), np.float32)
    for channel in range(3):
        p, q = ((c >> 8 * channel & 255).astype(np.float32) for c in (first, second))
        away, on = p - value[0, channel], q - p
        step += np.abs(away)
        onward += np.sign(away) * on
        rough += np.abs(on)
    return np.ones(len(first)), step / 3, onward / 3, rough / 3, step / 3 * (first == second)


def _frames(labels: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """By region, whether it lines two opposite sides of the picture (letterbox, mount, paper), or
    is a bar along one."""
    found = np.zeros(len(areas), bool)
    for one, other in ((labels[0], labels[-1]), (labels[:, 0], labels[:, -1])):
        lined = []
        for side in (one, other):
            middle = int(side[len(side) // 2])
            lined.append(middle if middle and (side == middle).mean() > 0.95 else 0)
        for region in filter(None, lined):
            found[region] |= all(lined) or areas[region] < BAR * labels.size
    return found


def _lattice(codes: np.ndarray, mask: np.ndarray, value: np.ndarray) -> Holes | None:
    """The holes of one colour if known pixels are alone: every second row, column or pixel.

    What lies on both sides of an even run is alike, and unlike the even colour.
    """
    if not 0.2 <= mask.mean() <= 0.95:
        return None
    step = across = places = 0.0
    seen = []
    for m, picture in ((mask, codes), (mask.T, codes.T)):
        first, last = row_runs(m)
        inside = (first % m.shape[1] > 0) & (last % m.shape[1] < m.shape[1] - 1)
        short = inside & (last - first < 8)
        before, after = picture.ravel()[first[short] - 1], picture.ravel()[last[short] + 1]
        seen.append(before)
        before, after = _levels(before), _levels(after)
        step += np.abs(before - value).mean(axis=1).sum()
        across += np.abs(after - before).mean(axis=1).sum()
        places += len(before)
    known = np.concatenate(seen)
    if places < PAIRS or step / places < CONTRAST or across > 0.7 * step or _are_few(known):
        return None
    return Holes(mask, float(mask.mean()), len(label(mask)[1]) - 1, float(1 - across / step))


def _are_few(codes: np.ndarray) -> bool:
    """Whether the colours `(n,)` are those of a drawing."""
    seen = codes[:: max(1, len(codes) // 4096)]
    return len(np.unique(seen)) < min(TINTS, len(seen) / 4)


def _is_impulse(found: dict[int, Holes], size: int) -> bool:
    """Whether the "holes" are pixels both black and white: salt and pepper."""
    if not {0, 0xFFFFFF} <= found.keys():
        return False
    black, white = (found[c].share / found[c].count for c in (0, 0xFFFFFF))
    return max(black, white) * size < 8
