"""Deterministic restoration in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.resunet import ResUNetConfig
from pellucid.networks.table import network_of
from pellucid.training.tasks.base import Task
from pellucid.training.tasks.guidance import (
    FrozenTower,
    Semantics,
    WordEmbeddings,
    frozen_semantics,
    frozen_tower,
    guide,
    network_meta,
    teach_words,
    word_embeddings,
)


@dataclass(frozen=True)
class RestoreOptions:
    """What a `RestoreTask` is made of; its arguments are explained there."""

    network: Any = field(default_factory=ResUNetConfig)
    """Config of a deterministic network in `networks.table`."""
    tower: str = ""
    """File of a DA-CLIP tower, or a model's name in `pellucid.zoo`; empty = no guidance."""
    semantics: str = ""
    """For networks that need semantics: DINOv2 (a folder, or a name on the hub), the file of a CLIP
    whose image tower is read, or a model's name in `pellucid.zoo`; for the weather network the
    official RN50.pt."""
    words: str = ""
    """File of a CLIP whose embeddings of the true words guide instead of a tower."""
    tokenizer: str = ""
    """Of the text tower: JSON file of the `tokenizers` library, or a model in `pellucid.zoo`;
    empty = CLIP's own vocabulary."""
    context_dropout: float = 0.0
    """Share of samples whose embeddings are zero."""
    wrong_words: float = 0.0
    """Share of samples that are told a wrong word."""
    always_told: tuple[str, ...] = ()
    """Words whose samples are always told the truth."""
    loss: Literal["l1", "detail", "bands", "charbonnier", "psnr", "psnr40"] = "l1"
    """Distance of restored and clean picture."""

    def build(self) -> RestoreTask:
        """Make the task: a network with random weights, and the tower."""
        return RestoreTask(**self.parts())

    def parts(self) -> dict[str, Any]:
        """Make the arguments of `RestoreTask`.

        Raises:
            UsageError: a network needs semantics, and `semantics` is empty.
        """
        network, tower = network_of(self.network), frozen_tower(self.tower)
        words = word_embeddings(self.words, self.tokenizer) if self.words else None
        text = words or (tower and tower.model)
        if text is not None:
            teach_words(network, text.clip, self.tokenizer)
        reads = "semantics" in network.needs
        if reads and not self.semantics:
            name = type(network).__name__
            raise UsageError(f"{name} needs semantics: name an image tower with --task.semantics")
        return {
            "network": network,
            "tower": tower,
            "words": words,
            "semantics": frozen_semantics(self.semantics) if reads else None,
            "context_dropout": self.context_dropout,
            "wrong_words": self.wrong_words,
            "always_told": self.always_told,
            "loss": self.loss,
        }


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": pixel.l1,
    "detail": pixel.l1_bands,
    "bands": partial(pixel.l1_bands, light=0.25),
    "charbonnier": pixel.charbonnier,
    "psnr": pixel.negative_psnr,
    "psnr40": partial(pixel.negative_psnr, eps=1e-4),
}


class RestoreTask(Task):
    """Train `network(lq, condition)` towards the clean picture.

    Args:
        network: a deterministic network.
        tower: frozen DA-CLIP giving (content, degradation) of the damaged crop; None = no guidance.
        context_dropout: share of samples whose two embeddings are zeroed, so that the network also
            works unguided.
        loss: name in `LOSSES`.
        wrong_words: share of samples that are told another sample's words, so that the network
            looks before it believes.
        always_told: words whose samples are always told right. A picture does not show what they
            ask for: it may be dark at night, and fog may be wanted. So the network learns to
            change the light only when it is told to.
        words: embeddings of the true degradations, which guide in place of a tower. A controller is
            trained to give the same ones, so this is a start that need not wait for it.
        semantics: for a network that needs it. Reads `batch["view"]`, the whole damaged picture
            turned as the crop is, where the data has it, else the crop.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        tower: FrozenTower | None = None,
        context_dropout: float = 0.0,
        loss: str = "l1",
        words: WordEmbeddings | None = None,
        semantics: Semantics | None = None,
        wrong_words: float = 0.0,
        always_told: Sequence[str] = (),
    ):
        super().__init__()
        self.wrong_words = wrong_words
        self.always_told = frozenset(always_told)
        self.network = network
        self.tower = tower
        self.words = words
        self.semantics = semantics
        self.context_dropout = context_dropout
        self.pixel_loss = LOSSES[loss]

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch and its mean PSNR in dB."""
        clean = batch["gt"]
        condition = self.condition(batch, generator)
        restored, terms = self.restored(batch, condition)
        loss = self.pixel_loss(restored, clean)
        psnr = pixel.psnr(restored.detach(), clean).mean()
        return sum(terms.values(), loss), {"psnr": psnr, **terms}

    def restored(self, batch: dict, condition: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the restored pictures and what is added to the loss, by name."""
        restored = self.network(batch["lq"], condition)
        return restored, self.network.terms(batch["lq"], batch["gt"], condition)

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], Tensor]:
        """Return the PSNR of restored and of damaged pictures, and the restored pictures."""
        lq, clean = batch["lq"], batch["gt"]
        restored = self.network(lq, self.condition(batch))
        metrics = {"psnr": pixel.psnr(restored, clean), "psnr_input": pixel.psnr(lq, clean)}
        if self.words is not None and self.context_dropout:
            alone = self.network.condition(lq, Guidance())
            metrics["psnr_unguided"] = pixel.psnr(self.network(lq, alone), clean)
        return metrics, restored.clamp(0, 1)

    def condition(self, batch: dict, generator: torch.Generator | None = None) -> Any:
        """Return the network's condition; see `guide`."""
        told = None
        if self.words is not None:
            told = self._told(self.words(batch["word"]), batch["word"], generator)
        return guide(
            self.network,
            self.tower,
            batch["lq"],
            self.context_dropout,
            generator,
            self.semantics,
            told,
            batch.get("view"),
        )

    def _told(self, told: Tensor, words: list[str], generator: torch.Generator | None) -> Tensor:
        """Embeddings of the true words; in training some are missing (zeros), some are wrong."""
        if generator is None:
            return told
        draw = torch.rand(len(told), 1, generator=generator, device=told.device)
        sure = [not self.always_told.isdisjoint(word.split("+")) for word in words]
        draw[torch.tensor(sure, device=draw.device)] = 1.0
        others = told.roll(1, dims=0)
        told = torch.where(draw < self.context_dropout + self.wrong_words, others, told)
        return torch.where(draw < self.context_dropout, 0.0, told)

    def trained(self) -> nn.Module:
        """Return the network."""
        return self.network

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights and its config."""
        return self.network.state_dict(), network_meta(self.network, self.tower, self.semantics)
