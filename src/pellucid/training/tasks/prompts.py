"""Perceive-IR, stage 1: train three quality prompts on triplets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from pellucid.checkpoints.load import load_clip, load_daclip
from pellucid.errors import UsageError
from pellucid.loading import tokenizer_of, tower_file
from pellucid.training.tasks.base import Task
from pellucid.training.tasks.guidance import RANDOM
from pellucid.vision_language.clip import CLIP, OPENAI_VIT_B_32
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.prompts import (
    LEVELS,
    QualityPerceiver,
    QualityPrompts,
    triplets_told,
)


@dataclass(frozen=True)
class PromptsOptions:
    """What a `PromptsTask` is made of."""

    clip: str = ""
    """File of a CLIP: OpenAI's ViT-B-32.pt, a bundle, or a DA-CLIP tower; or a model's name in
    `pellucid.zoo`, whose tower is taken; or "random", an untrained ViT-B/32."""
    tokenizer: str = ""
    """JSON file of the `tokenizers` library, a folder with CLIP's vocab.json and merges.txt, or a
    model in `pellucid.zoo`; empty = CLIP's own, beside `clip` or from the hub."""
    controller: bool = False
    """Learn along a copy of the controller of the DA-CLIP in `clip`; it reads the pictures."""

    def build(self) -> PromptsTask:
        """Make the task: prompts that start from the three words.

        Raises:
            UsageError: no CLIP is named.
        """
        if not self.clip:
            raise UsageError("name the file of a CLIP with --task.clip, or --task.clip random")
        controller, file = None, tower_file(self.clip)
        if self.controller:
            tower = DaCLIP(OPENAI_VIT_B_32) if file == RANDOM else load_daclip(file)
            clip, controller = tower.clip, tower.visual_control.requires_grad_(True)
            # its corrections are for CLIP's tower, which is not run
            controller.transformer.zero_modules.requires_grad_(False)
        else:
            clip = CLIP(OPENAI_VIT_B_32) if file == RANDOM else load_clip(file)
        tokenize = tokenizer_of(self.tokenizer, clip.config.text.context_length, file)
        prompts = QualityPrompts(clip, tokenize, controller)
        return PromptsTask(QualityPerceiver(clip, prompts))


class PromptsTask(Task):
    """Train the prompts of a perceiver by cross-entropy, and their controller; CLIP stays frozen.

    Batches are those of `data.triplets.Triplets`.
    """

    def __init__(self, perceiver: QualityPerceiver):
        super().__init__()
        self.perceiver = perceiver

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch."""
        return self.perceiver.triplet_loss(batch["lq"], batch["medium"], batch["gt"]), {}

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], None]:
        """Return the measures of `triplets_told`."""
        three = (batch[name] for name in ("lq", "medium", "gt"))
        return triplets_told(torch.stack([self.perceiver.logits(p) for p in three])), None

    def begin(self, dataset: Dataset) -> None:
        """Compare the prompts' words, which a tokenizer of another tower may not know.

        Raises:
            UsageError: two of them are the same.
        """
        words = self.perceiver.prompts.context[:, -1].float()
        if torch.pdist(words).min() == 0:
            raise UsageError(
                f"the tokenizer does not tell {', '.join(LEVELS)} apart: is it that of another "
                "tower?"
            )

    def trained(self) -> nn.Module:
        """Return the prompts."""
        return self.perceiver.prompts

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the prompts; their own tokens identify the tower they belong to."""
        return self.perceiver.prompts.state_dict(), {"kind": "quality-prompts", "config": {}}
