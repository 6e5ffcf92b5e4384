"""Deterministic restoration in one pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.losses import pixel
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.resunet import ResUNetConfig
from pellucid.networks.table import network_of
from pellucid.training.tasks.guidance import (
    FrozenTower,
    GuidanceOptions,
    GuidedTask,
    guide,
    network_meta,
)


@dataclass(frozen=True)
class RestoreOptions(GuidanceOptions):
    """What a `RestoreTask` is made of; its arguments are explained there."""

    network: Any = field(default_factory=ResUNetConfig)
    """Config of a deterministic network in `networks.table`."""
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
        network = network_of(self.network)
        return {"network": network, "loss": self.loss, **self.guidance(network)}


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": pixel.l1,
    "detail": pixel.l1_bands,
    "bands": partial(pixel.l1_bands, light=0.25),
    "charbonnier": pixel.charbonnier,
    "psnr": pixel.negative_psnr,
    "psnr40": partial(pixel.negative_psnr, eps=1e-4),
}


class RestoreTask(GuidedTask):
    """Train `network(lq, condition)` towards the clean picture.

    Args:
        network: a deterministic network.
        loss: name in `LOSSES`.
        others: those of `GuidedTask`.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        tower: FrozenTower | None = None,
        context_dropout: float = 0.0,
        loss: str = "l1",
        **others: Any,
    ):
        super().__init__(network, tower, context_dropout, **others)
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
            alone = guide(self.network, None, lq, semantics=self.semantics, view=batch.get("view"))
            metrics["psnr_unguided"] = pixel.psnr(self.network(lq, alone), clean)
        return metrics, restored.clamp(0, 1)

    def trained(self) -> nn.Module:
        """Return the network."""
        return self.network

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights and its config."""
        return self.network.state_dict(), network_meta(self.network, self.tower, self.semantics)
