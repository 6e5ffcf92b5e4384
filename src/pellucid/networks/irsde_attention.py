"""Attention of the U-Net of IR-SDE and DA-CLIP, under the names of the official code."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.layers import channel_layer_norm, zeroed

HEAD = 32  # channels of an attention head
LINEAR_HEADS = 4


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
        self.proj_out = zeroed(nn.Conv2d(channels, channels, 1))

    def bias(self, content: Tensor) -> Tensor:
        """Cross-attention to the content embedding `(B, context_dim)`: `(B, C)` for every pixel."""
        (block,) = self.transformer_blocks
        assert isinstance(block, TransformerBlock)
        return block.attn2(content)

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
        gated = Gated({"proj": nn.Linear(channels, 2 * hidden)})
        self.net = nn.Sequential(gated, nn.Identity(), nn.Linear(hidden, channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, N, C)`."""
        return self.net(tokens)


class Gated(nn.ModuleDict):
    """Linear layer `proj`, the second half of whose outputs gates the first."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Map `(B, N, C)` to half the outputs of `proj`."""
        value, gate = self["proj"](tokens).chunk(2, dim=-1)
        return value * F.gelu(gate)
