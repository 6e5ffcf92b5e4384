"""Perceive-IR's difficulty-adaptive perceptual loss (IEEE TIP 2026; official code).

It pulls the features of the restored picture towards those of the clean one and away from those of
the degraded picture and of proxies (restorations by other networks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from pellucid.losses.pixel import psnr
from pellucid.vision_language.preprocess import IMAGENET_MEAN, IMAGENET_STD

# relu1_2, relu2_2, relu3_1, relu3_3. The official code names layer 7, the convolution before
# relu2_2, but torchvision's rectifiers work in place: what it kept was overwritten by layer 8.
TAPS = (3, 8, 11, 15)
LEVELS = (1 / 12, 1 / 6, 1 / 3, 1)  # weights of the four
DEGRADED = 2.0  # weight of the degraded picture in the denominator
HARD, VERY_HARD = 1.25, 0.75


class VGG16(nn.Module):
    """The first three stages of VGG-16 (Simonyan and Zisserman, ICLR 2015), frozen.

    Its weights are random until `load_trunk`. Layers are named as torchvision names its own.
    """

    def __init__(self):
        super().__init__()
        layers: list[nn.Module] = []
        for stage, widths in enumerate(((3, 64, 64), (64, 128, 128), (128, 256, 256, 256))):
            layers += [nn.MaxPool2d(2)] if stage else []
            for a, b in pairwise(widths):
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.requires_grad_(False)

    def load_trunk(self, state: Mapping[str, Tensor]) -> VGG16:
        """Load the needed layers from a state dict of torchvision's `vgg16` or of LPIPS on VGG.

        Raises:
            KeyError: a layer is missing.
        """
        self.load_state_dict({name: state[name] for name in self.state_dict()})
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features `(B, C, h, w)` of four depths of pictures `(B, 3, H, W)`, clamped to [0, 1].

        Both sides must be 4 px or more.
        """
        mean, std = (
            image.new_tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
        )
        x, taps = (image.clamp(0, 1) - mean) / std, []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in TAPS:
                taps.append(x)
        return taps


def difficulty_weight(proxy: Tensor, clean: Tensor, reference: float | Tensor) -> Tensor:
    """Weights `(B,)` of a proxy's pictures: 0.75 where it beats the network, else 1.25.

    Args:
        proxy: restored by another network, `(B, 3, H, W)` in [0, 1].
        clean: the true pictures, as many.
        reference: mean PSNR in dB of the network at the start of the epoch, on a fixed set of
            training crops; a number officially, or `(B,)`, such as one a task.
    """
    better = psnr(proxy, clean) > reference
    return HARD + (VERY_HARD - HARD) * better.float()


def difficulty_adaptive(
    vgg: VGG16,
    restored: Tensor,
    clean: Tensor,
    degraded: Tensor,
    proxies: Sequence[Tensor] = (),
    weights: Sequence[Tensor] = (),
    bounded: bool = False,
) -> Tensor:
    """Perceive-IR's L_dpl, a scalar.

    The sum over four depths, weighted by 1/12, 1/6, 1/3 and 1, of `d(restored, clean) /
    (2 d(restored, degraded) + sum_k w_k d(restored, proxy_k))`, d being the mean absolute
    difference of features; unbounded where the restored picture comes near the degraded one.

    Args:
        vgg: the network of the features, with its weights.
        restored: `(B, 3, H, W)`, nominally in [0, 1]; gradients reach it alone.
        clean: the true pictures, as many.
        degraded: the damaged pictures, as many.
        proxies: restorations of the degraded pictures, each `(B, 3, H, W)`; may be none.
        weights: `(B,)` a proxy, see `difficulty_weight`; 0 leaves a proxy out for a picture.
        bounded: ours: the divisor is at least `2 d(clean, degraded)`, and clean inputs are left
            out. Otherwise the network learns to change pictures that need no change.
    """
    fixed = torch.cat([clean, degraded, *proxies])
    count = 2 + len(proxies)
    with torch.no_grad():
        targets = [features.chunk(count) for features in vgg(fixed)]
    loss = restored.new_zeros(())
    for level, own, (near, *far) in zip(LEVELS, vgg(restored), targets, strict=True):
        push = DEGRADED * _distance(own, far[0])
        for weight, features in zip(weights, far[1:], strict=True):
            push = push + weight * _distance(own, features)
        if bounded:
            least = DEGRADED * _distance(near, far[0])
            push = torch.where(least > 1e-6, torch.maximum(push, least), torch.inf)
        loss = loss + level * (_distance(own, near) / push.clamp_min(1e-6)).mean()
    return loss


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a.float() - b.float()).abs().flatten(1).mean(dim=1)
