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

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import channel_layer_norm, children, pad_to_multiple, sinusoidal

HEAD = 32  # channels of an attention head
LINEAR_HEADS = 4


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of a `ConditionalUNet`. Level i has nf * ch_mult[i] channels, the stem nf."""

    nf: int = 64
    ch_mult: tuple[int, ...] = (1, 2, 4, 8)
    context_dim: int = 512  # length of the DA-CLIP embeddings
    use_degradation_context: bool = True  # prompt module
    use_image_context: bool = True  # cross-attention to the content embedding
    downsample_first: bool = False  # all levels at half the resolution

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

        def transform(channels: int) -> Residual:
            return Residual(channels, SpatialTransformer(channels, context_dim))

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
            self.downs.append(
                nn.ModuleList([block(outer, outer), block(outer, outer), attend, shrink])
            )
        for i, (outer, inner) in reversed(list(enumerate(levels))):
            attend = transform(inner) if i == deepest else linear_attention(inner)
            grow = conv3x3(inner, outer) if i == 0 else upsample(inner, outer)
            both = inner + outer  # with a skip connection
            self.ups.append(nn.ModuleList([block(both, inner), block(both, inner), attend, grow]))
        self.mid_block1 = block(widths[-1], widths[-1])
        self.mid_attn = transform(widths[-1])
        self.mid_block2 = block(widths[-1], widths[-1])
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
            transformers = (self.downs[-1][2], self.mid_attn, self.ups[0][2])
            biases = tuple(residual.fn["fn"].bias(content) for residual in transformers)
        return UNetCondition(prompt, biases)

    def forward(self, x: Tensor, mu: Tensor, t: Tensor, condition: UNetCondition) -> Tensor:
        """Predict the noise in a state.

        Args:
            x: state `(B, 3, H, W)`, any H, W >= 1.
            mu: degraded image `(B, 3, H, W)` in [0, 1].
            t: times `(B,)` or `(1,)` in 1..T, integer or float.
            condition: of B images or of one.
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
        for level, (block1, block2, attend, shrink) in enumerate(self.downs, start=1):
            x = block1(x, t)
            skips.append(x)
            x = block2(x, t)
            x = attend(x, down_bias) if level == len(self.downs) else attend(x)
            skips.append(x)
            x = shrink(x)
        x = self.mid_block1(x, t)
        x = self.mid_attn(x, mid_bias)
        x = self.mid_block2(x, t)
        for level, (block1, block2, attend, grow) in enumerate(self.ups):
            x = block1(torch.cat([x, skips.pop()], dim=1), t)
            x = block2(torch.cat([x, skips.pop()], dim=1), t)
            x = attend(x, up_bias) if level == 0 else attend(x)
            x = grow(x)

        if self.config.downsample_first:
            x = self.upsample(x)
        x = self.final_res_block(torch.cat([x, stem], dim=1), t)
        return self.final_conv(x)[..., :h, :w]

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[UNetConfig, Mapping[str, Tensor]] | None:
        """DA-CLIP's `universal-ir.pth` and `wild-ir.pth`; the U-Net of IR-SDE itself differs."""
        key = "mid_attn.fn.fn.transformer_blocks.0.attn2.to_k.weight"
        if key not in state or "init_conv.weight" not in state:
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


class ChannelNorm(nn.Module):
    """Layer norm over channels with a gain only."""

    def __init__(self, channels: int):
        super().__init__()
        self.g = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each pixel of `(B, C, H, W)`."""
        return channel_layer_norm(x, self.g, None, eps=1e-5)


class Residual(nn.Module):
    """`x + layer(norm(x))`; the official code wraps twice, hence the names."""

    def __init__(self, channels: int, layer: nn.Module):
        super().__init__()
        self.fn = nn.ModuleDict({"fn": layer, "norm": ChannelNorm(channels)})

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Apply the layer, with its context, to the normed `(B, C, H, W)`."""
        return x + self.fn["fn"](self.fn["norm"](x), *context)


