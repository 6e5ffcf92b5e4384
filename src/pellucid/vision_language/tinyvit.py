"""TinyViT's first convolutions: feature maps of pictures of any size, for distillation.

Paper: Wu et al., "TinyViT", ECCV 2022, arXiv 2207.10666. Of the network only what comes before its
windows of attention is built, with the norms folded into the convolutions as in an ONNX file:
patch embedding, the first stage (two inverted bottlenecks), the reduction to the second stage.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.vision_language.preprocess import IMAGENET_MEAN, IMAGENET_STD


class TinyViTStem(nn.Module):
    """Maps of strides 2, 4 and 8 of TinyViT-5M's stem and first two stages."""

    widths, strides = (32, 64, 128), (2, 4, 8)
    config = SimpleNamespace(mean=IMAGENET_MEAN, std=IMAGENET_STD)

    def __init__(self):
        super().__init__()
        stem, first, second = self.widths

        def conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
            return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups)

        def bottleneck(inputs: int, middle: int, outputs: int, stride: int) -> Bottleneck:
            shrink = conv(middle, middle, 3, stride, groups=middle)
            return Bottleneck([conv(inputs, middle, 1), shrink, conv(middle, outputs, 1)])

        self.embed = nn.ModuleList([conv(3, stem, 3, 2), conv(stem, first, 3, 2)])
        self.blocks = nn.ModuleList(bottleneck(first, 4 * first, first, 1) for _ in range(2))
        self.down = bottleneck(first, second, second, 2)

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Map normalised pixels (B, 3, H, W) to (B, widths[k], H / strides[k], W / strides[k])."""
        finest = F.gelu(self.embed[0](pixels))
        x = self.embed[1](finest)
        for block in self.blocks:
            x = F.gelu(x + block(x))
        return finest, x, self.down(x)


class Bottleneck(nn.ModuleList):
    """Three convolutions with GELU between them."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W)."""
        first, second, third = self
        return third(F.gelu(second(F.gelu(first(x)))))
