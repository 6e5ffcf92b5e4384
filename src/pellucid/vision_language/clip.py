"""CLIP: transformers that embed pictures and sentences in one space.

Paper: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (ICML
2021). Parameter names, their order and the numbers are those of open_clip 2.20, so its weights load
strictly and DA-CLIP's, which are built on them, too: LAION-2B's models have the exact GELU,
OpenAI's own `quick_gelu` (MIT, https://github.com/openai/CLIP). Attention runs through
`scaled_dot_product_attention` under the names of `nn.MultiheadAttention`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class VisionConfig:
    """Sizes of the image tower: `image_size` px squares, cut into `patch_size` px squares."""

    image_size: int = 224
    """Side of the picture, in px."""
    patch_size: int = 32
    """Side of a patch, in px."""
    width: int = 768
    """Length of a token."""
    layers: int = 12
    """Number of transformer blocks."""
    heads: int = 12
    """Heads of the attention."""


@dataclass(frozen=True)
class TextConfig:
    """Sizes of the text tower."""

    context_length: int = 77
    """Tokens of a text, start and end included."""
    vocab_size: int = 49408
    """Size of the vocabulary."""
    width: int = 512
    """Length of a token."""
    heads: int = 8
    """Heads of the attention."""
    layers: int = 12
    """Number of transformer blocks."""


@dataclass(frozen=True)
class CLIPConfig:
    """Sizes of both towers, and the preprocessing of pictures."""

    embed_dim: int = 512
    """Length of the embeddings."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    """Sizes of the image tower."""
    text: TextConfig = field(default_factory=TextConfig)
    """Sizes of the text tower."""
    views: Literal["whole", "windows"] = "whole"
    """What the image tower is shown of a picture: "whole", one thumbnail (shorter side to
    `image_size`, centre square), as CLIP is; "windows", up to 25 squares of `image_size` px at the
    picture's own resolution, for towers that must see damage a thumbnail averages away."""
    quick_gelu: bool = False
    """Whether both towers have x * sigmoid(1.702 x), as OpenAI's weights do, in place of GELU."""
    mean: tuple[float, float, float] = MEAN
    """Mean of each channel, subtracted from the pixels."""
    std: tuple[float, float, float] = STD
    """Standard deviation of each channel, which the pixels are divided by."""


VIT_B_32 = CLIPConfig()
OPENAI_VIT_B_32 = CLIPConfig(quick_gelu=True)
VIT_L_14 = CLIPConfig(
    embed_dim=768,
    vision=VisionConfig(patch_size=14, width=1024, layers=24, heads=16),
    text=TextConfig(width=768, heads=12),
)


class Attention(nn.Module):
    """Multi-head self-attention, parameters named as in `nn.MultiheadAttention`."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        """Attend within each sequence of x (B, N, W)."""
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (B, heads, N, d)
        # Differentiated on a CPU, attention takes three times as long in bfloat16 as in float32.
        slow = q.requires_grad and q.device.type == "cpu" and q.dtype == torch.bfloat16
        if slow:
            q, k, v = q.float(), k.float(), v.float()
        with torch.autocast(q.device.type, enabled=False) if slow else nullcontext():
            x = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(x.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """Two linear layers with GELU, four times as wide inside."""

    def __init__(self, width: int, quick_gelu: bool = False):
        super().__init__()
        self.quick_gelu = quick_gelu
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each token of x (..., W)."""
        x = self.c_fc(x)
        return self.c_proj(x * (1.702 * x).sigmoid() if self.quick_gelu else F.gelu(x))


