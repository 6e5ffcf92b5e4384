"""Camera shake (``motion-blurry``): the sensor sums linear light along a random trajectory."""

import numpy as np

from .fields import GAMMA, convolve, splat

MAX_LENGTH = 32.0  # extent of the trajectory in px at severity 1


def shake(rng: np.random.Generator, points: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A smooth random trajectory: x, y with the larger extent scaled to 1, centred.

    Velocity is a constant drift plus an inertial random walk, so that most paths are gently bent
    and some turn back.
    """
    heading = rng.uniform(0, 2 * np.pi)
    wobble = rng.uniform(0, 1.2)
    jerk = rng.standard_normal((2, points))
    walk = np.cumsum(jerk, axis=1) / np.sqrt(points)
    velocity = np.stack([np.full(points, np.cos(heading)), np.full(points, np.sin(heading))])
    path = np.cumsum(velocity + wobble * walk, axis=1)
    path -= (path.max(axis=1, keepdims=True) + path.min(axis=1, keepdims=True)) / 2
    path /= np.ptp(path, axis=1).max() + 1e-9
    # Resample so that a short kernel is still covered by more points than pixels.
    fine = np.linspace(0, points - 1, 8 * points)
    return tuple(np.interp(fine, np.arange(points), axis) for axis in path)


def motion_blurry(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Blur along one shake of ``32 * severity`` px extent, in linear light (display gamma 2.2)."""
    x, y = shake(rng)
    length = MAX_LENGTH * severity * rng.uniform(0.7, 1.0)
    kernel = splat(x * length, y * length)
    linear = convolve(image**GAMMA, kernel)
    return np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)
