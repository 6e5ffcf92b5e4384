"""PSNR and SSIM with everything said that published numbers differ in.

Pictures are float `(B, 3, H, W)` RGB in [0, 1]; scores are float64 `(B,)`, computed in float64 on
the device of the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import ImageError

_Y = (65.481, 128.553, 24.966)  # ITU-R BT.601, studio range 16..235, of RGB in [0, 1]


@dataclass(frozen=True)
class MetricSettings:
    """How PSNR and SSIM are measured.

    Attributes:
        colour: "rgb"; or "y", the studio-range luma 16..235 of MATLAB's `rgb2ycbcr`, not rounded
            and compared with the peak 255. Codes that measure on BGR get the numbers of "rgb": both
            scores are means over the channels.
        eight_bit: both pictures are rounded to 256 levels first, as files would be; else they are
            only clamped to [0, 1].
        border: pixels left out on every side.
        window: of SSIM. "uniform7": 7 x 7, sample covariance (scikit-image's default);
            "gaussian11": 11 x 11, sigma 1.5, population covariance (Wang et al. 2004). Only windows
            that lie within the picture count. None: SSIM is not measured.
    """

    colour: Literal["rgb", "y"] = "rgb"
    eight_bit: bool = True
    border: int = 0
    window: Literal["uniform7", "gaussian11"] | None = "uniform7"


def psnr(restored: Tensor, truth: Tensor, settings: MetricSettings) -> Tensor:
    """Peak signal-to-noise ratio in dB; infinite for equal pictures.

    Raises:
        ImageError: the pictures differ in size, or nothing is left inside the border.
    """
    a, b = _prepared(restored, truth, settings)
    return -10 * (a - b).square().flatten(1).mean(dim=1).log10()


def ssim(restored: Tensor, truth: Tensor, settings: MetricSettings) -> Tensor:
    """Structural similarity (Wang et al. 2004, K1 = 0.01, K2 = 0.03), mean of channels; 1 is equal.

    Raises:
        ImageError: the pictures differ in size, or are smaller than the window.
    """
    if settings.window is None:
        raise ValueError("these settings have no window, so SSIM is not defined")
    a, b = _prepared(restored, truth, settings)
    kernel = _kernel(settings.window).to(a)
    if min(a.shape[-2:]) < len(kernel):
        side = len(kernel)
        raise ImageError(f"SSIM needs {side} x {side} px inside the border; there are {_size(a)}")

    def local_mean(x: Tensor) -> Tensor:
        x = x.flatten(0, 1)[:, None]
        x = F.conv2d(F.conv2d(x, kernel[None, None, :, None]), kernel[None, None, None])
        return x.unflatten(0, a.shape[:2])[:, :, 0]

    mean_a, mean_b = local_mean(a), local_mean(b)
    # sample covariance divides by n - 1
    unbiased = 49 / 48 if settings.window == "uniform7" else 1.0
    var_a = unbiased * (local_mean(a * a) - mean_a**2)
    var_b = unbiased * (local_mean(b * b) - mean_b**2)
    covariance = unbiased * (local_mean(a * b) - mean_a * mean_b)
    c1, c2 = 0.01**2, 0.03**2
    similar = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (similar / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).flatten(1).mean(dim=1)


def luma(picture: Tensor) -> Tensor:
    """ITU-R BT.601 luma `(B, 1, H, W)` in 16..235, not rounded, of RGB in [0, 1]."""
    weights = picture.new_tensor(_Y)[:, None, None]
    return 16 + (weights * picture).sum(dim=1, keepdim=True)


def _prepared(restored: Tensor, truth: Tensor, settings: MetricSettings) -> tuple[Tensor, Tensor]:
    """Both in float64 with peak 1: `(B, 3, h, w)`, or `(B, 1, h, w)` for the luma."""
    if restored.shape != truth.shape or restored.ndim != 4 or restored.shape[1] != 3:
        raise ImageError(
            f"pictures must be (B, 3, H, W) and equal in size, not {tuple(restored.shape)} and "
            f"{tuple(truth.shape)}"
        )
    inside = slice(settings.border, -settings.border or None)
    pair = []
    for picture in (restored, truth):
        picture = picture.double()[..., inside, inside].clamp(0, 1)
        if not picture.numel():
            raise ImageError(f"nothing is left of {_size(truth)} inside {settings.border} px")
        if settings.eight_bit:
            picture = (picture * 255).round() / 255
        if settings.colour == "y":
            picture = luma(picture) / 255
        pair.append(picture)
    return pair[0], pair[1]


def _kernel(window: str) -> Tensor:
    """One axis of the separable window, float64, of sum 1."""
    if window == "uniform7":
        return torch.full((7,), 1 / 7, dtype=torch.float64)
    weights = torch.exp(-0.5 * (torch.arange(-5, 6, dtype=torch.float64) / 1.5) ** 2)
    return weights / weights.sum()


def _size(picture: Tensor) -> str:
    return f"{picture.shape[-1]} x {picture.shape[-2]} px"
