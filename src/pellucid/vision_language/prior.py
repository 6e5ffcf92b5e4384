"""CLIP weather prior (CWP): what a frozen image encoder and the data set know of the weather.

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
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.vision_language.preprocess import preprocess


@dataclass(frozen=True)
class PriorConfig:
    """Sizes of the prior, and the other readings of the abstract (`mix`, `query`, `grid_dim`)."""

    sample_dim: int = 1024  # length of the encoder's embedding; 0 = no sample token
    tokens: int = 48  # learned ones; 0 = the sample token alone
    width: int = 256  # of a token
    mix: Literal["concatenate", "shift", "mixture"] = "concatenate"
    query: Literal["pixels", "tokens"] = "pixels"
    grid_dim: int = 0  # channels of the encoder's last map, whose places become tokens; 0 = none


class WeatherPrior(nn.Module):
    """The tokens of a picture: `prior(sample, grid)` -> (B, N, width).

    With z the embedding and P the learned tokens, `mix` is

    - "concatenate": [MLP(LN(z)); P], each with the embedding of its type;
    - "shift": P + MLP(LN(z));
    - "mixture": softmax(MLP(LN(z))) P, a single token.

    Raises:
        ValueError: neither a sample nor learned tokens, or a `mix` of the two that lacks one.
    """

    def __init__(self, config: PriorConfig | None = None):
        super().__init__()
        self.config = config = config or PriorConfig()
        if not config.tokens and (not config.sample_dim or config.mix != "concatenate"):
            raise ValueError(f"a prior without learned tokens is its sample token: {config}")
        if not config.sample_dim and config.mix != "concatenate":
            raise ValueError(f"there is no sample to {config.mix} with: {config}")
        width = config.width
        if config.sample_dim:
            self.sample = nn.Sequential(
                nn.LayerNorm(config.sample_dim),
                nn.Linear(config.sample_dim, width),
                nn.GELU(),
                nn.Linear(width, config.tokens if config.mix == "mixture" else width),
            )
        if config.tokens:
            self.learned = nn.Parameter(0.02 * torch.randn(config.tokens, width))
        if config.mix == "concatenate":
            self.types = nn.Parameter(0.02 * torch.randn(2, width))  # sample, learned
        if config.grid_dim:
            self.grid = nn.Sequential(
                nn.LayerNorm(config.grid_dim), nn.Linear(config.grid_dim, width)
            )

    def forward(self, sample: Tensor | None = None, grid: Tensor | None = None) -> Tensor:
        """Make the tokens of pictures.

        Args:
            sample: embeddings (B, sample_dim) of whole pictures, not normalised. None counts as
                zeros; ignored where the config has no sample.
            grid: the encoder's last map (B, places, grid_dim); with `grid_dim` it must be given.
        """
        config = self.config
        if config.sample_dim:
            if sample is None:
                sample = next(self.parameters()).new_zeros(1, config.sample_dim)
            read = self.sample(sample)[:, None]  # (B, 1, width or tokens)
        if config.mix == "mixture":
            tokens = read.softmax(dim=-1) @ self.learned
        elif config.mix == "shift":
            tokens = self.learned + read
        else:
            parts = [read + self.types[0]] if config.sample_dim else []
            if config.tokens:
                batch = len(read) if config.sample_dim else 1
                parts.append((self.learned + self.types[1]).expand(batch, -1, -1))
            tokens = torch.cat(parts, dim=1)
        if config.grid_dim:
            if grid is None:
                raise ValueError("this prior reads the encoder's last map, too; none was given")
            places = self.grid(grid)
            tokens = torch.cat([tokens.expand(len(places), -1, -1), places], dim=1)
        return tokens


class PriorAttention(nn.Module):
    """Cross-attention that embeds the tokens in a map; its gain starts at zero, so without effect.

    `query="pixels"`: each pixel reads the tokens. `query="tokens"`: each token reads the picture
    (as TransWeather's task queries do), and a pixel takes from the tokens, by the same similarity,
    what they have read. Either costs pixels times tokens: linear in the size of the picture.
    """

    def __init__(self, channels: int, width: int, query: Literal["pixels", "tokens"] = "pixels"):
        super().__init__()
        self.query = query
        self.heads = max(1, channels // 32)
        if channels % self.heads:
            raise ValueError(f"{channels} channels do not divide into {self.heads} heads")
        asked, asking = (2 * channels, channels) if query == "tokens" else (channels, 2 * channels)
        self.norm_pixels = nn.LayerNorm(channels)
        self.norm_tokens = nn.LayerNorm(width)
        self.from_pixels = nn.Linear(channels, asked)
        self.from_tokens = nn.Linear(width, asking)
        self.out = nn.Linear(channels, channels)
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Map (B, C, H, W) and tokens (B or 1, N, width) to (B, C, H, W)."""
        pixels = x.flatten(2).transpose(1, 2)  # (B, H W, C)
        ours = self._heads(self.from_pixels(self.norm_pixels(pixels)))
        theirs = self._heads(self.from_tokens(self.norm_tokens(tokens)).expand(len(x), -1, -1))
        if self.query == "pixels":
            key, value = theirs.chunk(2, dim=-1)
            read = F.scaled_dot_product_attention(ours, key, value)
        else:
            key, value = ours.chunk(2, dim=-1)
            seen = F.scaled_dot_product_attention(theirs, key, value)
            read = F.scaled_dot_product_attention(key, theirs, seen)
        read = self.out(read.transpose(1, 2).flatten(2)) * self.gain
        return x + read.transpose(1, 2).unflatten(2, x.shape[-2:])

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, d)


@torch.no_grad()
def sample_embedding(tower: Any, image: Tensor) -> Tensor:
    """Return the frozen encoder's embedding (B, D), float32, of whole pictures.

    Of the thumbnail, or the mean over windows where the tower's config says so. A crop gives
    another embedding than its picture: in training, too, take it of the picture before cropping,
    turned as the crop is.

    Args:
        tower: has `config` and `encode_image`, as `CLIP`, `DaCLIP` (its plain tower) and
            `CLIPResNet` do; its device and dtype are used.
        image: float RGB (B, 3, H, W) in [0, 1].
    """
    views = preprocess(image, tower.config)
    weight = next(tower.parameters())
    embedded = tower.encode_image(views.flatten(0, 1).to(weight.device, weight.dtype))
    return embedded.float().unflatten(0, views.shape[:2]).mean(dim=1)
