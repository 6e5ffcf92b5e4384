"""What the samples of a run are drawn from, to say where a run goes on with other pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

Record = dict[str, list]
"""Of each word of a data set, or other kind of source: their number, and a hash of their names."""


def record(dataset: Any) -> Record:
    """What checkpoints hold of a data set's `sources` (names by word); empty if it has none."""
    sources: Mapping[str, Sequence[str]] = getattr(dataset, "sources", {})
    return {
        word: [len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]]
        for word, names in sources.items()
    }


def difference(before: Record, now: Record) -> str:
    """What is gone or new, in words; empty if all is as before, or one side is not known."""
    if not before or not now:
        return ""
    parts = []
    for word in dict.fromkeys((*before, *now)):
        (had, names), (has, others) = before.get(word, [0, ""]), now.get(word, [0, ""])
        if had != has:
            parts.append(f"{word}: {has} instead of {had}")
        elif names != others:
            parts.append(f"{word}: {has}, not the same")
    return ", ".join(parts)
