"""Deterministic restoration: from the damaged picture to the clean one in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.networks.guided import GuidedNAFNetConfig, GuidedResUNetConfig
from pellucid.networks.layers import context_for, needs_semantics
from pellucid.networks.nafnet import NAFNetConfig
from pellucid.networks.perceive_ir import PerceiveIRConfig
from pellucid.networks.restormer import RestormerMediumConfig
from pellucid.networks.resunet import ResUNetConfig
from pellucid.networks.weather import WeatherConfig
from pellucid.training.tasks.base import Task
from pellucid.training.tasks.guidance import FrozenTower, Semantics, WordEmbeddings, guide
from pellucid.training.tasks.networks import (
    RESTORERS,
    load_guide,
    load_tower,
    load_words,
    network_meta,
    teach_words,
)


@dataclass(frozen=True)
class RestoreOptions:
    """What a `RestoreTask` is made of; its arguments are explained there."""

    network: (
        ResUNetConfig
        | NAFNetConfig
        | GuidedResUNetConfig
        | GuidedNAFNetConfig
        | PerceiveIRConfig
        | RestormerMediumConfig
        | WeatherConfig
    ) = field(default_factory=ResUNetConfig)
    tower: str = ""
    """File of a DA-CLIP tower, or a model's name in `pellucid.zoo`; empty = no guidance."""
    semantics: str = ""
    """For networks that are guided by the picture itself: DINOv2 (a folder, or a name on the hub),
    the file of a CLIP whose image tower is read, or a model's name in `pellucid.zoo`; for the
    weather network the official RN50.pt."""
    words: str = ""
    """File of a CLIP whose embeddings of the true words guide instead of a tower."""
    tokenizer: str = ""
    """Of the text tower: JSON file of the `tokenizers` library; empty = CLIP's own vocabulary."""
    context_dropout: float = 0.0
    wrong_words: float = 0.0
    loss: Literal["l1", "charbonnier", "psnr", "psnr40"] = "l1"
    frequency: float = 0.0

    def build(self) -> RestoreTask:
        """Make the task: a network with random weights, and the tower."""
        return RestoreTask(**self.parts())

    def parts(self) -> dict[str, Any]:
        """Make the arguments of `RestoreTask`.

        Raises:
            UsageError: nothing reads pictures for a network that is guided by them.
        """
        network, tower = RESTORERS[type(self.network)](self.network), load_tower(self.tower)
        words = load_words(self.words, self.tokenizer) if self.words else None
        if words or tower:
            teach_words(network, words.clip if words else tower.model.clip, self.tokenizer)
        guided = needs_semantics(network)
        if guided and not self.semantics:
            name = type(network).__name__
            raise UsageError(f"{name} is guided by pictures: say what reads, --task.semantics")
        return {
            "network": network,
            "tower": tower,
            "words": words,
            "semantics": load_guide(network, self.semantics) if guided else None,
            "context_dropout": self.context_dropout,
            "wrong_words": self.wrong_words,
            "loss": self.loss,
            "frequency": self.frequency,
        }


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": pixel.l1,
    "charbonnier": pixel.charbonnier,
    "psnr": pixel.negative_psnr,
    "psnr40": partial(pixel.negative_psnr, eps=1e-4),
}


class RestoreTask(Task):
    """Train `network(lq, context)` towards the clean picture.

    Args:
        network: a deterministic network.
        tower: frozen DA-CLIP giving (content, degradation) of the damaged crop; None = no guidance.
        context_dropout: share of samples whose two embeddings are zeroed, so that the network also
            works unguided.
        loss: name in `LOSSES`.
        wrong_words: share of samples that are told another sample's words, so that the network
            looks before it believes.
        frequency: weight of `frequency_l1`, added to the loss.
        words: embeddings of the true degradations, which guide in place of a tower. A controller is
            trained to give the same ones, so this is a start that need not wait for it.
        semantics: what reads the picture for a network that wants it: `batch["view"]`, the whole
            damaged picture turned as the crop is, where the data has it, else the crop.
    """

    def __init__(
        self,
        network: nn.Module,
        tower: FrozenTower | None = None,
        context_dropout: float = 0.0,
        loss: str = "l1",
        frequency: float = 0.0,
        words: WordEmbeddings | None = None,
        semantics: Semantics | None = None,
        wrong_words: float = 0.0,
    ):
        super().__init__()
        self.wrong_words = wrong_words
        self.network = network
        self.tower = tower
        self.words = words
        self.semantics = semantics
        self.context_dropout = context_dropout
        self.pixel_loss = LOSSES[loss]
        self.frequency = frequency

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch and its mean PSNR in dB."""
        clean = batch["gt"]
        context = self.context(batch, generator)
        restored, terms = self.restored(batch, context)
        loss = self.pixel_loss(restored, clean)
        if self.frequency:
            loss = loss + self.frequency * pixel.frequency_l1(restored, clean)
        psnr = pixel.psnr(restored.detach(), clean).mean()
        return sum(terms.values(), loss), {"psnr": psnr, **terms}

    def restored(self, batch: dict, context: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the restored pictures and what is added to the loss, by name: nothing here."""
        return self.network(batch["lq"], context), {}

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], Tensor]:
        """Return the PSNR of restored and of damaged pictures, and the restored pictures."""
        lq, clean = batch["lq"], batch["gt"]
        restored = self.network(lq, self.context(batch))
        metrics = {"psnr": pixel.psnr(restored, clean), "psnr_input": pixel.psnr(lq, clean)}
        if self.words is not None and self.context_dropout:
            alone = context_for(self.network, lq, degradation=None, content=None)
            metrics["psnr_unguided"] = pixel.psnr(self.network(lq, alone), clean)
        return metrics, restored.clamp(0, 1)

    def context(self, batch: dict, generator: torch.Generator | None = None) -> Any:
        """Return what guides the network; see `guide`."""
        told = None if self.words is None else self._told(batch["word"], generator)
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

    def _told(self, words: list[str], generator: torch.Generator | None) -> Tensor:
        """Embed the true words; in training a share is missing (zeros), another share is wrong."""
        told = self.words(words)
        if generator is None:
            return told
        draw = torch.rand(len(told), 1, generator=generator, device=told.device)
        others = told.roll(1, dims=0)
        told = torch.where(draw < self.context_dropout + self.wrong_words, others, told)
        return torch.where(draw < self.context_dropout, 0.0, told)

    def trained(self) -> nn.Module:
        """Return the network."""
        return self.network

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights and its config."""
        return self.network.state_dict(), network_meta(self.network, self.tower, self.semantics)
