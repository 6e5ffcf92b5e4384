"""NAFNet, a fast network without activation functions, with the conditioning of DA-CLIP.

Papers: NAFNet (Chen et al., ECCV 2022), DA-CLIP (Luo et al., ICLR 2024, its variant trained with a
pixel loss). Parameters of the plain part have the names of the official NAFNet code
(https://github.com/megvii-research/NAFNet, MIT), so its checkpoints load; without conditioning they
load strictly.

No code or weights of DA-CLIP's variant are published. Its authors describe it: the prompt, made of
the degradation embedding as in their U-Net, scales and shifts every block as a time embedding would
(as in Refusion, Luo et al., CVPRW 2023); the content embedding enters the bottom level by
cross-attention. Attention to one token returns the same vector for every pixel, so here it is one
linear map of the embedding, added before each middle block; simplified channel attention stays.
Both conditions start at zero: an untrained conditioning changes nothing.

Differs from the official code: padding is by reflection, not with zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import Blocks, channel_layer_norm, children, pad_to_multiple, zeroed


@dataclass(frozen=True)
class NAFNetConfig:
    """Sizes of a `NAFNet`; the defaults are those of the official GoPro network of width 32."""

    width: int = 32
    """Channels at full resolution, doubled at each level."""
    encoder_blocks: tuple[int, ...] = (1, 1, 1, 28)
    """Blocks of each level of the encoder, finest first."""
    middle_blocks: int = 1
    """Blocks of the bottleneck."""
    decoder_blocks: tuple[int, ...] = (1, 1, 1, 1)
    """Blocks of each level of the decoder, deepest first."""
    context_dim: int = 512
    """Length of the DA-CLIP embeddings."""
    embed_dim: int = 128
    """Length of the prompt."""
    use_degradation_context: bool = True
    """Whether the degradation embedding, as a prompt, modulates the blocks."""
    use_image_context: bool = True
    """Whether the content embedding enters by cross-attention."""


class NAFNetCondition(NamedTuple):
    """What conditions the network on an image, computed once by `NAFNet.condition`."""

    prompt: Tensor | None  # (B, embed_dim)
    content: tuple[Tensor, ...]  # (B, C, 1, 1) for each middle block, or nothing


class NAFNet(RestorationNetwork):
    """Deterministic restoration `net(image, condition)`: the image plus a predicted residual."""

    def __init__(self, config: NAFNetConfig | None = None):
        super().__init__()
        self.config = config = config or NAFNetConfig()
        self.multiple = 2 ** len(config.encoder_blocks)
        needed = {
            "degradation": config.use_degradation_context,
            "content": config.use_image_context,
        }
        self.needs = frozenset(name for name, use in needed.items() if use)
        embed_dim = config.embed_dim if config.use_degradation_context else None
        width = config.width

        def blocks(count: int, channels: int) -> Blocks:
            return Blocks(NAFBlock(channels, embed_dim) for _ in range(count))

        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        self.ups, self.downs = nn.ModuleList(), nn.ModuleList()
        for count in config.encoder_blocks:
            self.encoders.append(blocks(count, width))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle_blks = blocks(config.middle_blocks, width)
        if config.use_image_context:
            self.cross_attention = nn.ModuleList(
                zeroed(nn.Linear(config.context_dim, width)) for _ in range(config.middle_blocks)
            )
        for count in config.decoder_blocks:
            grow = nn.Conv2d(width, 2 * width, 1, bias=False)
            self.ups.append(nn.Sequential(grow, nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(blocks(count, width))
        if config.use_degradation_context:
            self.prompt = Prompt(config.context_dim, config.embed_dim)

    def condition(self, image: Tensor, guidance: Guidance) -> NAFNetCondition:
        """Condition on an image's DA-CLIP embeddings; the image itself is not used.

        A missing embedding counts as zeros, which is what context dropout shows in training.
        """
        degradation, content = guidance.degradation, guidance.content
        zeros = self.intro.weight.new_zeros(1, self.config.context_dim)
        prompt, biases = None, ()
        if self.config.use_degradation_context:
            prompt = self.prompt(zeros if degradation is None else degradation)
        if self.config.use_image_context:
            token = zeros if content is None else content
            biases = tuple(attend(token)[:, :, None, None] for attend in self.cross_attention)
        return NAFNetCondition(prompt, biases)

    def forward(
        self,
        image: Tensor,
        condition: NAFNetCondition,
        adapters: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped.

        `adapters`, one a level if any, change what enters the decoder's levels and, the last, the
        middle.
        """
        prompt, biases = condition
        h, w = image.shape[-2:]
        padded = pad_to_multiple(image, self.multiple)
        x = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            x = encoder(x, prompt)
            skips.append(x)
            x = down(x)
        if adapters:
            x = adapters[-1](x)
        for i, block in enumerate(self.middle_blks):
            x = block(x + biases[i] if biases else x, prompt)
        for decoder, up in zip(self.decoders, self.ups, strict=True):
            x = up(x) + skips.pop()
            if adapters:
                x = adapters[len(skips)](x)
            x = decoder(x, prompt)
        return (self.ending(x) + padded)[..., :h, :w]

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[NAFNetConfig, Mapping[str, Tensor]] | None:
        """Recognise NAFNet's own files, which have no conditioning."""
        parts = {"intro", "ending", "encoders", "decoders", "middle_blks", "ups", "downs"}
        if {name.split(".")[0] for name in state} != parts or "middle_blks.0.beta" not in state:
            return None
        width, channels = state["intro.weight"].shape[:2]
        if channels != 3:
            return None

        def counts(part: str) -> tuple[int, ...]:
            levels = range(children(state, f"{part}."))
            return tuple(children(state, f"{part}.{i}.") for i in levels)

        config = NAFNetConfig(
            width=width,
            encoder_blocks=counts("encoders"),
            middle_blocks=children(state, "middle_blks."),
            decoder_blocks=counts("decoders"),
            use_degradation_context=False,
            use_image_context=False,
        )
        return config, state


