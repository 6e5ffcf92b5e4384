"""A restored picture with its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pellucid.completion import Shadow, mapped, reason_of, without, words_of
from pellucid.degradations import OVERLAY
from pellucid.guard import Decision, judge
from pellucid.imaging.convert import pixels_of
from pellucid.imaging.evidence import Evidence, measure
from pellucid.imaging.streaks import without_texture
from pellucid.imaging.veil import without_veil
from pellucid.instruction import Understood
from pellucid.networks.contract import Guidance

RAIN = {"rainy"}
TEXTURE = "Texture that was taken away with the damage was given back."
VEIL = "The veil that was left was taken away by the black of the picture."


@dataclass(frozen=True, eq=False)
class Restoration:
    """A restored picture, and what was found and done."""

    picture: Any
    """The restored picture, as the type that was given; of a batch a tensor `(3, H, W)`."""
    guidance: Guidance
    """What guided the network."""
    model: str
    """Name of the model that restored it; "fill" or "relight" if only holes were filled, or
    a cast shadow, without a network; "none" if an instruction left nothing to do."""
    seconds: float
    """Wall time in seconds; of a batch the picture's share."""
    damage: np.ndarray | None = None
    """Map of the damage, float32 `(H, W)` in [0, 1]; None if the model has none."""
    decision: Decision = "kept"
    """Whether the guard kept, softened or refused the restoration; always kept without a guard."""
    reason: str = ""
    """Why the guard decided so, in one sentence; empty without a guard."""
    quality: tuple[dict[str, float], dict[str, float]] | None = None
    """Quality before and after, see `Restorer.quality`; None if not asked for, or not known."""
    asked: Understood | None = None
    """What was understood of the instruction, if there was one."""

    @classmethod
    def untouched(cls, image: Tensor, answer: Guidance) -> Restoration:
        """Return a picture `(3, H, W)` as it is, since the instruction leaves nothing to do."""
        why = "the damage that was found is to stay" if answer.kept else "no damage was found"
        return cls(image, answer, "none", 0.0, reason=f"Nothing is left to do: {why}.")

    def judged(
        self, image: Tensor, answer: Guidance, evidence: Evidence | None, unguided: bool
    ) -> Restoration:
        """Keep, soften or refuse it by what was measured before and after.

        Where rain, snow or drops were found, texture that was taken away with them is given back
        first; where it was snow above all, what is left of its veil is taken away.

        Args:
            image: what was restored, `(3, H, W)`.
            answer: its diagnosis.
            evidence: what was measured in it; None: it is kept.
            unguided: whether nothing guided the network.
        """
        if evidence is None:
            return self
        restored, given = pixels_of(self.picture), pixels_of(image)
        done = []
        if answer.words and set(answer.words) <= OVERLAY:
            rain = set(answer.words) == RAIN
            textured = without_texture(given, restored, rain, upright=not answer.told)
            if textured is not None:
                restored = textured
                done.append(TEXTURE)
            snowy = "snowy" in (answer.words if answer.told else answer.words[:1])
            clear = without_veil(given, restored) if snowy else None
            if clear is not None:
                restored = clear
                done.append(VEIL)
        verdict = judge(
            given,
            restored,
            evidence,
            measure(restored),
            answer.words,
            answer.explaining,
            answer.told,
            unguided,
        )
        picture = torch.from_numpy(verdict.picture).permute(2, 0, 1).to(image)
        reason = verdict.reason
        if verdict.decision != "refused":
            reason = " ".join((reason, *done))
        return replace(self, picture=picture, decision=verdict.decision, reason=reason)

    def with_unlearned(self, guiding: Sequence[str]) -> Restoration:
        """The same; its report names the words that are not among those that guide the network."""
        others = [word for word in self.guidance.words if word not in guiding]
        if not others:
            return self
        note = f"{self.model} did not learn {' and '.join(others)}."
        return replace(self, reason=f"{self.reason} {note}".strip())

    def with_mended(
        self, hole: np.ndarray | None, shadow: Shadow | None, seen: Guidance
    ) -> Restoration:
        """The restoration of a mended picture; its report names the hole and the shadow."""
        words = words_of(hole, shadow)
        if not words:
            return self
        found = (*words, *without(self.guidance, words).words)
        guidance = replace(self.guidance, words=found, probabilities=seen.probabilities)
        where = None if self.damage is None else mapped(self.damage, hole, shadow)
        reason = reason_of(hole, shadow, self.reason)
        return replace(self, guidance=guidance, damage=where, reason=reason)
