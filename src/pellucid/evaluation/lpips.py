"""LPIPS 0.1 (Zhang et al., CVPR 2018): the distance of two pictures in the features of a network
that was trained on ImageNet, each channel weighted by how much people notice it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from pellucid.errors import ImageError
from pellucid.vision_language.preprocess import IMAGENET_MEAN, IMAGENET_STD

_ALEX = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1))
_VGG = (2, 2, 3, 3, 3)  # convolutions of each of the five stages
SMALLEST = 32  # px; below it the last features of either network are empty


class LPIPS(nn.Module):
    """Distance of pictures `(B, 3, H, W)` in [0, 1]: `(B,)`, 0 for equal ones.

    Its weights mean nothing until they are loaded; `pellucid fetch-metrics` gets them. Layers are
    named as torchvision names its own: `features.0.weight` ...; `heads.0` to `heads.4` hold the
    official linear weights `(1, C, 1, 1)`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Literal["alex", "vgg"]):
        super().__init__()
        self.features, self.taps = _alex() if network == "alex" else _vgg()
        widths = (64, 192, 384, 256, 256) if network == "alex" else (64, 128, 256, 512, 512)
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(1, c, 1, 1)) for c in widths)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD)[:, None, None], persistent=False)

    @torch.inference_mode()
    def forward(self, restored: Tensor, truth: Tensor) -> Tensor:
        """Measure; pictures and truths `(B, 3, H, W)` in [0, 1].

        Raises:
            ImageError: the pictures are smaller than 32 px.
        """
        if min(truth.shape[-2:]) < SMALLEST:
            raise ImageError(f"LPIPS needs pictures of {SMALLEST} x {SMALLEST} px or more")
        count = len(truth)
        x = torch.cat([restored, truth]).to(self.mean)
        x = (x - self.mean) / self.std
        distance, heads = torch.zeros(count, dtype=torch.float64, device=x.device), iter(self.heads)
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self.taps:
                unit = x / (x.square().sum(dim=1, keepdim=True).sqrt() + 1e-10)
                difference = (unit[:count] - unit[count:]).square() * next(heads)
                distance += difference.sum(dim=1).double().mean(dim=(1, 2))
        return distance.cpu()


def _alex() -> tuple[nn.Sequential, tuple[int, ...]]:
    """The convolutions of AlexNet, and the places of their five rectifiers."""
    layers: list[nn.Module] = []
    for number, (a, b, kernel, stride, padding) in enumerate((*_ALEX, (256, 256, 3, 1, 1))):
        layers += [nn.Conv2d(a, b, kernel, stride, padding), nn.ReLU()]
        layers += [nn.MaxPool2d(3, 2)] if number < 2 else []
    return nn.Sequential(*layers), (1, 4, 7, 9, 11)


def _vgg() -> tuple[nn.Sequential, tuple[int, ...]]:
    """The convolutions of VGG-16, and the places of the last rectifier of each stage."""
    layers: list[nn.Module] = []
    taps, width = [], 3
    for stage, count in enumerate(_VGG):
        layers += [nn.MaxPool2d(2, 2)] if stage else []
        for _ in range(count):
            wider = min(64 << stage, 512)
            layers += [nn.Conv2d(width, wider, 3, padding=1), nn.ReLU()]
            width = wider
        taps.append(len(layers) - 1)
    return nn.Sequential(*layers), tuple(taps)
