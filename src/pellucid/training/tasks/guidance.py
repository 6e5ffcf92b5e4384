"""What tasks need around a vision-language tower: its input, and a frozen one as a guide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pellucid.networks.layers import context_for, guided_by
from pellucid.vision_language.clip import CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.preprocess import embed, preprocess


class WordEmbeddings(nn.Module):
    """A frozen text tower's embeddings of degradations.

    Args:
        clip: has `encode_text`: token ids (B, context_length) -> (B, D).
        tokenize: texts -> token ids.
    """

    def __init__(self, clip: nn.Module, tokenize: Callable[[list[str]], Tensor]):
        super().__init__()
        self.clip, self.tokenize = clip, tokenize
        self._known: dict[str, Tensor] = {}  # computed when first met

    @torch.no_grad()
    def forward(self, words: Sequence[str]) -> Tensor:
        """Return (B, D) float32; the chain "rainy+noisy" reads "rainy, noisy"."""
        for word in words:
            if word not in self._known:  # one by one: a resumed run must find the same rounding
                tokens = self.tokenize([word.replace("+", ", ")])
                tokens = tokens.to(self.clip.text_projection.device)
                with torch.autocast(tokens.device.type, enabled=False):
                    self._known[word] = self.clip.encode_text(tokens)[0].float()
        return torch.stack([self._known[word] for word in words])


def training_views(pictures: Tensor, config: CLIPConfig) -> Tensor:
    """Return a tower's input (B, V, 3, S, S) from crops (B, 3, H, W) in [0, 1].

    As in the official code, in training the tower sees the crop that the network sees, in use the
    picture. A tower with windows sees those of the crop. For another one the crop is resized
    (bicubic, antialiased), its longer side cut to a square; V is 1.

    Args:
        pictures: float32 RGB.
        config: of the tower.
    """
    if config.views == "windows":
        return preprocess(pictures, config)
    size, (height, width) = config.vision.image_size, pictures.shape[-2:]
    if (height, width) != (size, size):
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pictures = pictures[..., top : top + side, left : left + side]
        pictures = F.interpolate(pictures, (size, size), mode="bicubic", antialias=True)
        pictures = pictures.clamp(0, 1)
    mean, std = (pictures.new_tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
    return ((pictures - mean) / std)[:, None]


def view_means(encode: Callable[[Tensor], Any], views: Tensor) -> Any:
    """Encode views (B, V, 3, S, S) and return the float32 mean of each picture's embeddings.

    `encode` takes (N, 3, S, S) and gives embeddings (N, D), or a tuple of such.
    """
    embedded = encode(views.flatten(0, 1))
    if isinstance(embedded, Tensor):
        return embedded.float().unflatten(0, views.shape[:2]).mean(dim=1)
    return tuple(e.float().unflatten(0, views.shape[:2]).mean(dim=1) for e in embedded)


class FrozenTower(nn.Module):
    """Give the content and degradation embeddings of damaged pictures; never trained.

    In training (a crop) `forward` is called, in validation (a whole picture) `picture`, which is
    what inference does.

    """

    def __init__(self, model: DaCLIP, path: str = ""):
        super().__init__()
        self.path = path  # of its file, for the meta of the network's weights
        self.model = model.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenTower:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        """Return float32 (content, degradation), each (B, D), of crops (B, 3, H, W) in [0, 1]."""
        views = training_views(lq, self.model.config)
        return view_means(partial(self.model.encode_image, control=True), views)

    def picture(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same of whole pictures, with the tower's own views and resizing."""
        return embed(self.model, lq)


class Semantics(nn.Module):
    """What reads damaged pictures for a network that is guided by them; never trained.

    Args:
        model: has `encode` and, for some networks, `places`; see `context_for`.
        source: where it comes from, for the meta of the network's weights.
    """

    def __init__(self, model: nn.Module, source: str = ""):
        super().__init__()
        self.model, self.source = model.requires_grad_(False).eval(), source

    def train(self, mode: bool = True) -> Semantics:
        """Stay in evaluation mode."""
        return super().train(False)


def guide(
    network: nn.Module,
    tower: FrozenTower | None,
    lq: Tensor,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    semantics: Semantics | None = None,
    told: Tensor | None = None,
    view: Tensor | None = None,
) -> Any:
    """Return `network.context` for damaged pictures (B, 3, H, W), of what it is guided by.

    What it asks for and nobody gives is None: no guidance.

    Args:
        tower: gives the embeddings "degradation" and "content".
        dropout: share of samples whose two embeddings are zeroed, so that the network can also work
            unguided.
        generator: says that these are training crops, and draws which ones; None = whole pictures.
        semantics: gives the others.
        told: degradation embeddings (B, D) in place of the tower's.
        view: what `semantics` is shown instead of crops: the whole pictures, turned as they are.
    """
    embeddings = {"degradation": told}
    if told is None and tower is not None and {"degradation", "content"} & set(guided_by(network)):
        content, degradation = tower(lq) if generator is not None else tower.picture(lq)
        if dropout and generator is not None:
            draw = torch.rand(len(content), 1, generator=generator, device=content.device) < dropout
            content, degradation = (torch.where(draw, 0.0, e) for e in (content, degradation))
        embeddings = {"degradation": degradation, "content": content}
    model = None if semantics is None else semantics.model
    return context_for(network, lq, model, view, **embeddings)
