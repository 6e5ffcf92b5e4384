"""Which pictures were being worked on when a worker died."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

DEATHS = 2  # of a worker over one picture, before the picture is given up


class Ledger:
    """Remembers what is in work, so that a picture that kills its worker is not tried for ever.

    A Ray actor of its own: a killed worker cannot say what it was doing.
    """

    def __init__(self):
        self.flying: dict[str, tuple[str, ...]] = {}
        self.deaths: dict[str, Counter[str]] = defaultdict(Counter)

    def start(self, part: str) -> tuple[bool, set[str]]:
        """A worker starts a part.

        Returns:
            Whether an earlier one died over it, and the pictures that are not to be tried again.
        """
        again = part in self.flying
        self.deaths[part].update(self.flying.get(part, ()))
        self.flying[part] = ()
        return again, {name for name, count in self.deaths[part].items() if count >= DEATHS}

    def begin(self, part: str, names: Iterable[str]) -> None:
        """All that is in work of a part from now on."""
        self.flying[part] = tuple(names)

    def end(self, part: str) -> None:
        """A part is done."""
        self.flying.pop(part, None)
        self.deaths.pop(part, None)
