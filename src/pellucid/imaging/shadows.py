"""Find a cast shadow by what it is made of, light that is missing, and give it back (ours).

Where the sun is covered, the sky still shines. So along the whole border of a cast shadow the light
changes by one ratio, larger in red than in blue, and the ground goes on with its texture. The
border of a dark thing has another ratio at every place, and another colour.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 160  # px along the longer side, at about which it is looked for
FLOOR = 0.004  # is added to linear light, so that black has a logarithm
SHARE = (0.03, 0.85)  # of a picture that is in shadow
APART = 0.75  # least share of the variance of light that the two parts explain
DARKER = (0.5, 2.3)  # logarithm of the ratio of light
STEADY = 0.3  # three quarters of the border differ less than this from the ratio, in its parts
COLOUR = 0.18  # and in colour less than this, a difference of logarithms
BLUER = (0.1, 0.9)  # by which red is darkened more than blue, a difference of logarithms
LEAST = 0.3  # that is missing of each colour
TINT = 0.12  # most by which green differs from the mean
TEXTURE = (0.5, 2.5)  # contrast of details in the shadow, in parts of that outside
PLAIN = 0.01  # least contrast of details: what is exactly even is no ground
BAND = 5  # px on either side of the border
FINE = 1024  # px along the longer side, at about which the border is followed
FOLLOWED = 1 / 64  # reach of the guided filter, in parts of the longer side
SMOOTH = 0.05  # its regularisation
LOCAL = 1 / 48  # reach of the mean from which details differ, in parts of the longer side
ROWS = 256  # that are relit at once


class Shadow(NamedTuple):
    """A cast shadow: where it is, and how much light is missing there.

    `mask` is bool, of the picture at `SIDE` px; `missing` are the logarithms of the ratios of light
    `(3,)`, red, green and blue.
    """

    mask: np.ndarray
    missing: np.ndarray

    def over(self, shape: tuple[int, ...]) -> np.ndarray:
        """Where it is in the whole picture: float32 of its shape `(H, W)`, in [0, 1]."""
        return _resized(self.mask.astype(np.float32), shape).clip(0, 1)


def cast_shadow(image: np.ndarray) -> Shadow | None:
    """The cast shadow of a picture, if one is in it with all of its border's signs.

    Soft shadows, shadows over grounds of several colours and those of lamps are not found.

    Args:
        image: `(H, W, 3)` float32 RGB in [0, 1], with the gamma of a display.
    """
    light = _light(_reduced(image, SIDE))
    if min(light.shape[:2]) < 4 * BAND:
        return None
    grey = light.mean(axis=2)
    smooth = _mean(_mean(grey, 1), 1)
    dark = _opened(_darker(smooth))
    if dark is None:
        return None
    inside, outside = _shrunk(dark, 2), _shrunk(~dark, 2)
    border = dark & ~_shrunk(dark, 1)
    steps, known = np.zeros((3, *dark.shape), np.float32), border
    for side, sign in ((outside, 1), (inside, -1)):
        there = _mean(side.astype(np.float32), BAND)
        known = known & (there > 0.08)
        for channel in range(3):
            held = _mean(light[..., channel] * side, BAND) / np.maximum(there, 1e-3)
            steps[channel] += sign * held
    ratios = steps[:, known]
    if ratios.shape[1] < 100:
        return None
    ratio = ratios.mean(axis=0)
    middle = float(np.median(ratio))
    colours = ratios - ratio
    tint = np.median(colours, axis=1)
    uneven = float(np.percentile(np.abs(ratio - middle), 75)) / max(middle, 0.1)
    coloured = float(np.percentile(np.abs(colours - tint[:, None]).max(axis=0), 75))
    details = np.abs(grey - _mean(grey, 2))
    within, without = (float(np.median(details[side])) for side in (inside, outside))
    signs = (
        DARKER[0] <= middle <= DARKER[1]
        and uneven <= STEADY
        and coloured <= COLOUR
        and BLUER[0] <= tint[0] - tint[2] <= BLUER[1]
        and float(np.median(ratios, axis=1).min()) >= LEAST
        and abs(tint[1]) <= TINT
        and without >= PLAIN
        and TEXTURE[0] * without <= within <= TEXTURE[1] * without
    )
    return Shadow(dark, np.median(ratios, axis=1)) if signs else None


def relit(image: np.ndarray, shadow: Shadow) -> np.ndarray:
    """Give a cast shadow its light back.

    In the half-shadow at the border the brightness follows the logarithm of the light, and the
    colour is that of a part of the sun. Details, which are stronger under the sky alone, get the
    contrast of those outside.

    Args:
        image: `(H, W, 3)` float32 RGB in [0, 1], in which the shadow was found.
        shadow: the shadow.

    Returns:
        float32 of the same shape, in [0, 1].
    """
    share, contrast = _followed(image, shadow)
    mean = float(shadow.missing.mean())
    kept = np.exp(-shadow.missing)  # of the light
    reach = max(1, round(LOCAL * max(image.shape[:2])))
    result = image.copy()
    for top in range(0, len(image), ROWS):
        rows = slice(top, top + ROWS)
        if not share[rows].any():
            continue
        above = min(top, reach)
        part = slice(top - above, top + ROWS + reach)
        there = share[part, :, None]
        light = _light(image[part])
        grey = light.mean(axis=2)
        light -= ((1 - contrast) * (grey - _mean(grey, reach)))[..., None] * there
        sun = (1 - np.exp(-there * mean)) / (1 - np.exp(-mean))  # the part that is covered
        linear = np.exp(light) / (1 - sun * (1 - kept)) - FLOOR
        lit = np.sqrt(linear.clip(0, 1))[above : above + ROWS]
        result[rows] = np.where(share[rows, :, None] > 0, lit, image[rows])
    return result


def _followed(image: np.ndarray, shadow: Shadow) -> tuple[np.ndarray, float]:
    """How far each place is in the shadow, `(H, W)` in [0, 1], by a guided filter (He, Sun and
    Tang, ECCV 2010); and the contrast of details outside, in parts of that inside, at most 1."""
    grey = _light(_reduced(image, FINE)).mean(axis=2)
    longer = max(grey.shape)
    guide, mask = _mean(grey, 1), _resized(shadow.mask.astype(np.float32), grey.shape)
    reach = max(1, round(FOLLOWED * longer))
    means = _mean(guide, reach), _mean(mask, reach)
    slope = _mean(guide * mask, reach) - means[0] * means[1]
    slope /= _mean(guide * guide, reach) - means[0] ** 2 + np.float32(SMOOTH)
    share = _mean(slope, reach) * guide + _mean(means[1] - slope * means[0], reach)
    share = share.clip(0, 1)
    details = np.abs(grey - _mean(grey, max(1, round(LOCAL * longer))))
    within, without = details[share > 0.9], details[share < 0.1]
    contrast = 1.0
    if within.size and without.size:
        contrast = float(np.median(without) / max(float(np.median(within)), 1e-6))
    return _resized(share, image.shape[:2]).clip(0, 1), min(1.0, max(0.5, contrast))


def _resized(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = shape[1], shape[0]
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def _light(image: np.ndarray) -> np.ndarray:
    """Logarithm of linear light; the gamma of a display is about 2."""
    return np.log(np.square(image) + np.float32(FLOOR))


def _reduced(image: np.ndarray, side: int) -> np.ndarray:
    """Means of blocks, so that the longer side has about `side` px."""
    step = max(1, round(max(image.shape[:2]) / side))
    rows, columns = image.shape[0] // step, image.shape[1] // step
    cut = image[: rows * step, : columns * step]
    return cut.reshape(rows, step, columns, step, 3).mean(axis=(1, 3))


def _darker(grey: np.ndarray) -> np.ndarray | None:
    """The darker of two parts by the threshold that explains most variance (Otsu, 1979)."""
    values = np.sort(grey.ravel()).astype(np.float64)
    count = np.arange(1, values.size)
    total = np.cumsum(values)
    share = count / values.size
    means = total[:-1] / count, (total[-1] - total[:-1]) / (values.size - count)
    between = share * (1 - share) * np.square(means[1] - means[0])
    between[(share < SHARE[0]) | (share > SHARE[1])] = 0
    best = int(between.argmax())
    if between[best] < APART * max(float(values.var()), 1e-9):
        return None
    return grey <= values[best]


def _opened(mask: np.ndarray | None) -> np.ndarray | None:
    """A mask without its specks; None if the share that is left is outside `SHARE`."""
    if mask is None:
        return None
    mask = ~_shrunk(~_shrunk(mask, 1), 1)
    return mask if SHARE[0] <= mask.mean() <= SHARE[1] else None


def _shrunk(mask: np.ndarray, reach: int) -> np.ndarray:
    """A mask without what is within `reach` px of its outside, in a square."""
    return _mean(mask.astype(np.float32), reach) > 1 - 0.5 / (2 * reach + 1) ** 2


def _mean(image: np.ndarray, reach: int) -> np.ndarray:
    """Means of the squares of 2 `reach` + 1 px around each place; edges are repeated."""
    side = 2 * reach + 1
    for axis in (0, 1):
        widths = [(reach + (a == axis), reach) if a == axis else (0, 0) for a in (0, 1)]
        total = np.cumsum(np.pad(image, widths, "edge"), axis=axis, dtype=np.float64)
        upper = np.take(total, np.arange(side, total.shape[axis]), axis)
        lower = np.take(total, np.arange(total.shape[axis] - side), axis)
        image = ((upper - lower) / side).astype(np.float32)
    return image
