"""Perceive-IR's quality prompts: three learned prompts that CLIP compares with a picture.

Paper: Zhang et al., "Perceive-IR" (IEEE TIP 2026, stage 1). Construction, preprocessing and numbers
are those of the official code (https://github.com/House-yuyu/Perceive-IR, Apache-2.0), which
carries CLIP-LIT's two prompts (Liang et al., ICCV 2023) over to three.

Its published prompts were learned with OpenAI's ViT-B/32 (`clip.OPENAI_VIT_B_32`): read by another
CLIP they mean little, and prompts learned here suit the tower that they were learned with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.controller import Controller
from pellucid.vision_language.preprocess import eight_bit, windows

LEVELS = ("terrible", "mediocre", "excellent")
TOKENS = 16  # learned ones, the last of which starts as the word itself
TRAINED_AT = 100.0  # factor on the cosines in training, CLIP's own


class Quality(NamedTuple):
    """How good pictures are: `probabilities` (B, 3), worst level first; `value` (B,) in [0, 2]."""

    probabilities: Tensor
    value: Tensor


class QualityPrompts(nn.Module):
    """Three sentences of a text tower with 16 learned tokens each.

    `context` (3, 16, W) is learned, and a controller if there is one. Start and end tokens and the
    words' own embeddings are taken from the tower once. Names are the official checkpoints'.
    New prompts start from the words "terrible", "mediocre" and "excellent".

    Args:
        clip: its token embeddings are read, nothing else.
        tokenize: its tokenizer, as `Tokenizer`: texts to ids `(B, context_length)`.
        controller: reads pictures in place of the image tower of `clip`, and is learned, too.

    Raises:
        ValueError: a sentence of 16 tokens does not fit the tower.
    """

    token_prefix: Tensor
    token_suffix: Tensor
    tokenized_prompts: Tensor

    def __init__(
        self,
        clip: CLIP,
        tokenize: Callable[[Sequence[str]], Tensor],
        controller: Controller | None = None,
    ):
        super().__init__()
        self.controller = controller
        embed = clip.token_embedding.weight.detach()
        with torch.device("cpu"):  # whatever the default, ids are looked at
            ids = [row[: row.argmax() + 1].to(embed.device) for row in tokenize(["X", *LEVELS])]
        tokenized = torch.zeros(
            3, clip.config.text.context_length, dtype=torch.long, device=embed.device
        )
        if tokenized.shape[1] < TOKENS + 2:
            raise ValueError(f"{TOKENS} tokens do not fit into {tokenized.shape[1] - 2}")
        tokenized[:, 0], tokenized[:, 1 : TOKENS + 1] = ids[0][0], ids[0][-2]
        tokenized[:, TOKENS + 1] = ids[0][-1]
        context = 0.02 * torch.randn(3, TOKENS, embed.shape[1]).to(embed)
        # CLIP has one piece for each of the words; of several, the mean
        context[:, -1] = torch.stack([embed[pieces[1:-1]].mean(dim=0) for pieces in ids[1:]])
        self.context = nn.Parameter(context)
        tokens = embed[tokenized]
        self.register_buffer("token_prefix", tokens[:, :1].clone())
        self.register_buffer("token_suffix", tokens[:, 1 + TOKENS :].clone())
        self.register_buffer("tokenized_prompts", tokenized)

    def forward(self) -> Tensor:
        """The sentences as embedded tokens `(3, context_length, W)`."""
        return torch.cat([self.token_prefix, self.context, self.token_suffix], dim=1)


class QualityPerceiver(nn.Module):
    """Quality of pictures, from prompts and a frozen CLIP; differentiable in pictures and prompts.

    Args:
        clip: ViT-B/32 officially, or any `CLIP`; frozen here.
        prompts: made for the same tower.
    """

    def __init__(self, clip: CLIP, prompts: QualityPrompts):
        super().__init__()
        self.clip = clip.eval().requires_grad_(False)
        self.prompts = prompts

    def levels(self) -> Tensor:
        """Unit embeddings of the three levels `(3, D)`, worst first; constant once trained."""
        prompts = self.prompts()
        end = torch.full((len(prompts),), TOKENS + 1, device=prompts.device)
        return F.normalize(self.clip.encode_embedded(prompts, end), dim=-1)

    def embed(self, image: Tensor) -> Tensor:
        """Unit embeddings `(B, D)` of pictures `(B, 3, H, W)` in [0, 1].

        They are shown as the tower's config says, and gradients pass: "whole" squeezes the picture
        to one square (bicubic, not antialiased), as the official code does; "windows" shows squares
        of the picture at its own resolution, whose embeddings are averaged.
        """
        config = self.clip.config
        size = config.vision.image_size
        if config.views == "windows":
            views = windows(eight_bit(image), size)
        else:
            views = F.interpolate(image, (size, size), mode="bicubic", align_corners=False)[:, None]
        mean, std = (views.new_tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
        pixels, controller = ((views - mean) / std).flatten(0, 1), self.prompts.controller
        features = self.clip.encode_image(pixels) if controller is None else controller(pixels)[0]
        return F.normalize(features.unflatten(0, views.shape[:2]).mean(dim=1), dim=-1)

    def logits(self, image: Tensor, temperature: float = TRAINED_AT) -> Tensor:
        """`temperature * cosine` with each level: `(B, 3)`, worst first."""
        return temperature * (self.embed(image) @ self.levels().T)

    @torch.no_grad()
    def score(self, image: Tensor) -> Quality:
        """Tell how good pictures `(B, 3, H, W)` in [0, 1] are.

        `value` is the expected level: 0 terrible, 1 mediocre, 2 excellent.
        """
        probabilities = self.logits(image).softmax(dim=-1)
        return Quality(probabilities, probabilities @ probabilities.new_tensor([0.0, 1.0, 2.0]))

    def loss(self, image: Tensor, temperature: float = 1.0) -> Tensor:
        """Perceive-IR's L_clip of restored pictures `(B, 3, H, W)`, clamped to [0, 1] here.

        The temperature of the official code is 1, unlike in the training of the prompts.
        """
        return quality_loss(self.logits(image.clamp(0, 1), temperature))

    def triplet_loss(
        self, low: Tensor, medium: Tensor, high: Tensor, temperature: float = TRAINED_AT
    ) -> Tensor:
        """Cross-entropy over triplets, each `(B, 3, H, W)` in [0, 1], to train prompts."""
        logits = self.logits(torch.cat([low, medium, high]), temperature)
        levels = torch.arange(3, device=logits.device).repeat_interleave(len(low))
        return F.cross_entropy(logits, levels)


def triplets_told(logits: Tensor) -> dict[str, Tensor]:
    """Measures of triplets, each (B,) in [0, 1], from logits (3, B, 3), low pictures first.

    `accuracy`, the share of the three whose level is right; `strict`, all three are; `monotone`,
    the expected levels rise from low to high. Source: official code.
    """
    levels = torch.arange(3, device=logits.device)
    right = (logits.argmax(dim=-1) == levels[:, None]).float()
    low, medium, high = logits.softmax(dim=-1) @ levels.to(logits.dtype)
    monotone = ((low < medium) & (medium < high)).float()
    return {"accuracy": right.mean(dim=0), "strict": right.prod(dim=0), "monotone": monotone}


def quality_loss(logits: Tensor) -> Tensor:
    """Mean probability of being less than excellent, from logits `(B, 3)`, worst level first."""
    return (1 - logits.softmax(dim=-1)[:, -1]).mean()
