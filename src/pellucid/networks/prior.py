"""CLIP weather prior (CWP): cross-attention to an image embedding and learned tokens.

Paper: Tan et al., "Exploring the Application of Large-scale Pre-trained Models on Adverse Weather
Removal" (IEEE TIP 2024, arXiv 2306.09008). Independent implementation of the published idea: its
code is not public, and we know its abstract alone. The abstract says that the module "integrates
the sample specific weather prior extracted by CLIP image encoder together with the distribution
specific information learned by a set of parameters, and embeds them through a cross attention
mechanism". All else is our decision: one token from the embedding of the whole picture, K learned
tokens, pixels as queries, a gain that starts at zero. The precedents are public code: a set of 48
learned queries in TransWeather, pixels that query a context in DA-CLIP's U-Net and in AWRaCLe.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior."""

    sample_dim: int = 1024
    """Length of the embedding that makes the sample token; 0 = no such token."""
    tokens: int = 48
    """Number of learned tokens; 0 = the sample token alone."""
    width: int = 256
    """Length of a token."""


class WeatherPrior(nn.Module):
    """The tokens of a picture: `prior(sample)` -> (B, N, width).

    With z the embedding and P the learned tokens: [MLP(LN(z)); P], each with the embedding of its
    type.

    Raises:
        ValueError: neither a sample nor learned tokens.
    """

    def __init__(self, config: PriorConfig | None = None):
        super().__init__()
        self.config = config = config or PriorConfig()
        if not config.tokens and not config.sample_dim:
            raise ValueError(f"a prior needs learned tokens or a sample: {config}")
        width = config.width
        if config.sample_dim:
            self.sample = nn.Sequential(
                nn.LayerNorm(config.sample_dim),
                nn.Linear(config.sample_dim, width),
                nn.GELU(),
                nn.Linear(width, width),
            )
        if config.tokens:
            self.learned = nn.Parameter(0.02 * torch.randn(config.tokens, width))
        self.types = nn.Parameter(0.02 * torch.randn(2, width))  # sample, learned

    def forward(self, sample: Tensor | None = None) -> Tensor:
        """Make the tokens of pictures.

        Args:
            sample: embeddings (B, sample_dim) of whole pictures, not normalised. None counts as
                zeros; ignored where the config has no sample.
        """
        config, parts, batch = self.config, [], 1
        if config.sample_dim:
            if sample is None:
                sample = self.types.new_zeros(1, config.sample_dim)
            parts.append(self.sample(sample)[:, None] + self.types[0])
            batch = len(sample)
        if config.tokens:
            parts.append((self.learned + self.types[1]).expand(batch, -1, -1))
        return torch.cat(parts, dim=1)


class PriorAttention(nn.Module):
    """Cross-attention that embeds the tokens in a map: each pixel queries the tokens.

    The gain starts at zero: no effect before training. The cost is linear in the number of pixels.
    """

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.heads = max(1, channels // 32)
        if channels % self.heads:
            raise ValueError(f"{channels} channels do not divide into {self.heads} heads")
        self.norm_pixels = nn.LayerNorm(channels)
        self.norm_tokens = nn.LayerNorm(width)
        self.from_pixels = nn.Linear(channels, channels)
        self.from_tokens = nn.Linear(width, 2 * channels)
        self.out = nn.Linear(channels, channels)
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map (B, C, H, W) and tokens (B or 1, N, width) to (B, C, H, W)."""
        pixels = x.flatten(2).transpose(1, 2)  # (B, H W, C)
        ours = self._heads(self.from_pixels(self.norm_pixels(pixels)))
        theirs = self._heads(self.from_tokens(self.norm_tokens(tokens)).expand(len(x), -1, -1))
        key, value = theirs.chunk(2, dim=-1)
        read = F.scaled_dot_product_attention(ours, key, value)
        read = self.out(read.transpose(1, 2).flatten(2)) * self.gain
        return x + read.transpose(1, 2).unflatten(2, x.shape[-2:])

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, d)
