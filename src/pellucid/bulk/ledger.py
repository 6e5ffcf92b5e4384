"""What workers do, while they do it: which pictures are in work, and how many are done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

DEATHS = 2  # of a worker over one picture, before the picture is given up


class Ledger:
    """Remembers what is in work, so that a picture that kills its worker is not tried for ever.

    It also counts the pictures that are done, for progress: a part may take hours. A Ray actor of
    its own: a killed worker cannot say what it was doing.
    """

    def __init__(self):
        self.flying: dict[str, tuple[str, ...]] = {}
        self.deaths: dict[str, Counter[str]] = defaultdict(Counter)
        self.pictures = 0

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

    def count(self, pictures: int) -> None:
        """So many more pictures are restored or have failed."""
        self.pictures += pictures

    def counted(self) -> int:
        """All pictures that were restored or have failed."""
        return self.pictures

    def end(self, part: str) -> None:
        """A part is done."""
        self.flying.pop(part, None)
        self.deaths.pop(part, None)
