"""Means with error bars: the bootstrap over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2000
LEVEL = 0.95
BLOCK = 1 << 20


class Estimate(NamedTuple):
    """A mean and its 95 % interval over images like these; equal bounds of a single image."""

    mean: float
    low: float
    high: float
    count: int


def estimate(groups: Sequence[Sequence[float]], seed: int = 0) -> Estimate:
    """Mean of the groups' means; one group is a plain mean.

    The interval is the percentile bootstrap (Efron and Tibshirani, An Introduction to the
    Bootstrap, chapter 13): images are drawn with replacement within each group, 2000 times. It
    says how much the number depends on which images were chosen, and nothing about training again.

    Args:
        groups: values of the images, by column; infinite ones (PSNR of equal pictures) make the
            mean infinite.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    values = [np.asarray(group, dtype=np.float64) for group in groups]
    draws = [_resampled_means(group, rng) for group in values]
    mean = float(np.mean([group.mean() for group in values]))
    count = sum(len(group) for group in values)
    means = np.mean(draws, axis=0)
    if not np.isfinite(means).all():
        return Estimate(mean, float(means.min()), float(means.max()), count)
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return Estimate(mean, float(low), float(high), count)


def _resampled_means(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    block = max(1, BLOCK // len(values))  # draws at once: the largest sets have 17 000 images
    sizes = [(min(block, DRAWS - start), len(values)) for start in range(0, DRAWS, block)]
    means = [values[rng.integers(len(values), size=size)].mean(axis=1) for size in sizes]
    return np.concatenate(means)


def paired(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Estimate:
    """`estimate` of the differences image by image, ours minus theirs; equal infinities differ by
    0."""
    differences = []
    for a, b in zip(ours, theirs, strict=True):
        a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
        differences.append(np.subtract(a, b, where=a != b, out=np.zeros_like(a)))
    return estimate(differences)
