"""The U-Net that predicts the noise of the mean-reverting SDE, conditioned on DA-CLIP.

Papers: IR-SDE (Luo et al., ICML 2023), DA-CLIP (Luo et al., ICLR 2024; `UNIVERSAL`) and its
follow-up for photographs from the wild (Luo et al., CVPRW 2024; `WILD`). Parameters have the names
of the official code (https://github.com/Algolzw/daclip-uir, code and weights MIT), so that its
checkpoints load strictly; hence some nesting, such as `fn.fn`.

Where the official code differs from the paper the code is followed: the deepest levels have full
self-attention. What differs from the official code is cost, not result:

- The content embedding is the only token of its cross-attention. A softmax over one key is 1, so
  the attention returns the same vector for every pixel; `condition` computes it, and the prompt,
  once an image instead of once a step. `attn2.to_q`, `attn2.to_k` and `norm2` cannot change the
  output: they exist, frozen, for strict loading.
- Self-attention does not store its attention matrix.
- Channel norms sum in float32, epsilon 1e-5, in every precision (the official code takes 1e-3 below
  float32); linear attention is never computed in float16.
- Images of 8 pixels and less work: where reflection is impossible, padding repeats the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.irsde_attention import (
    HEAD,
    LinearAttention,
    Residual,
    SpatialTransformer,
)
from pellucid.networks.layers import children, pad_to_multiple, sinusoidal, zeroed


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a `ConditionalUNet`."""

    nf: int = 64
    """Channels of the stem."""
    ch_mult: tuple[int, ...] = (1, 2, 4, 8)
    """Channels of each level, in multiples of `nf`; finest first."""
    context_dim: int = 512
    """Length of the DA-CLIP embeddings."""
    use_degradation_context: bool = True
    """Whether the degradation embedding, as a prompt, modulates the blocks."""
    use_image_context: bool = True
    """Whether the content embedding enters by cross-attention."""
    downsample_first: bool = False
    """Whether all levels work at half the resolution."""

    def __post_init__(self):
        if any(channels % HEAD for channels in self.widths[-2:]):
            raise UsageError(f"the last two of {self.widths} channels must be multiples of {HEAD}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the stem and of each level."""
        return (self.nf, *(self.nf * m for m in self.ch_mult))


UNIVERSAL = UNetConfig()
"""Official `universal-ir`: ten degradations, DA-CLIP ViT-B/32; 48,975,747 parameters."""

WILD = UNetConfig(context_dim=768, use_degradation_context=False, downsample_first=True)
"""Official `wild-ir`: mixed degradations, DA-CLIP ViT-L/14; 49,470,467 parameters."""


class UNetCondition(NamedTuple):
    """What conditions the network on an image, computed once by `ConditionalUNet.condition`."""

    prompt: Tensor  # (B, 4 nf), added to the time embedding
    content: tuple[Tensor, Tensor, Tensor]  # (B, C) biases of the last down, middle, first up level


class ConditionalUNet(RestorationNetwork):
    """Noise prediction `net(x, mu, t, condition)` of the mean-reverting SDE.

    On CPUs, `net.to(memory_format=torch.channels_last)` is worth its line.
    """

    dtypes = (torch.bfloat16, torch.float16)

    def __init__(self, config: UNetConfig = UNIVERSAL):
        super().__init__()
        self.config = config
        self.multiple = 2 ** len(config.ch_mult)
        needed = {
            "degradation": config.use_degradation_context,
            "content": config.use_image_context,
        }
        self.needs = frozenset(name for name, use in needed.items() if use)
        nf, widths = config.nf, config.widths
        time_dim = 4 * nf
        context_dim = config.context_dim if config.use_image_context else None

        def block(inputs: int, outputs: int) -> ResBlock:
            return ResBlock(inputs, outputs, time_dim)

        transformers: list[SpatialTransformer] = []

        def transform(channels: int) -> Residual:
            transformers.append(SpatialTransformer(channels, context_dim))
            return Residual(channels, transformers[-1])

        def linear_attention(channels: int) -> Residual:
            return Residual(channels, LinearAttention(channels))

        if config.use_degradation_context:
            self.prompt = nn.Parameter(torch.rand(1, time_dim))
        self.init_conv = nn.Conv2d(6, nf, 7, padding=3, bias=False)
        if config.downsample_first:
            self.downsample = downsample(nf, nf)
            self.upsample = upsample(nf, nf)
        self.time_mlp = nn.Sequential(
            nn.Identity(),  # the official embedding sits here
            nn.Linear(nf, time_dim),
            nn.GELU(),
            nn.Linear(time_dim, time_dim),
        )
        if config.use_degradation_context:
            self.text_mlp = nn.Sequential(
                nn.Linear(config.context_dim, time_dim), nn.SiLU(), nn.Linear(time_dim, time_dim)
            )
            self.prompt_mlp = nn.Linear(time_dim, time_dim)

        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        levels = list(pairwise(widths))
        deepest = len(levels) - 1
        for i, (outer, inner) in enumerate(levels):
            attend = transform(outer) if i == deepest else linear_attention(outer)
            shrink = conv3x3(outer, inner) if i == deepest else downsample(outer, inner)
            self.downs.append(Down([block(outer, outer), block(outer, outer), attend, shrink]))
        for i, (outer, inner) in reversed(list(enumerate(levels))):
            attend = transform(inner) if i == deepest else linear_attention(inner)
            grow = conv3x3(inner, outer) if i == 0 else upsample(inner, outer)
            both = inner + outer  # with a skip connection
            self.ups.append(Up([block(both, inner), block(both, inner), attend, grow]))
        self.mid_block1 = block(widths[-1], widths[-1])
        self.mid_attn = transform(widths[-1])
        self.mid_block2 = block(widths[-1], widths[-1])
        self._transformers = tuple(transformers)  # of the last down, first up level and the middle
        self.final_res_block = block(2 * nf, nf)
        self.final_conv = nn.Conv2d(nf, 3, 3, padding=1)

    def condition(self, image: Tensor, guidance: Guidance) -> UNetCondition:
        """Condition on an image's DA-CLIP embeddings; the image itself is not used.

        Raises:
            UsageError: an embedding that the network was built for is missing.
        """
        for name in sorted(self.needs):
            if getattr(guidance, name) is None:
                raise UsageError(f"this U-Net needs the {name} embedding of DA-CLIP")
        degradation, content = guidance.degradation, guidance.content
        zero = self.init_conv.weight.new_zeros(1, 1)
        prompt, biases = zero, (zero, zero, zero)
        if self.config.use_degradation_context:
            weights = self.text_mlp(degradation).softmax(dim=1)
            prompt = self.prompt_mlp(weights * self.prompt)
        if self.config.use_image_context:
            down, up, middle = self._transformers
            assert content is not None
            biases = down.bias(content), middle.bias(content), up.bias(content)
        return UNetCondition(prompt, biases)

    def forward(
        self,
        x: Tensor,
        mu: Tensor,
        t: Tensor,
        condition: UNetCondition,
        adapters: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> Tensor:
        """Predict the noise in a state.

        Args:
            x: state `(B, 3, H, W)`, any H, W >= 1.
            mu: degraded image `(B, 3, H, W)` in [0, 1].
            t: times `(B,)` or `(1,)` in 1..T, integer or float.
            condition: of B images or of one.
            adapters: one a level if any, change what enters the decoder's levels and, the last,
                the middle.
        """
        h, w = x.shape[-2:]
        down_bias, mid_bias, up_bias = condition.content
        dtype = self.init_conv.weight.dtype
        t = self.time_mlp(sinusoidal(t, self.config.nf).to(dtype)) + condition.prompt

        x = pad_to_multiple(torch.cat([x - mu, mu], dim=1).to(dtype), self.multiple)
        stem = x = self.init_conv(x)
        if self.config.downsample_first:
            x = self.downsample(x)

        skips = []
        for level, down in enumerate(self.downs, start=1):
            x = down(x, t, skips, *((down_bias,) if level == len(self.downs) else ()))
        if adapters:
            x = adapters[-1](x)
        x = self.mid_block1(x, t)
        x = self.mid_attn(x, mid_bias)
        x = self.mid_block2(x, t)
        for level, up in enumerate(self.ups):
            if adapters:
                x = adapters[len(self.ups) - 1 - level](x)
            x = up(x, t, skips, *((up_bias,) if level == 0 else ()))

        if self.config.downsample_first:
            x = self.upsample(x)
        x = self.final_res_block(torch.cat([x, stem], dim=1), t)
        return self.final_conv(x)[..., :h, :w]

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[UNetConfig, Mapping[str, Tensor]] | None:
        """Recognise DA-CLIP's `universal-ir.pth` and `wild-ir.pth`; IR-SDE's own U-Net differs."""
        key = "mid_attn.fn.fn.transformer_blocks.0.attn2.to_k.weight"
        adapted = any(name.startswith("adapters.") for name in state)  # a guided one of ours
        if key not in state or "init_conv.weight" not in state or adapted:
            return None
        nf, levels = state["init_conv.weight"].shape[0], children(state, "downs.")
        config = UNetConfig(
            nf=nf,
            ch_mult=tuple(state[f"downs.{i}.3.weight"].shape[0] // nf for i in range(levels)),
            context_dim=state[key].shape[1],
            use_degradation_context="text_mlp.0.weight" in state,
            downsample_first="downsample.weight" in state,
        )
        return config, state


class DirectUNet(ConditionalUNet):
    """The same U-Net in one pass (ours): the image plus a predicted residual, zero until trained.

    State and degraded image are both the input, the time is 0. Weights of a `ConditionalUNet` fit.
    """

    def __init__(self, config: UNetConfig = UNIVERSAL):
        super().__init__(config)
        zeroed(self.final_conv)

    def forward(
        self,
        image: Tensor,
        condition: UNetCondition,
        adapters: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> Tensor:
        """Restore `(B, 3, H, W)` in [0, 1], any H, W >= 1; not clamped."""
        time = image.new_zeros(1)
        return image + super().forward(image, image, time, condition, adapters)

    @classmethod
    def official(cls, state: Mapping[str, Tensor]) -> None:
        """None: official files are of the diffusion network."""
        return None


class Down(nn.ModuleList):
    """Two residual blocks, attention, and half the resolution."""

    def forward(self, x: Tensor, t: Tensor, skips: list[Tensor], *bias: Tensor) -> Tensor:
        """Map `(B, C, H, W)` and add two skip connections to `skips`."""
        block1, block2, attend, shrink = self
        skips.append(block1(x, t))
        skips.append(attend(block2(skips[-1], t), *bias))
        return shrink(skips[-1])


class Up(nn.ModuleList):
    """Two residual blocks, attention, and twice the resolution."""

    def forward(self, x: Tensor, t: Tensor, skips: list[Tensor], *bias: Tensor) -> Tensor:
        """Map `(B, C, H, W)` and the last two of `skips`, which are removed."""
        block1, block2, attend, grow = self
        x = block1(torch.cat([x, skips.pop()], dim=1), t)
        x = block2(torch.cat([x, skips.pop()], dim=1), t)
        return grow(attend(x, *bias))


class ResBlock(nn.Module):
    """Two 3x3 convolutions without norm; the time embedding scales and shifts the first."""

    def __init__(self, inputs: int, outputs: int, time_dim: int):
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(time_dim, 2 * outputs))
        self.block1 = nn.ModuleDict({"proj": conv3x3(inputs, outputs)})
        self.block2 = nn.ModuleDict({"proj": conv3x3(outputs, outputs)})
        self.res_conv = (
            nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Map `(B, inputs, H, W)` and the time embedding `(B or 1, time_dim)` to outputs."""
        scale, shift = self.mlp(t)[:, :, None, None].chunk(2, dim=1)
        h = F.silu(torch.addcmul(shift, self.block1["proj"](x), scale + 1))
        return F.silu(self.block2["proj"](h)) + self.res_conv(x)


def conv3x3(inputs: int, outputs: int) -> nn.Conv2d:
    """Convolution without bias."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def downsample(inputs: int, outputs: int) -> nn.Conv2d:
    """Halve the resolution."""
    return nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)


def upsample(inputs: int, outputs: int) -> nn.Sequential:
    """Double the resolution."""
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(inputs, outputs, 3, padding=1)
    )
