"""The parts that a source is divided into; a part is what one actor works on at a time.

A shard is a part. Loose pictures are divided by a hash of their names into a number of parts that
the first run on a target fixes. So a picture always belongs to one part, whatever is added to the
source, and has one place in the table of reports.
"""

from __future__ import annotations

import json
import logging
import os
import posixpath
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath as Posix
from typing import Any, Literal

from pellucid.errors import UsageError
from pellucid.imaging.formats import BY_SUFFIX, format_of, result_names
from pellucid.places import Place, named

Kind = Literal["pictures", "tar", "parquet"]
SHARDS: dict[str, Literal["tar", "parquet"]] = {".tar": "tar", ".parquet": "parquet"}
PICTURES = 256  # in a part, about
LEAST = 64  # parts, if there are enough pictures to share out
FEWEST = 8  # pictures in a part, about: each part costs a report and a task of Ray
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A folder and what is taken of it."""

    place: Place
    kind: Kind
    names: Sequence[str]


@dataclass(frozen=True)
class Part:
    """One shard, or some loose pictures and the names of their results."""

    id: str
    names: tuple[str, ...]
    outputs: tuple[str, ...] = ()

    def packed(self) -> dict[str, Any]:
        """A row of a Ray data set; lists of names shrink to about a tenth."""
        names = json.dumps([self.names, self.outputs]).encode("utf-8", "surrogatepass")
        return {"id": self.id, "names": zlib.compress(names, 1)}

    @staticmethod
    def unpacked(row: dict[str, Any]) -> Part:
        """The part that `packed` made a row of."""
        names, outputs = json.loads(zlib.decompress(row["names"]).decode("utf-8", "surrogatepass"))
        return Part(str(row["id"]), tuple(names), tuple(outputs))


def source_of(uri: str) -> Source:
    """What a folder, a shard, or a pattern of shards such as `x/{000..099}.tar` holds.

    A folder holds shards if there is a .tar or .parquet file below it, else pictures.

    Raises:
        UsageError: nothing is there, or shards of both kinds are.
    """
    if shard := SHARDS.get(posixpath.splitext(uri)[1].lower()):
        place, names = named(uri)
        return Source(place, shard, names)
    place = Place(uri)
    names = place.names()
    shards: list[Kind] = ["tar", "parquet"]
    kinds: list[Kind] = [kind for kind in shards if any(_is_of(name, kind) for name in names)]
    if len(kinds) > 1:
        raise UsageError(f"{uri}: holds .tar and .parquet files; name the one or the other")
    kind: Kind = kinds[0] if kinds else "pictures"
    taken = [name for name in names if _is_of(name, kind)]
    if place.local and not os.path.isdir(place.root):
        raise UsageError(f"{uri}: there is no such folder")
    if not taken:
        raise UsageError(
            f"{uri}: nothing to restore in it (looking for .tar, .parquet and "
            f"{' '.join(BY_SUFFIX)})"
        )
    if left := len(names) - len(taken):
        log.warning("left out %d other files below %s", left, uri)
    return Source(place, kind, taken)


def _is_of(name: str, kind: Kind) -> bool:
    if kind == "pictures":
        return format_of(name) is not None
    hidden = any(part.startswith("_") for part in name.split("/"))  # e.g. our own reports
    return not hidden and SHARDS.get(posixpath.splitext(name)[1].lower()) == kind


def count_of(source: Source) -> int:
    """How many parts a first run makes."""
    pictures = len(source.names)
    if source.kind != "pictures":
        return pictures
    return max(-(-pictures // PICTURES), min(-(-pictures // FEWEST), LEAST))


def parts_of(source: Source, count: int, suffix: str | None) -> Iterator[Part]:
    """Divide a source into parts, each of which is done or not.

    Args:
        source: what is to be divided.
        count: parts of loose pictures, as the first run fixed it.
        suffix: such as ".png", for results; None keeps each picture's.
    """
    if source.kind != "pictures":
        for name in source.names:
            yield Part(name, (name,))
        return
    members: dict[int, list[tuple[str, str]]] = {}
    outputs = result_names([Posix(name) for name in source.names], suffix)
    for name, output in zip(source.names, outputs, strict=True):
        number = zlib.crc32(name.encode("utf-8", "surrogatepass")) % count
        members.setdefault(number, []).append((name, str(output)))
    for number, pairs in sorted(members.items()):
        names, outputs = zip(*pairs, strict=True)
        yield Part(f"part-{number:07d}", names, outputs)
