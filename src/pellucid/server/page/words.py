"""What was found in a picture and done to it, in words."""

from __future__ import annotations

from pellucid.server.jobs import Restored


def found_in(restored: Restored) -> str:
    """What is wrong with a picture, how good it is, and what was done, as Markdown."""
    found = restored.found
    words = " and ".join(found.guidance.words)
    lines = [f"**The picture is {words}.**" if words else "**Nothing is wrong with it.**"]
    if found.asked:
        lines.append(f"Asked to {found.asked}.")
    if found.quality:
        before, after = (max(shares, key=shares.__getitem__) for shares in found.quality)
        lines.append(f"Quality: {before} before, {after} after.")
    if found.reason:
        lines.append(f"{found.decision.capitalize()}: {found.reason}")
    given = restored.given
    lines.append(f"{given.width} × {given.height} px, {found.seconds:.1f} s by {found.model}.")
    return "\n\n".join((*lines, *given.notes))
