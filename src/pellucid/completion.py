"""Holes of pictures, told by a person or found by measurement, are filled before the network.

The network never sees a hole: it restores the filled picture from whatever else is wrong with it,
and is not asked where nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from pellucid.degradations import CLEAN
from pellucid.imaging.convert import pixels_of
from pellucid.imaging.evidence import Evidence
from pellucid.imaging.fill import fill
from pellucid.networks.contract import Guidance

UNCOMPLETED = "uncompleted"
FILLED = "{} of the picture was missing and is filled from its surroundings"

Holes = list[np.ndarray | None]


def holes_of(
    missing: np.ndarray | None, answers: Sequence[Guidance], evidence: Sequence[Evidence | None]
) -> Holes:
    """What is missing in each picture, bool `(H, W)`, or None.

    Args:
        missing: `(B, H, W)`, told by a person; None if nothing was told.
        answers: the diagnoses. Measured holes count only where "uncompleted" is among the words.
        evidence: what was measured in each picture, or None.
    """
    if missing is not None:
        return list(missing)
    return [
        seen.holes.mask if seen is not None and UNCOMPLETED in answer.words else None
        for answer, seen in zip(answers, evidence, strict=True)
    ]


def filled(batch: Tensor, holes: Holes) -> Tensor:
    """The pictures `(B, 3, H, W)` with their holes filled; the given ones stay as they are."""
    if all(hole is None for hole in holes):
        return batch
    batch = batch.clone()
    for i, hole in enumerate(holes):
        if hole is not None:
            picture = fill(pixels_of(batch[i]), hole)
            batch[i] = torch.from_numpy(picture).permute(2, 0, 1).to(batch)
    return batch


def without_holes(guidance: Guidance) -> Guidance:
    """The same guidance, with the words of all other damage."""
    return replace(
        guidance, words=tuple(w for w in guidance.words if w not in (UNCOMPLETED, CLEAN))
    )


def with_holes(guidance: Guidance) -> Guidance:
    """The same guidance, with the word of holes before the others."""
    return replace(guidance, words=(UNCOMPLETED, *without_holes(guidance).words))


def reason_of(hole: np.ndarray, rest: str = "") -> str:
    """One sentence on the filling, and what else was decided."""
    share = hole.mean()
    text = FILLED.format("Less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %"))
    return f"{text}; {rest[0].lower()}{rest[1:]}" if rest else f"{text}; the rest is untouched."
