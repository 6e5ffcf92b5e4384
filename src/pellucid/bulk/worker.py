"""The actor that holds a model and restores part after part."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from pellucid.allocator import keep_freed_memory
from pellucid.bulk import reports
from pellucid.bulk.parts import Kind, Part
from pellucid.bulk.samples import Loose, Picture, Rows, Sample, ShardError, Sink, Tar
from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.imaging.contents import check_length
from pellucid.imaging.io import BY_NAME, MAX_PIXELS, Photo, encode, fit, output_format, read
from pellucid.imaging.libtiff import library_notes
from pellucid.places import Place
from pellucid.report import report_of

FLUSH = 30.0  # seconds between two writings of the reports of loose pictures
DIED = "the process that restored it died, twice; it may need more memory than there is"
Item = TypeVar("Item")


@dataclass(frozen=True)
class Settings:
    """What decides the results; a run is resumed with the same."""

    model: str = "auto"
    words: tuple[str, ...] = ()
    strength: float = 1.0
    preset: str | None = None
    steps: int | None = None
    seed: int = 0
    guard: bool | None = None
    format: str | None = None
    """Suffix of results, such as ".png"; None keeps each picture's format."""
    quality: int | None = None
    rate: bool = True
    """Measure the quality before and after."""
    max_pixels: int = MAX_PIXELS
    column: str | None = None
    """Of Parquet, with the pictures."""


@dataclass(frozen=True)
class Machine:
    """What computes; may be another when a run is resumed."""

    device: str = "auto"
    dtype: str = "auto"
    engine: str = "torch"
    tile: int | None = None
    threads: int = 1


