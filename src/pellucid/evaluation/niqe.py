"""NIQE (Mittal et al., IEEE Signal Processing Letters 2013): how far a picture's local statistics
are from those of pristine photographs; needs no ground truth, smaller is better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.evaluation.metrics import luma

BLOCK = 96  # px
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def niqe(picture: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """NIQE of pictures `(B, 3, H, W)` in [0, 1], float64 `(B,)`; as in the authors' release.

    Their 8-bit studio-range luma, rounded, is cut into whole blocks of 96 x 96 px. A picture with
    fewer than two blocks has no covariance, hence no NIQE: nan. Few blocks make a noisy score.

    Args:
        picture: the pictures.
        mean: of the 36 features of pristine photographs, `(36,)`.
        covariance: likewise, `(36, 36)`.
    """
    levels = luma((picture.double().clamp(0, 1) * 255).round() / 255).round()
    return torch.stack([_niqe(y, mean.double(), covariance.double()) for y in levels])


def _niqe(y: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Of one luma `(1, H, W)` in 16..235."""
    rows, columns = (n // BLOCK for n in y.shape[-2:])
    if rows * columns < 2:
        return torch.tensor(torch.nan, dtype=torch.float64)
    y = y[None, :, : rows * BLOCK, : columns * BLOCK]
    features = [_features(_normalised(scaled), BLOCK // s) for s, scaled in ((1, y), (2, _half(y)))]
    features = torch.cat(features, dim=1)
    found = features.nanmean(dim=0)
    spread = torch.cov(features[~features.isnan().any(dim=1)].T)
    away = mean.to(found) - found
    between = torch.linalg.pinv((covariance.to(spread) + spread) / 2, hermitian=True)
    return (away @ between @ away).sqrt().cpu()


def _half(y: Tensor) -> Tensor:
    """Half size as by MATLAB's `imresize`: bicubic, anti-aliased, mirrored at the border."""
    index = [torch.arange(-4, n + 4, device=y.device) for n in y.shape[-2:]]
    mirrored = [
        torch.where(i < 0, -1 - i, torch.where(i < n, i, 2 * n - 1 - i))
        for i, n in zip(index, y.shape[-2:], strict=True)
    ]
    wide = y[..., mirrored[0][:, None], mirrored[1]]
    size = [n // 2 for n in wide.shape[-2:]]
    small = F.interpolate(wide, size, mode="bicubic", antialias=True)
    return small[..., 2:-2, 2:-2]


def _normalised(y: Tensor) -> Tensor:
    """Less the local mean, divided by the local deviation (equation 1)."""
    weights = torch.exp(-0.5 * (torch.arange(-3, 4).to(y) / (7 / 6)) ** 2)
    window = torch.outer(weights, weights)
    window = (window / window.sum())[None, None]

    def local_mean(x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (3, 3, 3, 3), mode="replicate"), window)

    middle = local_mean(y)
    deviation = (local_mean(y * y) - middle**2).abs().sqrt()
    return (y - middle) / (deviation + 1)


def _features(normalised: Tensor, side: int) -> Tensor:
    """18 features of each block of `side`, `(n, 18)`: shapes and widths of distributions."""
    blocks = F.unfold(normalised, side, stride=side)[0].T.unflatten(1, (side, side))
    shape, left, right = _asymmetric(blocks)
    found = [shape, (left + right) / 2]
    for shift in _NEIGHBOURS:
        shape, left, right = _asymmetric(blocks * blocks.roll(shift, dims=(1, 2)))
        middle = (right - left) * (torch.lgamma(2 / shape) - torch.lgamma(1 / shape)).exp()
        found += [shape, middle, left, right]
    return torch.stack(found, dim=1)


def _asymmetric(blocks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Shape and both scales of the asymmetric generalised Gaussian of each block's samples, by
    moments (Lasmar et al., ICIP 2009); the shape is looked up in steps of 0.001."""
    x = blocks.flatten(1)
    shapes = torch.arange(200, 10_001).to(x) / 1000
    gammas = [torch.lgamma(k / shapes) for k in (1, 2, 3)]
    ratios = (2 * gammas[1] - gammas[0] - gammas[2]).exp()
    left, right = (
        (x.square() * side).sum(dim=1).div(side.sum(dim=1)).sqrt() for side in (x < 0, x > 0)
    )
    balance = left / right
    ratio = x.abs().mean(dim=1) ** 2 / x.square().mean(dim=1)
    ratio = ratio * (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2
    shape = shapes[(ratios - ratio[:, None]).abs().argmin(dim=1)]
    scale = ((torch.lgamma(1 / shape) - torch.lgamma(3 / shape)) / 2).exp()
    return shape, left * scale, right * scale
