"""Estimators of noise, JPEG and blur from pixels alone; used by `evidence`.

All take windows of one picture in levels of 255, float32: `luma` `(n, H, W)` and `planes`
`(3, n, H, W)` of red, green and blue, cut so that they agree on the 8 x 8 grid of a JPEG file.
`known` is bool `(n, H, W)`, False in holes, or None.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK = 8
# Annex K of ITU-T T.81, luminance, which libjpeg scales by quality.
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


def dct_matrix(n: int) -> np.ndarray:
    """The orthonormal DCT-II `(n, n)`, a row a frequency."""
    k, x = np.mgrid[0:n, 0:n]
    matrix = np.cos(np.pi * k * (2 * x + 1) / (2 * n)) * np.sqrt(2 / n)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def blocks(windows: np.ndarray, size: int) -> np.ndarray:
    """`(n, H, W)` to `(m, size, size)`, without overlap, what does not fit left out."""
    n, height, width = windows.shape
    rows, columns = height // size, width // size
    cut = windows[:, : rows * size, : columns * size]
    cut = cut.reshape(n, rows, size, columns, size).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(cut).reshape(-1, size, size)


# ---- noise ----


PATCH = 16  # px
FLATTEST = 0.1  # share of the patches
CLIPPED = 0.02  # most share of values at the ends of the range
REACH = 17  # px, how far apart the dots of a print are looked for
SCREEN = 0.2  # from which share of returning dots on they are a print's
LOST = 0.99  # from which share on they tell nothing: single stars, halftone, line drawings
# White noise: as strong as this at the least (levels of 255), with this share of it in the highest
# frequencies, no more kurtosis than this, and in dark parts this share of the bright ones' sigma,
# or the reverse.
SEEN = 3.0
FINE = 0.85
TAILS = 8.0
EQUAL = 0.6


@dataclass(frozen=True)
class Noise:
    """Noise, and what cannot be told from it, in the flattest parts of a picture.

    Standard deviations in levels of 255, means over the channels: `sigma` of all that is finer
    than the patch (an upper bound: fine texture is in it), `fine` of the highest frequencies
    alone, scaled to equal sigma for white noise; correlated noise has less, texture much less.
    `channels` is sigma of red, green and blue. `common` in [-1, 1] is the mean correlation of
    the channels (1: grey noise), `lag` in [-1, 1] that of neighbouring pixels (0: white noise).
    `dark` and `bright` are sigma in the darker and in the brighter half. `tails` is the kurtosis:
    3 for Gaussian noise, more for single values far off.
    """

    sigma: float = 0.0
    fine: float = 0.0
    channels: tuple[float, float, float] = (0.0, 0.0, 0.0)
    common: float = 0.0
    lag: float = 0.0
    dark: float = 0.0
    bright: float = 0.0
    tails: float = 0.0

    @property
    def white(self) -> bool:
        """Whether it is white Gaussian noise of 3 levels or more (ours).

        Of Gaussian noise on photographs 0.86 and more is as fine, after coarse JPEG less, of
        noise that was blurred 0.72 and less. Single values have tails of 14 and more.
        """
        if self.fine < max(SEEN, FINE * self.sigma) or self.tails > TAILS:
            return False
        return EQUAL <= self.dark / max(self.bright, 1e-6) <= 1 / EQUAL


def noise_of(luma: np.ndarray, planes: np.ndarray, known: np.ndarray | None = None) -> Noise:
    """Noise by the flattest patches (selection of weak texture as by Liu, Tanaka and Okutomi, TIP
    2013; here by the energy above the lowest frequencies).

    Patches are chosen in either half of the brightness, so that noise which grows with the light
    is not taken from the shadows alone. Patches that are clipped, even, or in a hole tell nothing,
    nor do those with black blocks of JPEG: beside these is a star on black, with its ripples.
    `fine` is by Immerkaer's operator (CVIU 1996).
    """
    n, height, width = luma.shape
    flat = blocks(luma, PATCH).reshape(-1, PATCH * PATCH)
    basis = _smooth_basis(PATCH)
    energy = (flat * flat).sum(axis=1) - ((flat @ basis) ** 2).sum(axis=1)
    variance = energy / (PATCH * PATCH - basis.shape[1])
    usable = variance > 1e-3
    if known is not None:
        usable &= blocks(known, PATCH).all(axis=(1, 2))
    clipped = ((flat < 2) | (flat > 253)).mean(axis=1)
    usable &= (clipped < LOST) & (_black_blocks(flat) < 0.5)
    clear = usable & (clipped < CLIPPED)
    kept = np.flatnonzero(clear if clear.sum() >= 8 else usable)
    if len(kept) < 2:
        return Noise()
    brightness = flat[kept].mean(axis=1)
    middle = np.median(brightness)
    halves = []
    for half in (kept[brightness <= middle], kept[brightness > middle]):
        order = half[np.argsort(variance[half])]
        halves.append(order[: max(2, int(FLATTEST * len(order)))])
    rows, columns = height // PATCH, width // PATCH
    cut = planes[:, :, : rows * PATCH, : columns * PATCH]
    cut = cut.reshape(3, n, rows, PATCH, columns, PATCH)
    window, row, column = np.unravel_index(np.concatenate(halves), (n, rows, columns))
    patches = cut[:, window, row, :, column].transpose(1, 0, 2, 3)  # (3, m, PATCH, PATCH)
    return _described(patches, basis, len(halves[0]))


def _black_blocks(flat: np.ndarray) -> np.ndarray:
    """Share of the 8 x 8 blocks of patches `(m, PATCH * PATCH)` that are black."""
    side = PATCH // BLOCK
    parts = flat.reshape(-1, side, BLOCK, side, BLOCK)
    return (parts.max(axis=(2, 4)) < 2).mean(axis=(1, 2))


def _smooth_basis(size: int) -> np.ndarray:
    """Orthonormal `(size * size, 6)`: products of DCT rows of frequency u + v < 3, which are
    taken for the scene."""
    rows = dct_matrix(size)
    pairs = [(u, v) for u in range(3) for v in range(3) if u + v < 3]
    return np.stack([np.outer(rows[u], rows[v]).ravel() for u, v in pairs], axis=1)


def _described(patches: np.ndarray, basis: np.ndarray, dark: int) -> Noise:
    """Noise of patches `(3, m, size, size)`, the first `dark` of which are the dark ones."""
    flat = patches.reshape(*patches.shape[:2], -1)
    rest = flat - (flat @ basis) @ basis.T
    freedom = 1 - basis.shape[1] / rest.shape[2]
    variances = (rest**2).mean(axis=2) / freedom  # (3, m)
    channels = np.sqrt(variances.mean(axis=1))
    laplacian = np.diff(np.diff(patches, 2, axis=2), 2, axis=3)
    square = rest.reshape(patches.shape)
    near = (square[:, :, 1:] * square[:, :, :-1]).mean() + (
        square[..., 1:] * square[..., :-1]
    ).mean()
    power = max(float((rest**2).mean()), 1e-9)
    bright = variances[:, dark:] if dark < variances.shape[1] else variances  # all equally bright
    pairs = [(rest[i] * rest[j]).mean() for i, j in ((0, 1), (1, 2), (0, 2))]
    norms = [channels[i] * channels[j] * freedom for i, j in ((0, 1), (1, 2), (0, 2))]
    return Noise(
        sigma=float(np.sqrt(variances.mean())),
        fine=float(np.sqrt((laplacian**2).mean()) / 6),
        channels=(float(channels[0]), float(channels[1]), float(channels[2])),
        common=float(np.mean([p / max(n, 1e-9) for p, n in zip(pairs, norms, strict=True)])),
        lag=float(near) / (2 * power),
        dark=float(np.sqrt(variances[:, :dark].mean())),
        bright=float(np.sqrt(bright.mean())),
        tails=float((rest**4).mean()) / power**2,
    )


def impulses_of(planes: np.ndarray, known: np.ndarray | None = None) -> float:
    """Share of values, in [0, 1], that are black or white and alone: at least three of the four
    neighbours in the channel are 40 levels away or more. 0 where nearly all values are black or
    white, and where they lie on a grid, as the dots of a print do."""
    height, width = planes.shape[2:]
    flat = planes.reshape(-1)
    if min(height, width) < 3 or ((flat < 4) | (flat > 251)).mean() >= LOST:
        return 0.0
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    alone = np.zeros(planes.shape, bool)
    for extreme, sign in ((planes > 251, 1), (planes < 4, -1)):
        if known is not None:
            extreme &= known
        at = np.flatnonzero(extreme)
        at = at[inside.reshape(-1)[at % (height * width)]]
        value = sign * flat[at] - 40
        away = sum((value >= sign * flat[at + o]).view(np.int8) for o in (-1, 1, -width, width))
        alone.reshape(-1)[at[away >= 3]] = True
    return 0.0 if _repeats(alone.max(axis=0)) else float(alone.mean())


def _repeats(places: np.ndarray) -> bool:
    """Whether places `(n, H, W)` lie on a grid, as the dots of a print do, and noise does not."""
    share = places.mean()
    if share < 1e-3:
        return False
    spectrum = np.abs(np.fft.rfft2(places - share)) ** 2
    returns = np.fft.irfft2(spectrum.mean(axis=0), places.shape[1:])[:REACH, :REACH]
    returns = returns / returns[0, 0]
    returns[:2, :2] = 0
    return float(returns.max() - returns.mean()) > SCREEN


# ---- JPEG ----


@dataclass(frozen=True)
class Grid:
    """The 8 x 8 grid of a JPEG file in the pixels.

    `strength` is the excess of the steps at the grid's lines over their neighbours', less that
    of the other phases, in levels of 255: about 0.1 to 0.3 without a grid, 1 at quality 75, 3 at
    30. `phase` is (row, column) of the first line, each in 0..7. `quality` is that of libjpeg,
    4..95, of which the DCT coefficients are multiples, None where they fit none.
    """

    strength: float = 0.0
    phase: tuple[int, int] = (0, 0)
    quality: int | None = None


def grid_of(luma: np.ndarray) -> Grid:
    """Phase and strength as in Wang, Sheikh and Bovik (ICIP 2002), for every phase (Fan and de
    Queiroz, TIP 2003); quality by the periods of the coefficients (the latter)."""
    profiles = [_steps(luma), _steps(luma.transpose(0, 2, 1))]  # of columns, of rows
    phases = [int(p.argmax()) for p in profiles]
    pairs = zip(profiles, phases, strict=True)
    strength = min(profile[phase] - np.delete(profile, phase).mean() for profile, phase in pairs)
    column, row = phases
    quality = _quality(luma[:, row:, column:])
    if quality is None and (row, column) != (0, 0):  # a grid too faint to be seen by its lines
        quality = _quality(luma)
        if quality is not None:
            row = column = 0
    return Grid(float(strength), (row, column), quality)


def _steps(luma: np.ndarray) -> np.ndarray:
    """`(8,)`: the mean excess of |step| into column 8 k + i over its neighbours, by i."""
    steps = np.minimum(np.abs(np.diff(luma, axis=2)), 40)  # into columns 1..
    excess = steps[..., 1:-1] - 0.5 * (steps[..., :-2] + steps[..., 2:])  # into columns 2..
    columns = excess.mean(axis=(0, 1))
    phases = (np.arange(len(columns)) + 2) % BLOCK
    return np.bincount(phases, columns, BLOCK) / np.bincount(phases, minlength=BLOCK)


QUALITIES = np.arange(4, 96)
FREQUENCIES = [(u, v) for u in range(5) for v in range(5) if 0 < u + v < 5]


def quantisation(quality: np.ndarray) -> np.ndarray:
    """Luminance tables `(n, 8, 8)` of libjpeg at the qualities `(n,)`."""
    quality = np.asarray(quality, np.float32)
    scale = np.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    return np.clip(np.floor((LUMA_TABLE * scale[:, None, None] + 50) / 100), 1, 255)


def _quality(luma: np.ndarray) -> int | None:
    """The lowest quality of whose steps the coefficients are multiples."""
    parts = blocks(luma, BLOCK)
    parts = parts[:: max(1, len(parts) // 768)]
    matrix = dct_matrix(BLOCK)
    coefficients = matrix @ (parts - 128) @ matrix.T
    tables = quantisation(QUALITIES)
    cosines, places = np.zeros(len(QUALITIES)), np.zeros(len(QUALITIES))
    for u, v in FREQUENCIES:
        values = coefficients[:, u, v]
        step = tables[:, u, v]
        values = values[np.abs(values) > 0.6]
        fit = np.cos(2 * np.pi * values / step[:, None])
        counts = np.abs(values) > 0.5 * step[:, None]  # what is near zero fits every large step
        cosines += (fit * counts).sum(axis=1)
        places += counts.sum(axis=1)
    score = np.where(places >= 60, cosines / np.maximum(places, 1), 0)
    best = score.max()
    if best < 0.5:  # 1, were it not for the rounding to pixels
        return None
    return int(QUALITIES[np.flatnonzero(score >= 0.9 * best)[0]])


# ---- blur ----


def blur_of(luma: np.ndarray) -> float:
    """How much is lost by a further blur, in [0, 1]: 0 everything, 1 nothing (Crete et al., 2007).

    Sharp photographs have about 0.2 to 0.4, blurred ones more; noise makes it lower.
    """
    return float(max(_crete(luma), _crete(luma.transpose(0, 2, 1))))


def _crete(luma: np.ndarray) -> float:
    sums = np.cumsum(luma, axis=2, dtype=np.float32)
    blurred = (sums[..., 9:] - sums[..., :-9]) / 9  # centred on columns 5..
    sharp = np.abs(np.diff(luma[..., 5 : 5 + blurred.shape[2]], axis=2))
    soft = np.abs(np.diff(blurred, axis=2))
    lost = np.maximum(sharp - soft, 0).sum(dtype=np.float64)
    return 1 - float(lost / max(sharp.sum(dtype=np.float64), 1e-6))
