"""Losses between a restored and a clean picture, both float (B, 3, H, W), nominally in [0, 1].

Each loss is a scalar, computed in float32 whatever the precision of its inputs.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def l1(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean absolute difference."""
    return (restored.float() - clean.float()).abs().mean()


def l1_bands(restored: Tensor, clean: Tensor, light: float = 0.1, block: int = 8) -> Tensor:
    """L1 of the detail plus `light` times L1 of the means of `block` x `block` px (ours).

    In a mixture of damages, errors of brightness are so large that the gradients of detail drown in
    them; a `light` below 1 gives each its share.
    """
    error = restored.float() - clean.float()
    rows, columns = error.shape[-2:]
    means = F.avg_pool2d(error, block, ceil_mode=True)
    spread = means.repeat_interleave(block, -2).repeat_interleave(block, -1)
    return (error - spread[..., :rows, :columns]).abs().mean() + light * means.abs().mean()


def charbonnier(restored: Tensor, clean: Tensor, eps: float = 1e-3) -> Tensor:
    """Mean of sqrt(difference ** 2 + eps ** 2): L1, smooth at zero."""
    return ((restored.float() - clean.float()).square() + eps * eps).sqrt().mean()


def negative_psnr(restored: Tensor, clean: Tensor, eps: float = 1e-8) -> Tensor:
    """Mean of 10 log10(mean squared error of a picture), i.e. -PSNR in dB; NAFNet's loss.

    Pictures with an error below `eps` hardly count: with 1e-4, those above 40 dB, which would
    otherwise outweigh all others in a mixture of light and heavy damage.
    """
    error = (restored.float() - clean.float()).square().flatten(1).mean(1)
    return 10 * (error + eps).log10().mean()


def psnr(restored: Tensor, clean: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each picture clamped to [0, 1]: (B,) in dB, at most 100."""
    error = (restored.float().clamp(0, 1) - clean.float()).square().flatten(1).mean(1)
    return -10 * error.clamp(min=1e-10).log10()