class Worker:
    """Restores parts; called by Ray Data with one row a part.

    The next picture is read while one is restored and the one before is written, so that a slow
    disk or network costs no time of the model. No more than these three are in memory.

    Args:
        source: where the pictures are.
        target: where results and reports go.
        kind: of the source.
        settings: what decides the results.
        machine: what computes.
        retry: try pictures again that failed in an earlier run.
        ledger: the handle of a Ray actor of class `Ledger`, or None.
    """

    def __init__(
        self,
        source: Place,
        target: Place,
        kind: Kind,
        settings: Settings,
        machine: Machine,
        retry: bool = False,
        ledger: Any = None,
    ):
        import torch

        keep_freed_memory()
        torch.set_num_threads(machine.threads)
        self.source, self.target, self.kind = source, target, kind
        self.settings, self.machine, self.retry, self.ledger = settings, machine, retry, ledger
        self.restorer: Any = None
        self.flying: dict[str, None] = {}

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Restore a part; returns what was done, or what must stop the run under `fatal`."""
        part = Part.unpacked(row)
        answer = {"id": part.id, "restored": 0, "failed": 0, "held": 0, "fatal": "", "usage": False}
        try:
            if self.restorer is None:
                self.restorer = self._load()
            answer |= self._part(part)
        except PellucidError as error:
            answer |= {"fatal": str(error), "usage": isinstance(error, UsageError)}
        answer["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # MB on Linux
        return answer

    def _load(self) -> Any:
        from pellucid.loading import load

        chosen, machine = self.settings, self.machine
        restorer = load(
            chosen.model, machine.device, machine.dtype, guard=chosen.guard, engine=machine.engine
        )
        restorer.check(
            *(chosen.steps, chosen.preset, chosen.strength, machine.tile, chosen.words, chosen.seed)
        )
        return restorer

    def _part(self, part: Part) -> dict[str, int]:
        held = reports.read(self.target, part.id)
        kept = [row for row in held or () if not (self.retry and row["error"])]
        if self.kind == "pictures":
            rows, finished = kept, {row["name"] for row in kept} >= set(part.names)
        else:  # a shard is made as a whole
            finished = held is not None and len(kept) == len(held)
            rows = kept if finished else []
        before = len(rows)
        if not finished:
            again, given_up = self._ask("start", part.id) if self.ledger else (False, set())
            if self.kind == "pictures":
                limit = self.settings.max_pixels
                done = {row["name"] for row in rows}
                sink = Loose(self.source, self.target, part, done, limit)
                self._restore(part, sink, rows, given_up, again, FLUSH)
            else:
                self._shard(part, rows, given_up, again)
            reports.write(self.target, part.id, rows)
            if self.ledger:
                self._ask("end", part.id)
        new = rows[before:]
        failures = sum(bool(row.get("error")) for row in new)
        return {"restored": len(new) - failures, "failed": failures, "held": before}

    def _ask(self, method: str, *args: Any) -> Any:
        import ray

        return ray.get(getattr(self.ledger, method).remote(*args))

    def _shard(self, part: Part, rows: list[dict], given_up: set[str], again: bool) -> None:
        """Restore a shard into a shard of the same name, or report why there is none."""
        (shard,) = part.names
        try:
            with self.target.whole(shard) as path, ExitStack() as stack:
                if self.kind == "tar":
                    sink: Sink = Tar(self.source, shard, path, stack, self.settings.format)
                else:
                    sink = Rows(self.source, shard, path, stack, self.settings.column)
                self._restore(part, sink, rows, given_up, again, None)
        except ShardError as error:
            rows[:] = [reports.failure(shard, error)]

    def _restore(
        self,
        part: Part,
        sink: Sink,
        rows: list[dict],
        given_up: set[str],
        again: bool,
        flush: float | None,
    ) -> None:
        """Restore the samples of a part one after the other and add their reports to `rows`.

        After a worker died over this part (`again`), nothing is done ahead, so that what kills the
        next one is known.
        """
        told, self.flying = time.monotonic(), {}

        def finish(sample: Sample, found: list[Any]) -> None:
            nonlocal told
            rows.extend(self._written(sample, found, sink))
            for picture in sample.pictures:
                self.flying.pop(picture.name, None)
            if self.ledger:
                self._ask("count", len(sample.pictures))
            if flush is not None and time.monotonic() - told > flush:
                reports.write(self.target, part.id, rows)
                told = time.monotonic()

        samples = self._opened(part, sink.samples(), given_up)
        with ThreadPoolExecutor(1, "write") as pool:
            pending: Future | None = None
            for sample, opened in samples if again else ahead(samples):
                found = [_tried(self._restored, one) for one in opened]
                if pending is not None:
                    pending.result()
                pending = pool.submit(finish, sample, found)
                if again:
                    pending.result()
            if pending is not None:
                pending.result()

    def _opened(
        self, part: Part, samples: Iterator[Sample], given_up: set[str]
    ) -> Iterator[tuple[Sample, list[Any]]]:
        """Decode the pictures of each sample: a photo, or the error that it made."""
        for sample in samples:
            names = [picture.name for picture in sample.pictures]
            if any(name in given_up for name in names):
                yield sample, [PellucidError(DIED)] * len(names)
                continue
            self.flying |= dict.fromkeys(names)
            if self.ledger:
                self._ask("begin", part.id, tuple(self.flying))
            yield sample, [_tried(self._open, picture) for picture in sample.pictures]

    def _open(self, picture: Picture) -> Photo:
        given = picture.read()
        if isinstance(given, bytes):
            check_length(len(given), self.settings.max_pixels)
        with library_notes() as said:
            photo = read(given, self.settings.max_pixels)
        photo = photo.with_notes(*said)
        return fit(photo, self._format(photo, picture.output).name)

    def _format(self, photo: Photo, output: str | None) -> Any:
        if output or self.settings.format:
            return output_format(output or f"x{self.settings.format}")
        own = BY_NAME.get(photo.format or "", BY_NAME["PNG"])
        return own if own.writable else BY_NAME["PNG"]

    def _restored(self, photo: Photo) -> Any:
        chosen = self.settings
        found = self.restorer.run(
            photo,
            words=chosen.words,
            steps=chosen.steps,
            preset=chosen.preset,
            strength=chosen.strength,
            seed=chosen.seed,
            tile=self.machine.tile,
            quality=chosen.rate,
            max_pixels=chosen.max_pixels,
        )
        return found, report_of(photo, found)

    def _written(self, sample: Sample, found: list[Any], sink: Sink) -> list[dict]:
        """Encode and write the results of a sample, all or none; returns their rows."""
        pairs = zip(sample.pictures, found, strict=True)
        files = [_tried(self._encoded, picture, one) for picture, one in pairs]
        if not any(isinstance(file, Exception) for file in files):
            try:
                outputs = sink.put(sample, files)
            except ImageError as error:
                files = [error] * len(files)
            else:
                done = zip(sample.pictures, outputs, found, strict=True)
                return [reports.row(p.name, output, report) for p, output, (_, report) in done]
        return [
            reports.failure(
                picture.name,
                file if isinstance(file, Exception) else "another picture of its sample failed",
            )
            for picture, file in zip(sample.pictures, files, strict=True)
        ]

    def _encoded(self, picture: Picture, found: Any) -> tuple[str, bytes]:
        restored: Photo = found[0].picture
        format = self._format(restored, picture.output)
        return format.suffixes[0], encode(restored, format.name, self.settings.quality)


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; while one is used, a thread makes the next."""
    end: Any = object()
    with ThreadPoolExecutor(1, "read") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item


def _tried(step: Callable[..., Any], *given: Any) -> Any:
    """What a step makes of a picture, or the exception: whatever one throws, the others go on."""
    if isinstance(given[-1], Exception):
        return given[-1]
    try:
        return step(*given)
    except UsageError:  # every picture would throw it
        raise
    except Exception as error:
        return error
