"""Fill what is missing in a picture from what surrounds it.

A pyramid spreads the known colours into the holes and relaxes them to a membrane, the solution of
Laplace's equation (pull-push: Gortler et al., SIGGRAPH 1996; relaxed from coarse to fine as in full
multigrid). A given number of steps of conjugate gradients then bends the membrane into a thin
plate (the bilaplacian is 0), which goes on with the slopes at a border: narrow holes become plates,
wide ones keep the membrane in their middle.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

SWEEPS = 24  # relaxations a level
STEPS = 100  # of conjugate gradients
TILE, MARGIN = 1024, 32  # px; the plate is bent tile by tile


def fill(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Fill the missing pixels of a picture; all others come back exactly.

    Args:
        image: float32 `(H, W, 3)` in [0, 1]; missing pixels may hold anything.
        missing: bool `(H, W)`, True where nothing is known.

    Returns:
        float32 `(H, W, 3)` in [0, 1]; grey where no pixel is known at all.

    Raises:
        ValueError: the shapes differ.
    """
    if image.shape != (*missing.shape, 3):
        raise ValueError(f"a picture {image.shape} and a mask {missing.shape} differ in size")
    result = image.copy()
    if missing.all():
        result[:] = 0.5
    elif missing.any():
        rows, columns = _around(missing, MARGIN)
        part, holes = image[rows, columns].copy(), missing[rows, columns]
        part[holes] = 0
        _spread(part, holes)
        _bend(part, holes)
        result[rows, columns][holes] = part[holes].clip(0, 1)
    return result


def _around(missing: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle with all that is missing, and a margin."""
    found = (np.flatnonzero(missing.any(axis=axis)) for axis in (1, 0))
    rows, columns = (slice(max(0, f[0] - margin), f[-1] + 1 + margin) for f in found)
    return rows, columns


def _spread(image: np.ndarray, missing: np.ndarray) -> None:
    """Write a membrane into the missing pixels of `(H, W, 3)`, which are 0."""
    if min(missing.shape) > 1 and missing.any():
        coarse, none = _halved(image, missing)
        _spread(coarse, none)
        image[missing] = _doubled(coarse, missing.shape)[missing]
        _relax(image, missing)
    elif missing.any():
        image[missing] = image[~missing].mean(axis=0)


def _halved(image: np.ndarray, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the known pixels of 2 x 2, and where there is none."""
    odd = [(0, side % 2) for side in missing.shape]
    known = np.pad(~missing, odd).astype(np.float32)
    padded = np.pad(image, [*odd, (0, 0)])
    sums, counts = _blocks(padded).sum(axis=(1, 3)), _blocks(known).sum(axis=(1, 3))
    return sums / np.maximum(counts, 1)[..., None], counts == 0


def _blocks(values: np.ndarray) -> np.ndarray:
    height, width = values.shape[:2]
    return values.reshape(height // 2, 2, width // 2, 2, *values.shape[2:])


def _doubled(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    double = F.interpolate(planes, scale_factor=2, mode="bilinear")
    return double[0].permute(1, 2, 0).numpy()[: shape[0], : shape[1]]


def _relax(image: np.ndarray, missing: np.ndarray) -> None:
    """Red-black Gauss-Seidel of Laplace's equation, with reflection at the picture's sides."""
    height, width = missing.shape
    flat = image.reshape(-1, 3)
    y, x = (places.astype(np.int32) for places in np.nonzero(missing))
    colours = []
    for colour in (0, 1):
        at = (x + y) % 2 == colour
        v, u = y[at], x[at]
        sides = (
            np.where(v > 0, v - 1, v + 1) * width + u,
            np.where(v < height - 1, v + 1, v - 1) * width + u,
            v * width + np.where(u > 0, u - 1, u + 1),
            v * width + np.where(u < width - 1, u + 1, u - 1),
        )
        colours.append((v * width + u, sides))
    for _ in range(SWEEPS):
        for here, sides in colours:
            flat[here] = sum(flat[side] for side in sides) * np.float32(0.25)


def _bend(image: np.ndarray, missing: np.ndarray) -> None:
    """Bend the membrane in `(H, W, 3)` into a thin plate, tile by tile."""
    membrane = image.copy()
    for top in range(0, missing.shape[0], TILE):
        for left in range(0, missing.shape[1], TILE):
            inner = slice(top, top + TILE), slice(left, left + TILE)
            if not missing[inner].any():
                continue
            y, x = max(0, top - MARGIN), max(0, left - MARGIN)
            outer = slice(y, top + TILE + MARGIN), slice(x, left + TILE + MARGIN)
            plate = _plate(membrane[outer], missing[outer])[top - y :, left - x :][:TILE, :TILE]
            image[inner][missing[inner]] = plate[missing[inner]]


def _plate(image: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Conjugate gradients from `(h, w, 3)` towards the bilaplacian 0 where it is missing."""
    free = missing[..., None].astype(np.float32)
    residual = -free * _laplacian(_laplacian(image))
    result, direction = image.copy(), residual.copy()
    power = _dot(residual, residual)
    least = power * np.float32(1e-8)
    for _ in range(STEPS):
        if (power <= least).all():
            break
        bent = free * _laplacian(_laplacian(direction))
        step = power / np.maximum(_dot(direction, bent), 1e-20)
        result += step * direction
        residual -= step * bent
        before, power = power, _dot(residual, residual)
        direction *= power / np.maximum(before, 1e-20)
        direction += residual
    return result


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Inner products of the three channels, `(3,)`."""
    return np.einsum("hwc,hwc->c", a, b)


def _laplacian(values: np.ndarray) -> np.ndarray:
    """Of `(h, w, 3)`, which goes on beyond its sides as it ends there."""
    result = np.zeros_like(values)
    for axis in (0, 1):
        ahead, behind = (
            (slice(None),) * axis + (slice(1, None),),
            (slice(None),) * axis + (slice(-1),),
        )
        change = values[ahead] - values[behind]
        result[behind] += change
        result[ahead] -= change
    return result
