"""CLIP's image tower RN50: a convolutional one, whose maps have the strides of a U-Net.

Paper: Radford et al., ICML 2021. The modified ResNet: a stem of three convolutions, average pooling
before every strided convolution, attention pooling at the end. Parameters have the names of the
official code (https://github.com/openai/CLIP, MIT), `visual.*`, so the image part of its weights
loads strictly. Only the image tower is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.vision_language.clip import MEAN, STD
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.preprocess import sample_embedding


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the tower."""

    image_size: int = 224
    """Side of the picture, in px."""
    layers: tuple[int, int, int, int] = (3, 4, 6, 3)
    """Blocks of each of the four stages."""
    width: int = 64
    """Channels of the first layer inside its blocks; the map has four times as many."""
    heads: int = 32
    """Heads of the attention pooling."""


@dataclass(frozen=True)
class CLIPResNetConfig:
    """The tower and what it is shown, under the names that `CLIPConfig` gives them."""

    embed_dim: int = 1024
    """Length of the embedding."""
    vision: ResNetConfig = field(default_factory=ResNetConfig)
    """Sizes of the tower."""
    views: Literal["whole", "windows"] = "whole"
    """What the tower is shown, see `CLIPConfig`."""
    mean: tuple[float, float, float] = MEAN
    """Mean of each channel, subtracted from the pixels."""
    std: tuple[float, float, float] = STD
    """Standard deviation of each channel, which the pixels are divided by."""


class CLIPResNet(ImageTower):
    """The image half of CLIP RN50. Embeddings are not normalised."""

    def __init__(self, config: CLIPResNetConfig | None = None):
        super().__init__()
        self.config = config = config or CLIPResNetConfig()
        self.visual = ModifiedResNet(config.vision, config.embed_dim)

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[CLIPResNetConfig, Mapping[str, Tensor]] | None:
        """Recognise OpenAI's RN50 and its like; what is no part of the image tower is left out."""
        if not {"visual.attnpool.c_proj.weight", "visual.layer4.0.conv1.weight"} <= set(state):
            return None
        visual = {name: value for name, value in state.items() if name.startswith("visual.")}
        width = 2 * state["visual.conv1.weight"].shape[0]
        places = state["visual.attnpool.positional_embedding"].shape[0] - 1

        def blocks(layer: int) -> int:
            prefix = f"visual.layer{layer}."
            return len({name.split(".")[2] for name in visual if name.startswith(prefix)})

        config = CLIPResNetConfig(
            embed_dim=state["visual.attnpool.c_proj.weight"].shape[0],
            vision=ResNetConfig(
                image_size=32 * round(places**0.5),
                layers=(blocks(1), blocks(2), blocks(3), blocks(4)),
                width=width,
                heads=width // 2,
            ),
        )
        # Some conversions leave out the norms' counts of batches, which only training reads.
        for name in [name for name in visual if name.endswith("running_mean")]:
            count = name.replace("running_mean", "num_batches_tracked")
            visual.setdefault(count, torch.zeros((), dtype=torch.long))
        return config, visual

    @property
    def dim(self) -> int:
        """Length D of its vectors; 1024 of RN50."""
        return self.config.embed_dim

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S), S = `config.vision.image_size`, as (B, D)."""
        return self.visual(pixels)

    def encode(self, image: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W) in [0, 1], seen as thumbnails, as (B, 1, D) float32."""
        return sample_embedding(self, image)[:, None]


class ModifiedResNet(nn.Module):
    """Maps of strides 2 (stem), 4, 8, 16, 32 (layers), then an embedding."""

    def __init__(self, config: ResNetConfig, embed_dim: int):
        super().__init__()
        width = config.width
        self.conv1 = nn.Conv2d(3, width // 2, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width // 2)
        self.conv2 = nn.Conv2d(width // 2, width // 2, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width // 2)
        self.conv3 = nn.Conv2d(width // 2, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)

        def layer(inputs: int, width: int, stride: int, count: int) -> nn.Sequential:
            others = (Bottleneck(4 * width, width, 1) for _ in range(count - 1))
            return nn.Sequential(Bottleneck(inputs, width, stride), *others)

        counts = config.layers
        self.layer1 = layer(width, width, 1, counts[0])
        self.layer2 = layer(4 * width, 2 * width, 2, counts[1])
        self.layer3 = layer(8 * width, 4 * width, 2, counts[2])
        self.layer4 = layer(16 * width, 8 * width, 2, counts[3])
        side = config.image_size // 32
        self.attnpool = AttentionPool(side, 32 * width, config.heads, embed_dim)

    def maps(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Maps (B, C, h, w) of stem, layer1, layer2, layer3 for normalised pixels of any size."""
        x = F.relu(self.bn1(self.conv1(pixels)))
        x = F.relu(self.bn2(self.conv2(x)))
        stem = F.relu(self.bn3(self.conv3(x)))
        layer1 = self.layer1(F.avg_pool2d(stem, 2))
        layer2 = self.layer2(layer1)
        return stem, layer1, layer2, self.layer3(layer2)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S) as (B, D)."""
        return self.attnpool(self.layer4(self.maps(pixels)[-1]))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; a stride is an average pooling before the last convolution."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.downsample = None
        if stride > 1 or inputs != outputs:
            self.downsample = nn.Sequential()  # "0" and "1" are the official names
            self.downsample.add_module("0", nn.Conv2d(inputs, outputs, 1, bias=False))
            self.downsample.add_module("1", nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, 4 width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        if self.stride > 1:
            x, y = F.avg_pool2d(x, self.stride), F.avg_pool2d(y, self.stride)
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class AttentionPool(nn.Module):
    """Attention pooling with the mean feature as query."""

    def __init__(self, side: int, channels: int, heads: int, embed_dim: int):
        super().__init__()
        self.heads = heads
        self.positional_embedding = nn.Parameter(torch.randn(side**2 + 1, channels) / channels**0.5)
        self.k_proj = nn.Linear(channels, channels)
        self.q_proj = nn.Linear(channels, channels)
        self.v_proj = nn.Linear(channels, channels)
        self.c_proj = nn.Linear(channels, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Pool (B, C, side, side) to (B, embed_dim)."""
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        q, k, v = (
            projection(part).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for projection, part in (
                (self.q_proj, x[:, :1]),
                (self.k_proj, x),
                (self.v_proj, x),
            )
        )
        return self.c_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(1))
