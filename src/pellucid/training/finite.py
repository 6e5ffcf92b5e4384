"""A number that is not finite stops a run: at which step, on which pictures, and what is safe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.training import checkpoint

SKIPPED = 20  # steps on end whose gradient may be not finite
SHOWN = 8  # names in a message
ADVICE = (
    "look at these pictures, lower --optimizer.lr, set --optimizer.clip-norm, or --precision no"
)

MicroBatch = tuple[Tensor, list[str]]
"""The loss of a micro-batch, and the names of its samples."""


def names_of(batch: Mapping) -> list[str]:
    """The names of a batch's samples; of a data set that has none, their numbers."""
    if "name" in batch:
        return list(batch["name"])
    return [f"sample {int(index)}" for index in batch.get("index", ())]


def check_losses(
    parts: Sequence[MicroBatch], accelerator: Accelerator, output: Path, step: int
) -> None:
    """Stop where the loss of a micro-batch is not finite; every process must call it.

    Args:
        parts: of this process in this step.
        accelerator: its processes all stop if one has to.
        output: folder of the run.
        step: counted from 1.

    Raises:
        PellucidError: with the step, the names of the samples and the last good checkpoint.
    """
    bad = [names for loss, names in parts if not math.isfinite(float(loss))]
    found = [name for names in bad for name in names]
    anywhere = bool(bad)
    if accelerator.num_processes > 1:
        flags = accelerator.gather(torch.tensor([len(bad)], device=accelerator.device))
        assert isinstance(flags, Tensor)
        anywhere = bool(flags.any())
        found = gather_object(found) if anywhere else found
    if anywhere:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        batch = f"the batch holds {', '.join(found[:SHOWN])}{more}"
        raise PellucidError(
            f"step {step}: the loss is not finite; {batch}; {_safe(output)}; {ADVICE}"
        )


def check_skipped(steps: int, output: Path, step: int, last: bool) -> None:
    """Stop where gradients were not finite for too many steps on end, or in the last one.

    Raises:
        PellucidError: says so.
    """
    if steps == SKIPPED or (steps and last):
        raise PellucidError(
            f"the gradient was not finite for {steps} steps on end (to step {step}); "
            f"{_safe(output)}; {ADVICE}"
        )


def check_weights(weights: Mapping[str, Tensor], output: Path, step: int) -> None:
    """Stop before weights that are not finite are saved.

    Raises:
        PellucidError: names the first of them.
    """
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise PellucidError(
                f"step {step}: the weights {name} are not finite and were not saved; "
                f"{_safe(output)}; {ADVICE}"
            )


def _safe(output: Path) -> str:
    held = checkpoint.listed(output)
    return f"the last good checkpoint is {held[-1]}" if held else "there is no checkpoint yet"