class LinearAttention(nn.Module):
    """Attention whose cost is linear in the number of pixels N.

    A 32 x 32 matrix a head averages key-value products over all pixels; each pixel's query reads
    it. As in the official code, the values are divided by N although the softmax averages already.
    """

    def __init__(self, channels: int):
        super().__init__()
        inner = LINEAR_HEADS * HEAD
        self.to_qkv = nn.Conv2d(channels, 3 * inner, 1, bias=False)
        self.to_out = nn.Sequential(nn.Conv2d(inner, channels, 1), ChannelNorm(channels))
        same_head = torch.eye(LINEAR_HEADS).repeat_interleave(HEAD, 0).repeat_interleave(HEAD, 1)
        self.register_buffer("same_head", same_head, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix all pixels of `(B, C, H, W)`."""
        h, w = x.shape[-2:]
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)  # (B, N, C), a view in channels-last memory
        q, k, v = (F.linear(pixels, part) for part in self.to_qkv.weight.flatten(1).chunk(3))
        if q.dtype == torch.float16:  # 1 / N of a large image is too small for it
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(x.device.type, enabled=False):
            # All heads in one product: what it computes between two heads is dropped, and costs
            # less than to bring each head's channels together.
            summary = k.softmax(dim=1).mT @ v
            summary = (summary * (self.same_head * (HEAD**-0.5 / (h * w)))).to(q.dtype)
            out = q.unflatten(-1, (-1, HEAD)).softmax(dim=-1).flatten(-2) @ summary
        return self.to_out(out.unflatten(1, (h, w)).permute(0, 3, 1, 2).to(x.dtype))


class SpatialTransformer(nn.Module):
    """A transformer block over the pixels of a level, between two 1x1 convolutions."""

    def __init__(self, channels: int, context_dim: int | None):
        super().__init__()
        self.norm = nn.GroupNorm(32, channels, eps=1e-6)
        self.proj_in = nn.Conv2d(channels, channels, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(channels, context_dim)])
        self.proj_out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    def bias(self, content: Tensor) -> Tensor:
        """Cross-attention to the content embedding `(B, context_dim)`: `(B, C)` for every pixel."""
        return self.transformer_blocks[0].attn2(content)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """Map `(B, C, H, W)`; `bias` is that of the content embedding."""
        h, w = x.shape[-2:]
        tokens = self.proj_in(self.norm(x)).flatten(2).mT  # (B, H W, C)
        tokens = self.transformer_blocks[0](tokens, bias)
        return x + self.proj_out(tokens.mT.unflatten(2, (h, w)))


class TransformerBlock(nn.Module):
    """Self-attention, the bias that cross-attention to one token amounts to, feed-forward."""

    def __init__(self, channels: int, context_dim: int | None):
        super().__init__()
        self.attn1 = SelfAttention(channels, channels)
        self.ff = FeedForward(channels)
        if context_dim is not None:
            self.attn2 = OneTokenCrossAttention(channels, context_dim)
        self.norm1 = nn.LayerNorm(channels)
        if context_dim is not None:
            self.norm2 = nn.LayerNorm(channels).requires_grad_(False)
        self.norm3 = nn.LayerNorm(channels)

    def forward(self, tokens: Tensor, bias: Tensor) -> Tensor:
        """Map `(B, N, C)`, given the bias `(B or 1, C)`."""
        tokens = tokens + self.attn1(self.norm1(tokens)) + bias[:, None]
        return tokens + self.ff(self.norm3(tokens))


class Attention(nn.Module):
    """Parameters of multi-head attention from `channels` to keys and values of `key_dim`."""

    def __init__(self, channels: int, key_dim: int):
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(key_dim, channels, bias=False)
        self.to_v = nn.Linear(key_dim, channels, bias=False)
        self.to_out = nn.Sequential(nn.Linear(channels, channels))


class SelfAttention(Attention):
    """Every pixel attends to every pixel, in heads of 32 channels."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, N, C)`."""
        q, k, v = (
            project(tokens).unflatten(-1, (-1, HEAD)).transpose(1, 2)  # (B, heads, N, 32)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        out = F.scaled_dot_product_attention(q, k, v)
        return self.to_out(out.transpose(1, 2).flatten(-2))


class OneTokenCrossAttention(Attention):
    """Cross-attention to a single token: its softmax is 1, so queries and keys do not matter."""

    def __init__(self, channels: int, context_dim: int):
        super().__init__(channels, context_dim)
        self.to_q.requires_grad_(False)
        self.to_k.requires_grad_(False)

    def forward(self, token: Tensor) -> Tensor:
        """Map the token `(B, context_dim)` to what every pixel receives, `(B, C)`."""
        return self.to_out(self.to_v(token))


class FeedForward(nn.Module):
    """Two-layer perceptron whose hidden units are gated (GEGLU)."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = 4 * channels
        gated = nn.ModuleDict({"proj": nn.Linear(channels, 2 * hidden)})
        self.net = nn.ModuleList([gated, nn.Identity(), nn.Linear(hidden, channels)])

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, N, C)`."""
        value, gate = self.net[0]["proj"](tokens).chunk(2, dim=-1)
        return self.net[2](value * F.gelu(gate))


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
