"""What was found in a picture and done to it, as plain values for reports."""

from __future__ import annotations

from typing import Any

from pellucid.imaging.photo import Photo
from pellucid.instruction import Understood
from pellucid.restoration import Restoration


def report_of(photo: Photo, found: Restoration) -> dict[str, Any]:
    """The report of one restoration; its values can go into JSON.

    Args:
        photo: the picture that was restored, with the notes of `pellucid.imaging.io.fit`.
        found: what `Restorer.run` returned for it.
    """
    asked = found.asked
    quality = dict(zip(("before", "after"), found.quality or (), strict=False))
    return {
        "words": list(found.guidance.words),
        "probabilities": found.guidance.probabilities,
        "model": found.model,
        "decision": found.decision,
        "reason": found.reason,
        "width": photo.width,
        "height": photo.height,
        "notes": list(photo.notes),
        "seconds": round(found.seconds, 3),
        **({"quality": quality} if quality else {}),
        **({"asked": asked_of(asked)} if asked else {}),
    }


def asked_of(asked: Understood) -> dict[str, Any]:
    """What was understood of an instruction."""
    return {
        "text": asked.text,
        "wanted": list(asked.wanted),
        "kept": list(asked.kept),
        "diagnosed": asked.diagnosed,
        "not_understood": list(asked.not_understood),
    }
