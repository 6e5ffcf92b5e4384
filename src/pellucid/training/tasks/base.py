"""The base of all tasks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

# Classes of the blocks that networks and towers repeat; one is sharded and recomputed as a whole.
BLOCKS = frozenset({"Block", "NAFBlock", "ResBlock", "TransformerBlock"})


class Task(nn.Module):
    """Modules and their objective. The package docstring says how to write one."""

    @property
    def _no_split_modules(self) -> list[str]:
        """The blocks of this task, where accelerate looks for them if its config names none."""
        return sorted(BLOCKS & {type(module).__name__ for module in self.modules()})

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch (a scalar, a mean over samples) and scalars to be logged."""
        raise NotImplementedError

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], Tensor | None]:
        """Return one value a sample for each metric, and restored pictures for the image grid."""
        raise NotImplementedError

    def trained(self) -> nn.Module:
        """Return the module that weights bundles belong to."""
        raise NotImplementedError

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the state dict and the meta of the weights bundle that inference loads."""
        raise NotImplementedError

    def begin(self, dataset: Dataset) -> None:
        """Look at the training data, on the device, before the first step and before a resume."""

    def after_step(self) -> None:
        """Run after each update of the weights (a clamp, for instance)."""
