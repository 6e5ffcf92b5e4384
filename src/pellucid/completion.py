"""Holes, told by a person or measured, and measured cast shadows are mended before the network.

The network never sees them: it restores the mended picture from whatever else is wrong with it, and
is not asked where nothing else is.
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
from pellucid.imaging.shadows import Shadow, relit
from pellucid.networks.contract import Guidance

UNCOMPLETED, SHADOWED = "uncompleted", "shadowed"
SUNLESS = frozenset({"hazy", "low-light"})
FILLED = "{} of the picture was missing and is filled from its surroundings"

RELIT = "A cast shadow was measured and gets its light back"

Holes = Sequence[np.ndarray | None]
Shadows = Sequence[Shadow | None]


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


def shadows_of(answers: Sequence[Guidance], evidence: Sequence[Evidence | None]) -> Shadows:
    """The cast shadow that was measured in each picture whose diagnosis has the word, or None."""
    return [
        seen.shadow if seen is not None and SHADOWED in answer.words else None
        for answer, seen in zip(answers, evidence, strict=True)
    ]


def mended(batch: Tensor, holes: Holes, shadows: Shadows) -> Tensor:
    """The pictures `(B, 3, H, W)` with holes filled, then cast shadows relit.

    The given tensor stays as it is; it is returned where nothing is to mend.
    """
    result = batch
    for i, (hole, shadow) in enumerate(zip(holes, shadows, strict=True)):
        if hole is None and shadow is None:
            continue
        picture = pixels_of(batch[i])
        picture = picture if hole is None else fill(picture, hole)
        picture = picture if shadow is None else relit(picture, shadow)
        result = batch.clone() if result is batch else result
        result[i] = torch.from_numpy(picture).permute(2, 0, 1).to(batch)
    return result


def mapped(where: np.ndarray, hole: np.ndarray | None, shadow: Shadow | None) -> np.ndarray:
    """A map of the damage, float32 `(H, W)` in [0, 1], with what was mended before it."""
    where = where if hole is None else np.maximum(where, hole.astype(np.float32))
    return where if shadow is None else np.maximum(where, shadow.over(where.shape))


def words_of(hole: np.ndarray | None, shadow: Shadow | None) -> tuple[str, ...]:
    """The words of what is mended before the network."""
    found = ((UNCOMPLETED, hole), (SHADOWED, shadow))
    return tuple(word for word, there in found if there is not None)


def without(guidance: Guidance, mended: Sequence[str], found: bool = False) -> Guidance:
    """The same guidance, with the words of all other damage.

    Where the sun casts a shadow there is neither haze nor low light, if it was `found` and not said
    by a person: plain ground, which has no black, looks hazy.
    """
    gone = {CLEAN, *mended}
    if SHADOWED in mended and found and not guidance.told:
        gone |= SUNLESS
    return replace(guidance, words=tuple(word for word in guidance.words if word not in gone))


def reason_of(hole: np.ndarray | None, shadow: Shadow | None, rest: str = "") -> str:
    """A sentence on what was mended, and what else was decided."""
    rows = ((_filled(hole), hole), (RELIT, shadow))
    text = ". ".join(sentence for sentence, there in rows if there is not None)
    return f"{text}; {rest[0].lower()}{rest[1:]}" if rest else f"{text}; the rest is untouched."


def _filled(hole: np.ndarray | None) -> str:
    share = 0 if hole is None else hole.mean()
    return FILLED.format("Less than 1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %"))