class NAFBlock(nn.Module):
    """Gated depthwise convolution with channel attention, then a gated 1x1 perceptron.

    Both halves are residual with a gain that starts at zero. The prompt scales and shifts what
    enters either.
    """

    def __init__(self, channels: int, embed_dim: int | None):
        super().__init__()
        wide = 2 * channels
        self.conv1 = nn.Conv2d(channels, wide, 1)
        self.conv2 = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)
        self.conv3 = nn.Conv2d(channels, channels, 1)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1))
        self.conv4 = nn.Conv2d(channels, wide, 1)
        self.conv5 = nn.Conv2d(channels, channels, 1)
        self.norm1 = LayerNorm2d(channels)
        self.norm2 = LayerNorm2d(channels)
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, channels, 1, 1))
        if embed_dim is not None:
            self.modulation = zeroed(nn.Linear(embed_dim // 2, 4 * channels))

    def forward(self, x: Tensor, prompt: Tensor | None) -> Tensor:
        """Map `(B, C, H, W)` and the prompt `(B or 1, embed_dim)`."""
        shift1, scale1, shift2, scale2 = self._modulation(prompt)
        h = self.norm1(x) * (1 + scale1) + shift1
        h = gate(self.conv2(self.conv1(h)))
        x = x + self.conv3(h * self.sca(h)) * self.beta
        h = self.norm2(x) * (1 + scale2) + shift2
        return x + self.conv5(gate(self.conv4(h))) * self.gamma

    def _modulation(self, prompt: Tensor | None) -> tuple[Tensor | float, ...]:
        if prompt is None:
            return 0.0, 0.0, 0.0, 0.0
        return self.modulation(gate(prompt))[:, :, None, None].chunk(4, dim=1)


class Prompt(nn.Module):
    """Prompt module of the official U-Net: the degradation embedding weighs a learned prompt."""

    def __init__(self, context_dim: int, embed_dim: int):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(context_dim, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )
        self.prompt = nn.Parameter(torch.rand(1, embed_dim))
        self.out = nn.Linear(embed_dim, embed_dim)

    def forward(self, degradation: Tensor) -> Tensor:
        """Map `(B, context_dim)` to `(B, embed_dim)`."""
        return self.out(self.weigh(degradation).softmax(dim=1) * self.prompt)


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of each pixel."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(B, C, H, W)`."""
        return channel_layer_norm(x, self.weight, self.bias, eps=1e-6)


def gate(x: Tensor) -> Tensor:
    """Product of the two halves of the channels, NAFNet's only nonlinearity."""
    a, b = x.chunk(2, dim=1)
    return a * b