class Block(nn.Module):
    """Pre-norm residual attention block."""

    def __init__(self, width: int, heads: int, quick_gelu: bool = False):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = MLP(width, quick_gelu)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        """Transform x (B, N, W)."""
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """A stack of blocks.

    Initialised as CLIP's text tower: weights of the layers that write into the residual stream
    shrink with depth. (open_clip leaves the image tower at PyTorch's defaults; here both follow the
    rule.)
    """

    def __init__(self, width: int, layers: int, heads: int, quick_gelu: bool = False):
        super().__init__()
        blocks = [Block(width, heads, quick_gelu) for _ in range(layers)]
        self.resblocks = nn.ModuleList(blocks)
        std = width**-0.5
        for block in blocks:
            nn.init.normal_(block.attn.in_proj_weight, std=std)
            nn.init.normal_(block.attn.out_proj.weight, std=std * (2 * layers) ** -0.5)
            nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.c_proj.weight, std=std * (2 * layers) ** -0.5)
            for layer in (block.attn.out_proj, block.mlp.c_fc, block.mlp.c_proj):
                nn.init.zeros_(layer.bias)

    def forward(
        self, x: Tensor, causal: bool = False, control: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Transform x (B, N, W); `control[i]` (B, N, W) is added after block i."""
        for i, block in enumerate(self.resblocks):
            x = block(x, causal)
            if control is not None:
                x = x + control[i]
        return x


class VisionTransformer(nn.Module):
    """The image tower: patches and a class token in, one embedding out."""

    def __init__(self, config: VisionConfig, embed_dim: int, quick_gelu: bool = False):
        super().__init__()
        if config.image_size % config.patch_size or config.width % config.heads:
            raise ValueError(f"patch_size must divide image_size, and heads the width: {config}")
        self.image_size = config.image_size
        tokens = (config.image_size // config.patch_size) ** 2 + 1
        std = config.width**-0.5
        self.class_embedding = nn.Parameter(std * torch.randn(config.width))
        self.positional_embedding = nn.Parameter(std * torch.randn(tokens, config.width))
        self.proj = nn.Parameter(std * torch.randn(config.width, embed_dim))
        self.conv1 = nn.Conv2d(3, config.width, config.patch_size, config.patch_size, bias=False)
        self.ln_pre = nn.LayerNorm(config.width)
        self.transformer = Transformer(config.width, config.layers, config.heads, quick_gelu)
        self.ln_post = nn.LayerNorm(config.width)

    def stem(self, pixels: Tensor) -> Tensor:
        """Cut normalised pixels (B, 3, S, S) into tokens (B, 1 + patches, W), class token first."""
        if pixels.shape[-2:] != (self.image_size, self.image_size):
            height, width = pixels.shape[-2:]
            raise ValueError(
                f"this image tower takes {self.image_size} x {self.image_size} px, "
                f"not {height} x {width}; use preprocess.embed for pictures of any size"
            )
        x = self.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1)
        return self.ln_pre(x + self.positional_embedding)

    def head(self, x: Tensor) -> Tensor:
        """Project the class token of x (B, N, W) to the embedding (B, D)."""
        return self.ln_post(x[:, 0]) @ self.proj

    def forward(self, pixels: Tensor, control: Sequence[Tensor] | None = None) -> Tensor:
        """Embed normalised pixels (B, 3, S, S) as (B, D); `control[i]` is added after block i."""
        return self.head(self.transformer(self.stem(pixels), control=control))


class CLIP(nn.Module):
    """Image and text tower. Embeddings are not normalised."""

    def __init__(self, config: CLIPConfig = VIT_B_32):
        super().__init__()
        self.config = config
        text = config.text
        self.positional_embedding = nn.Parameter(torch.randn(text.context_length, text.width) / 100)
        self.text_projection = nn.Parameter(
            text.width**-0.5 * torch.randn(text.width, config.embed_dim)
        )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.visual = VisionTransformer(config.vision, config.embed_dim, config.quick_gelu)
        self.transformer = Transformer(text.width, text.layers, text.heads, config.quick_gelu)
        self.token_embedding = nn.Embedding(text.vocab_size, text.width)
        self.ln_final = nn.LayerNorm(text.width)
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[CLIPConfig, Mapping[str, Tensor]] | None:
        """Recognise nothing: shapes do not tell exact GELU from OpenAI's, so no bare state dict."""
        return None

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S), S = `config.vision.image_size`, as (B, D)."""
        return self.visual(pixels)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Embed token ids (B, context_length) as (B, D).

        The embedding is read at the largest id of a row, so the end token must be the last of the
        vocabulary.
        """
        return self.encode_embedded(self.token_embedding(tokens), tokens.argmax(dim=-1))

    def encode_embedded(self, x: Tensor, end: Tensor) -> Tensor:
        """Embed sentences of token embeddings (B, N, W), with end tokens at `end` (B,), as (B, D).

        Attention is causal: what follows the end token cannot matter and is cut off.
        """
        x = self._states(x[:, : int(end.max()) + 1])
        return x[torch.arange(len(x), device=x.device), end] @ self.text_projection

    def read(self, tokens: Tensor) -> Tensor:
        """States (B, N, W) of the text tower at each of N token ids (B, N).

        Attention is causal: a state knows nothing of what follows it.
        """
        return self._states(self.token_embedding(tokens))

    def _states(self, x: Tensor) -> Tensor:
        x = x + self.positional_embedding[: x.shape[1]]
        return self.ln_final(self.transformer(x, causal=True))
