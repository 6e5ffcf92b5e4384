"""DA-CLIP, stage 1: train a controller on a frozen CLIP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pellucid.checkpoints.load import load_into
from pellucid.checkpoints.weights import read_weights
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.loading import tokenizer_of
from pellucid.losses.contrastive import contrastive_term, daclip_loss
from pellucid.training.tasks.base import Task
from pellucid.training.tasks.guidance import RANDOM, WordEmbeddings, training_views, view_means
from pellucid.vision_language.clip import VIT_B_32, CLIPConfig
from pellucid.vision_language.controller import DaCLIP

_GELU = {True: "OpenAI's quick GELU", False: "the exact GELU"}


@dataclass(frozen=True)
class ControllerOptions:
    """What a `ControllerTask` is made of; its arguments are explained there."""

    model: CLIPConfig = VIT_B_32
    clip: str = ""
    """File with CLIP's weights (both towers, open_clip's names); or "random", untrained ones."""
    tokenizer: str = ""
    """JSON file of the `tokenizers` library, a folder with CLIP's vocab.json and merges.txt, or a
    model in `pellucid.zoo`; empty = CLIP's own, beside `clip` or from the hub."""
    captions: bool = True
    """Train the content embedding, too, towards captions of the clean pictures."""
    official_negatives: bool = False
    """Count equal words in a batch as negatives, as the official loss does."""
    content_l1: float = 0.0
    """Weight of an L1 distance of the content embedding to that of the clean picture."""
    content: bool = True
    """Train the content embedding; False: the naming of the damage alone."""
    words: tuple[str, ...] = CLASSES
    """Words of damage that are told apart."""

    def build(self) -> ControllerTask:
        """Make the task: CLIP, and a controller that starts as its copy.

        Raises:
            UsageError: no CLIP is named, or one with another activation than the model's.
        """
        if not self.clip:
            raise UsageError("name the file with CLIP's weights: --task.clip FILE, or random")
        model = DaCLIP(self.model)
        if self.clip != RANDOM:
            weights = read_weights(self.clip)
            quick = weights.meta.get("config", {}).get("quick_gelu", self.model.quick_gelu)
            if quick != self.model.quick_gelu:  # nothing else in the weights would show it
                raise UsageError(
                    f"{self.clip} was trained with {_GELU[quick]}, and the recipe's model has "
                    f"{_GELU[not quick]}: give the file of another CLIP, or --task.model."
                    f"{'' if quick else 'no-'}quick-gelu"
                )
            load_into(model.clip, weights.state, self.clip)
            model.start_controller()
        tokenize = tokenizer_of(self.tokenizer, self.model.text.context_length, self.clip)
        options = self.captions, self.official_negatives, self.content_l1, self.content, self.words
        return ControllerTask(model, tokenize, *options)


class ControllerTask(Task):
    """Train the controller of a `DaCLIP` (paper section 3.2); CLIP stays frozen.

    Loss: contrastive between content embeddings and captions, plus contrastive between degradation
    embeddings and the words of the damage, with one learned logit scale; see `losses.contrastive`.

    Args:
        model: `DaCLIP` with CLIP's weights in it; its `clip` is frozen here.
        tokenize: texts -> token ids (B, context_length).
        captions: True: the batch has `caption`, a text about the clean picture (the paper: by
            BLIP). False: CLIP's embedding of the clean picture stands in for the caption's.
        official_negatives: True: rows with the same word are negatives of each other, as in the
            official code; False: they are not.
        content_l1: weight of the L1 distance between the content embedding and CLIP's embedding of
            the clean picture (wild DA-CLIP, arXiv 2404.09732).
        content: False: learn only to name the damage, at less than half the cost a step. The
            frozen tower is not run; its corrections keep their weights.
        words: the degradations that validation chooses among.
    """

    def __init__(
        self,
        model: DaCLIP,
        tokenize: Callable[[list[str]], Tensor],
        captions: bool = True,
        official_negatives: bool = False,
        content_l1: float = 0.0,
        content: bool = True,
        words: Sequence[str] = CLASSES,
    ):
        super().__init__()
        model.lock_clip()
        self.model = model
        self.tokenize = tokenize
        self.captions = captions
        self.official_negatives = official_negatives
        self.content_l1 = content_l1
        self.content = content
        self.words = tuple(words)
        self.embed = WordEmbeddings(model.clip, tokenize)

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch and its terms."""
        words = self.embed(batch["word"])
        texts: dict = {} if self.official_negatives else {"words": batch["word"]}
        if not self.content:
            scale, damage = self.model.logit_scale.exp(), self.named(batch["lq"])
            loss = contrastive_term(damage, words, scale, texts.get("words"))
            return loss, {"degradation": loss}
        content, degradation = self.embedded(batch["lq"], control=True)
        clean: Tensor | None = None
        if self.content_l1 or not self.captions:
            with torch.no_grad():
                clean = self.embedded(batch["gt"])
        caption = clean
        if self.captions:
            with torch.no_grad():
                tokens = self.tokenize(list(batch["caption"])).to(batch["gt"].device)
                caption = self.model.encode_text(tokens).float()
        assert caption is not None
        if not self.official_negatives:
            index = [str(int(i)) for i in batch["index"]]
            texts["captions"] = batch["caption"] if self.captions else index
        scale = self.model.logit_scale
        terms = daclip_loss(content, caption, degradation, words, scale, **texts)
        if self.content_l1 and clean is not None:
            terms["content_l1"] = self.content_l1 * (content - clean).abs().mean()
        return reduce(torch.add, terms.values()), terms

    def embedded(self, pictures: Tensor, control: bool = False) -> Any:
        """Return float32 embeddings (B, D) of crops (B, 3, H, W), as `DaCLIP.encode_image` does."""
        views = training_views(pictures, self.model.config)
        return view_means(partial(self.model.encode_image, control=control), views)

    def named(self, pictures: Tensor) -> Tensor:
        """Return only the degradation embeddings (B, D) of crops (B, 3, H, W), float32."""
        views = training_views(pictures, self.model.config)
        return view_means(lambda pixels: self.model.visual_control(pixels)[0], views)

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], None]:
        """Return how often the damage is named, and how near the content is to the clean one's.

        `accuracy`: the nearest word is the damage (one of them, in a chain). `content`: cosine
        between the content embedding and CLIP's of the clean picture; `content_clip`: that of CLIP
        alone.
        """
        content, degradation = self.embedded(batch["lq"], control=True)
        clean, plain = self.embedded(batch["gt"]), self.embedded(batch["lq"])
        anchors = F.normalize(self.embed(self.words), dim=1)
        nearest = (F.normalize(degradation, dim=1) @ anchors.T).argmax(1)
        right = [
            float(self.words[i] in word.split("+"))
            for i, word in zip(nearest.tolist(), batch["word"], strict=True)
        ]
        return {
            "accuracy": torch.tensor(right),
            "content": F.cosine_similarity(content, clean),
            "content_clip": F.cosine_similarity(plain, clean),
        }, None

    def after_step(self) -> None:
        """Keep the logit scale between 1 and 100, as CLIP does."""
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, math.log(100))

    def trained(self) -> nn.Module:
        """Return the DA-CLIP."""
        return self.model

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return all weights (CLIP's included), the config and the words."""
        meta = {"kind": "daclip", "config": asdict(self.model.config), "words": list(self.words)}
        return self.model.state_dict(), meta
