"""Connected regions of a mask, by the runs of its rows (He, Chao and Suzuki, TIP 2008)."""

from __future__ import annotations

import numpy as np


def row_runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel of every horizontal run of True, as flat indices into `(H, W)`."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1).ravel()
    width = mask.shape[1]
    first, last = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    rows = first // (width + 1)
    return first - rows, last - rows - 1


def label(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the 8-connected regions of `(H, W)`.

    Returns int32 labels `(H, W)`, from 1, 0 outside, and the pixels of every label
    `(regions + 1,)`, with 0 for label 0.
    """
    height, width = mask.shape
    first, last = row_runs(mask)
    labels = np.zeros(height * width, np.int32)
    if not len(first):
        return labels.reshape(mask.shape), np.zeros(1, int)
    above, below = _touching(first, last, width)
    parent = np.arange(len(first))
    while True:  # every root hooks onto its smallest neighbour, then all paths are halved
        a, b = parent[above], parent[below]
        apart = a != b
        if not apart.any():
            break
        above, below, a, b = above[apart], below[apart], a[apart], b[apart]
        np.minimum.at(parent, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
    roots = parent == np.arange(len(parent))
    numbers = np.cumsum(roots, dtype=np.int32)[parent]
    lengths = last - first + 1
    labels[mask.ravel()] = np.repeat(numbers, lengths)
    return labels.reshape(mask.shape), np.bincount(numbers, lengths).astype(int)


def _touching(first: np.ndarray, last: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs that touch, also at corners, one in the row below the other's."""
    rows = first // width
    # Columns widened by a margin of 2 so that a search never runs into the next row.
    wide = width + 4
    start, end = rows * wide + first % width + 2, rows * wide + last % width + 2
    low = np.searchsorted(end, start + wide - 1)  # the first run below that ends late enough
    high = np.searchsorted(start, end + wide + 1, side="right")
    counts = np.maximum(high - low, 0)
    above = np.repeat(np.arange(len(first)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return above, np.repeat(low, counts) + offsets
