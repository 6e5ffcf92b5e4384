"""What is restored together: a loose picture, a sample of a WebDataset tar, a row of Parquet."""

from __future__ import annotations

import copy
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from pathlib import PurePosixPath as Posix
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.bulk.parts import Part
from pellucid.data.tars import members
from pellucid.errors import ImageError, UsageError
from pellucid.imaging.contents import most
from pellucid.imaging.formats import format_of, result_name
from pellucid.places import Place

ROWS = 16  # of a Parquet file, decoded at once
GROUP = 1 << 26  # bytes of pictures in a row group that is written
COLUMNS = ("image", "jpg", "jpeg", "png", "picture", "img", "bytes")  # in this order


@dataclass
class Picture:
    """A picture to be restored. `output` names its result; None: its format is the input's."""

    name: str
    read: Callable[[], Path | bytes]
    output: str | None


@dataclass
class Sample:
    """Pictures of which all are written, or none; `content` is the sink's own."""

    pictures: list[Picture]
    content: Any = field(default=None, repr=False)


class ShardError(ImageError):
    """A shard that cannot be read."""


class Sink(Protocol):
    """Where the samples of a part come from and where they go."""

    def samples(self) -> Iterator[Sample]:
        """The samples in order."""
        ...

    def put(self, sample: Sample, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Take the results of a sample, as (suffix, bytes); returns their names in the target."""
        ...


class Loose:
    """Pictures as files; each result is placed when it is put."""

    def __init__(self, source: Place, target: Place, part: Part, done: set[str], max_pixels: int):
        self.source, self.target, self.part, self.done = source, target, part, done
        self.most = most(max_pixels) + 1

    def samples(self) -> Iterator[Sample]:
        """One a picture that is not done."""
        for name, output in zip(self.part.names, self.part.outputs, strict=True):
            if name not in self.done:
                yield Sample([Picture(name, lambda name=name: self._read(name), output)])

    def _read(self, name: str) -> Path | bytes:
        if self.source.local:
            return Path(self.source.path(name))
        return self.source.read(name, self.most)

    def put(self, sample: Sample, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Write the result of one picture."""
        ((_, data),) = files
        output = str(sample.pictures[0].output)
        self.target.write(output, data)
        return [output]


class Tar:
    """A WebDataset shard: members whose names agree up to the first dot are one sample."""

    def __init__(self, source: Place, shard: str, path: Path, stack: ExitStack, suffix: str | None):
        self.source, self.shard, self.suffix = source, shard, suffix
        self.out = stack.enter_context(tarfile.open(path, "w"))  # noqa: SIM115
        self.names: set[str] = set()

    def samples(self) -> Iterator[Sample]:
        """One a key, in the shard's order."""
        try:
            held: list[tuple[tarfile.TarInfo, bytes]] = []
            last = [b""]
            with (
                self.source.stream(self.shard) as stream,
                tarfile.open(fileobj=stream, mode="r|") as tar,
            ):
                for info in members(tar, lambda _: last[0]):
                    if held and _key(info.name) != _key(held[0][0].name):
                        yield self._sample(held)
                        held = []
                    file = tar.extractfile(info) if info.isfile() else None
                    last[0] = file.read() if file else b""
                    held.append((info, last[0]))
            if held:
                yield self._sample(held)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise ShardError(f"damaged or unreadable shard ({error})") from error

    def _sample(self, members: list[tuple[tarfile.TarInfo, bytes]]) -> Sample:
        pictures = [
            Picture(
                f"{self.shard}/{info.name}",
                lambda data=data: data,
                str(result_name(Posix(info.name), self.suffix)),
            )
            for info, data in members
            if info.isfile() and format_of(info.name) is not None
        ]
        return Sample(pictures, members)

    def put(self, sample: Sample, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Append a sample; members that are no pictures go along as they are."""
        results = iter(zip(sample.pictures, files, strict=True))
        made: list[tuple[tarfile.TarInfo, bytes]] = []
        outputs = []
        for info, data in sample.content:
            info = copy.copy(info)
            if info.isfile() and format_of(info.name) is not None:
                picture, (_, data) = next(results)
                info.name, info.size = str(picture.output), len(data)
                kept = {k: v for k, v in info.pax_headers.items() if k not in ("size", "path")}
                info.pax_headers = kept
                outputs.append(f"{self.shard}/{info.name}")
            made.append((info, data))
        taken = [info.name for info, _ in made]
        if clash := next((n for n in taken if n in self.names or taken.count(n) > 1), None):
            raise ImageError(f"two members of the result would be called {clash}")
        self.names.update(taken)
        for info, data in made:
            self.out.addfile(info, io.BytesIO(data) if info.isfile() else None)
        return outputs


def _key(name: str) -> str:
    folder, _, base = name.rpartition("/")
    return f"{folder}/{base.partition('.')[0]}"


class Rows:
    """A Parquet file with pictures in one column: bytes, or a struct with `bytes` and `path`."""

    def __init__(self, source: Place, shard: str, path: Path, stack: ExitStack, column: str | None):
        self.shard = shard
        try:
            file = stack.enter_context(source.file(shard))
            self.table = pq.ParquetFile(file, buffer_size=1 << 20)
        except (OSError, pa.ArrowException) as error:
            raise ShardError(f"damaged or unreadable shard ({error})") from error
        schema = self.table.schema_arrow
        self.column = column_of(schema, column, shard)
        self.struct = pa.types.is_struct(schema.field(self.column).type)
        self.out = stack.enter_context(pq.ParquetWriter(path, schema))
        self.waiting: list[pa.RecordBatch] = []
        self.bytes = 0
        stack.callback(self._flush)

    def samples(self) -> Iterator[Sample]:
        """The samples of the table, one a row."""
        number = 0
        try:
            for batch in self.table.iter_batches(ROWS):
                for i in range(len(batch)):
                    row = batch.slice(i, 1)
                    value = row.column(self.column)[0].as_py()
                    data = value and value["bytes"] if self.struct else value
                    name = f"{self.shard}/{number}"
                    pictures = [Picture(name, lambda data=data: data, None)] if data else []
                    yield Sample(pictures, row)
                    number += 1
        except (OSError, pa.ArrowException) as error:
            raise ShardError(f"damaged or unreadable shard ({error})") from error

    def put(self, sample: Sample, files: Sequence[tuple[str, bytes]]) -> list[str]:
        """Append a row with its other columns as they are; the suffix of `path` is the result's."""
        row: pa.RecordBatch = sample.content
        outputs = []
        for suffix, data in files:
            value: Any = data
            index = row.schema.get_field_index(self.column)
            if self.struct:
                value = row.column(index)[0].as_py() | {"bytes": data}
                if value.get("path"):
                    old = Posix(value["path"])
                    same = format_of(value["path"]) is format_of(f"x{suffix}")
                    value["path"] = str(old if same else old.with_suffix(suffix))
            kind = row.schema.field(index)
            row = row.set_column(index, kind, pa.array([value], kind.type))
            outputs += [picture.name for picture in sample.pictures]
        self.waiting.append(row)
        self.bytes += sum(len(data) for _, data in files)
        if self.bytes >= GROUP:
            self._flush()
        return outputs

    def _flush(self) -> None:
        if self.waiting:
            self.out.write_table(pa.Table.from_batches(self.waiting))
            self.waiting, self.bytes = [], 0


def column_of(schema: pa.Schema, wanted: str | None, shard: str) -> str:
    """The name of the column with the pictures.

    Raises:
        UsageError: there is none, or it holds no bytes.
    """
    found = wanted or next((name for name in COLUMNS if name in schema.names), None)
    if found is None or found not in schema.names:
        known = ", ".join(schema.names)
        raise UsageError(f"{shard}: which column has the pictures? --column is one of: {known}")
    kind = schema.field(found).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise UsageError(f"{shard}: the column {found} holds {kind}, not the bytes of pictures")
    return found
