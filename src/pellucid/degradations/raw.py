"""To a camera's raw values and back: unprocessing (Brooks et al., CVPR 2019), noise, simple ISP.

Matrices, gains and noise levels are those of the official code (google-research, `unprocessing`).
Differs from it: values are not clipped on the way to raw and highlights keep the plain gain, so
that a picture without noise comes back exactly; only the noise is mosaicked and demosaicked, so
that it is correlated as in a camera and the scene stays as sharp as it is.
"""

from dataclasses import dataclass

import numpy as np

from .fields import GAMMA

_RGB_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
# of four cameras of the Darmstadt noise data set
_XYZ_TO_CAMERA = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.613, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.838, -0.263, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.097, 0.1581, 0.5181]],
    ]
)


@dataclass(frozen=True)
class Camera:
    """One camera in one light: colour matrix (3, 3), RGB to camera, and gains (3,) to white."""

    matrix: np.ndarray
    gains: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator) -> "Camera":
        """A mean of four cameras' matrices with random weights; random gains."""
        weights = rng.uniform(1e-8, 1e8, 4)
        mixed = np.tensordot(weights / weights.sum(), _XYZ_TO_CAMERA, 1) @ _RGB_TO_XYZ
        gain = 1 / max(rng.normal(0.8, 0.1), 0.4)
        gains = gain * np.array([rng.uniform(1.9, 2.4), 1.0, rng.uniform(1.5, 1.9)])
        matrix = mixed / mixed.sum(axis=1, keepdims=True)
        return cls(matrix.astype(np.float32), gains.astype(np.float32))

    def unprocess(self, image: np.ndarray) -> np.ndarray:
        """sRGB `(H, W, 3)` in [0, 1] to linear camera values; saturated colours may be < 0."""
        toned = 0.5 - np.sin(np.arcsin(1 - 2 * np.clip(image, 0, 1)) / 3)  # inverse of 3x2 - 2x3
        return (np.maximum(toned, 1e-8) ** np.float32(GAMMA)) @ self.matrix.T / self.gains

    def process(self, raw: np.ndarray) -> np.ndarray:
        """White balance, colour matrix, gamma 2.2 and tone curve; sRGB in [0, 1]."""
        linear = (raw * self.gains) @ np.linalg.inv(self.matrix).T
        x = np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)
        return (x * x * (3 - 2 * x)).astype(np.float32)


def noise_levels(rng: np.random.Generator, least: float, most: float) -> tuple[float, float]:
    """Shot noise (variance per unit of signal), log-uniform, and read noise (variance) that goes
    with it in the cameras of the Darmstadt set.

    The official range of shot noise is 0.0001 to 0.012.
    """
    shot = rng.uniform(np.log(least), np.log(most))
    read = rng.normal(2.18 * shot + 1.20, 0.26)
    return float(np.exp(shot)), float(np.exp(read))


def sensor_noise(
    raw: np.ndarray, shot: float, read: float, rng: np.random.Generator, mosaic: bool = True
) -> np.ndarray:
    """Noise `(H, W, 3)` of variance `shot * raw + read`; with `mosaic`, one value a pixel of
    a Bayer grid, demosaicked bilinearly."""
    noise = rng.standard_normal(raw.shape, dtype=np.float32)
    noise *= np.sqrt(np.float32(shot) * np.maximum(raw, 0) + np.float32(read))
    return demosaic(noise, rng.integers(2, size=2)) if mosaic else noise


def demosaic(image: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Keep of each pixel of `(H, W, 3)` what a Bayer sensor measures; interpolate it bilinearly.

    Red is measured where row and column differ from `start` (two of 0, 1) by even numbers.
    """
    h, w = image.shape[:2]
    row = (np.arange(h)[:, None] + start[0]) % 2 == 0
    column = (np.arange(w)[None] + start[1]) % 2 == 0
    sites = np.stack([row & column, row ^ column, ~row & ~column], axis=-1)
    x = np.pad(image * sites, ((1, 1), (1, 1), (0, 0)), mode="reflect" if min(h, w) > 1 else "edge")
    up, mid, down = x[:-2], x[1:-1], x[2:]
    green = mid[:, 1:-1, 1] + 0.25 * (
        up[:, 1:-1, 1] + down[:, 1:-1, 1] + mid[:, :-2, 1] + mid[:, 2:, 1]
    )
    columns = 0.5 * (up + down)[..., ::2] + mid[..., ::2]
    others = 0.5 * (columns[:, :-2] + columns[:, 2:]) + columns[:, 1:-1]
    return np.stack([others[..., 0], green, others[..., 1]], axis=-1)
