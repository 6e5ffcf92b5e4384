"""Score a model case by case: a line of CSV each, so that a run goes on where it stopped."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from pellucid import __version__
from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.evaluation import metrics
from pellucid.evaluation.cases import Case
from pellucid.evaluation.memory import peak_mib, reset_peak
from pellucid.evaluation.metrics import MetricSettings
from pellucid.imaging.formats import BY_SUFFIX
from pellucid.imaging.io import Photo, read, write
from pellucid.imaging.writer import write_all
from pellucid.plural import counted
from pellucid.restorer import Restorer

_TEXT = ("column", "name", "input_sha256", "detected", "second")
FAILS = (PellucidError, OSError, RuntimeError, ValueError, MemoryError)  # of one picture
Metric = Callable[[Tensor, Tensor], Tensor]  # (B, 3, H, W) twice, in [0, 1] -> (B,)
Track = Callable[[Sequence[Any], str], Iterable[Any]]  # hands items on, and shows how many


class Answer(NamedTuple):
    """What a source makes of a damaged picture."""

    picture: Tensor  # (1, 3, H, W) float32 in [0, 1]
    probabilities: dict[str, float] | None = None  # of the words of damage, most probable first


class ResultSource(Protocol):
    """Where restored pictures come from."""

    name: str
    identity: dict[str, Any]  # what the scores depend on; a run goes on only if it is the same

    def restore(self, case: Case, damaged: Tensor, seed: int) -> Answer: ...


class ModelSource:
    """Pictures restored by a model of Pellucid; `options` are those of `Restorer.run`."""

    def __init__(self, restorer: Restorer, **options: Any):
        self.restorer = restorer
        self.options = {key: value for key, value in options.items() if value is not None}
        restorer.check(**self.options)
        self.name = "-".join(map(str, [Path(restorer.name).stem, *self.options.values()]))
        self.identity = {
            "model": restorer.name,
            "weights": restorer.fingerprint(),
            "device": str(restorer.device),
            "dtype": str(restorer.dtype).removeprefix("torch."),
            "guard": restorer.guard,
            **self.options,
        }

    def restore(self, case: Case, damaged: Tensor, seed: int) -> Answer:
        """Diagnose and restore; diffusion models draw their noise from the seed."""
        (found,) = self.restorer.run(damaged, seed=seed, **self.options)
        return Answer(found.picture[None], found.guidance.probabilities)


class FolderSource:
    """Pictures that another tool restored, in any readable format.

    They are `FOLDER/COLUMN/NAME.png`, or `FOLDER/NAME.png` where the protocol has one column.

    Args:
        folder: the folder.
        columns: how many columns the protocol has.

    Raises:
        UsageError: there is no such folder.
    """

    def __init__(self, folder: Path, columns: int):
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder of restored pictures")
        self.folder, self.columns, self.name = folder, columns, folder.resolve().name
        self.identity = {"restored": str(folder.resolve())}

    def restore(self, case: Case, damaged: Tensor, seed: int) -> Answer:
        """Read the picture of the case; ImageError if there is none."""
        stems = [self.folder / case.column / case.name]
        stems += [self.folder / case.name] if self.columns == 1 else []
        files = [s.with_name(s.name + suffix) for s in stems for suffix in BY_SUFFIX]
        for file in files:
            if file.exists():
                return Answer(torch.from_numpy(read(file).pixels).permute(2, 0, 1)[None])
        raise ImageError(f"{stems[0]}: there is no picture of this name")


class Outcome(NamedTuple):
    """Rows of `images.csv`, and the cases that failed with the reason."""

    rows: list[dict[str, Any]]
    failures: list[tuple[str, str]]


def score(
    cases: Sequence[Case],
    settings: Sequence[MetricSettings],
    source: ResultSource,
    folder: Path,
    about: dict[str, Any],
    extra: dict[str, Metric] | None = None,
    track: Track = lambda items, what: items,
) -> Outcome:
    """Restore and score every case that `folder/images.csv` does not hold yet.

    Restored pictures are kept as `folder/restored/<column>/<name>.png`, 8 bit; the scores are those
    of the floating-point pictures, unless the settings round them. A case that fails is left
    out of the CSV and tried again by the next run. The seed of a case is its number in its column,
    so that it has the same noise whichever others are scored.

    Args:
        cases: of a protocol, in its order.
        settings: PSNR and SSIM are computed with each, for the restored and the damaged picture;
            they are NaN where there is no truth.
        source: a model, or a folder of results.
        folder: belongs to this source and protocol alone.
        about: what else the scores depend on: the protocol's name, the folder of its pictures.
        extra: more metrics by name (LPIPS ...).
        track: shows progress.

    Raises:
        UsageError: the folder holds scores of another model, protocol, or choice of metrics.
    """
    extra = extra or {}
    identity = {"pellucid": __version__, **about, **source.identity, "metrics": list(extra)}
    rows = _begin(folder, identity)
    known = {(row["column"], row["name"]) for row in rows}
    failures = []
    table = folder / "images.csv"
    with written(table), open(table, "a", newline="", encoding="utf-8") as file:
        writer = None
        for case in track(cases, source.name):
            if (case.column, case.name) not in known:
                try:
                    row = _row(case, settings, source, folder, extra)
                except UsageError:
                    raise
                except FAILS as error:
                    failures.append((f"{case.column}/{case.name}", str(error)))
                else:
                    if writer is None:
                        writer = csv.DictWriter(file, list(row))
                        if not file.tell():
                            writer.writeheader()
                    writer.writerow(row)
                    file.flush()
                    rows.append(row)
    order = {(case.column, case.name): place for place, case in enumerate(cases)}
    rows = [row for row in rows if (row["column"], row["name"]) in order]
    return Outcome(sorted(rows, key=lambda r: order[r["column"], r["name"]]), failures)


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Make a sentence of what a full disk, or a folder without permission, throws.

    Raises:
        PellucidError: says it.
    """
    try:
        yield
    except OSError as error:
        raise PellucidError(
            f"{path} cannot be written: {error.strerror or error}; when this is mended, the same "
            "command goes on from there"
        ) from error


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of an `images.csv`, numbers as numbers; a last line cut short is left out.

    Raises:
        UsageError: it is damaged.
    """
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = []
    try:
        text = path.read_text(encoding="utf-8")
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            path.write_text(text, encoding="utf-8")
        for row in csv.DictReader(text.splitlines()):
            if not {"column", "name"} <= row.keys():
                raise ValueError("these are no scores")
            rows.append({name: _number(name, value) for name, value in row.items()})
    except (ValueError, TypeError, csv.Error) as error:
        raise UsageError(
            f"{path} is damaged after {counted(len(rows), 'row')}; name another folder with "
            "--out, or delete what is damaged"
        ) from error
    return rows


def _number(column: str, value: str) -> Any:
    if value is None:
        raise ValueError("the line is too short")
    return value if column in _TEXT else float(value)


def _begin(folder: Path, identity: dict[str, Any]) -> list[dict[str, Any]]:
    folder.mkdir(parents=True, exist_ok=True)
    note = folder / "run.json"
    if note.exists():
        try:
            before = json.loads(note.read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                raise ValueError("not a dict")
        except ValueError as error:
            raise UsageError(
                f"{note} is damaged, so what the scores beside it are of is not known; name "
                "another folder with --out, or delete this one"
            ) from error
        if before != identity:
            keys = sorted(k for k in before | identity if before.get(k) != identity.get(k))
            raise UsageError(
                f"{folder} holds scores of another run (other {', '.join(keys)}); name another "
                "folder with --out, or delete it"
            )
    else:
        write_all({note: f"{json.dumps(identity, indent=1)}\n".encode()})  # whole or not at all
    return read_rows(folder / "images.csv")


def _row(
    case: Case,
    settings: Sequence[MetricSettings],
    source: ResultSource,
    folder: Path,
    extra: dict[str, Metric],
) -> dict[str, Any]:
    pixels, clean = case.load()
    sha256 = hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest()
    damaged = torch.as_tensor(pixels)[None]
    truth = None if clean is None else torch.as_tensor(clean)[None]
    reset_peak()
    began = time.perf_counter()
    answer = source.restore(case, damaged, case.index)
    seconds = time.perf_counter() - began
    memory = peak_mib()
    restored = answer.picture
    if restored.shape != damaged.shape:
        sizes = [f"{p.shape[-1]} x {p.shape[-2]}" for p in (restored, damaged)]
        raise ImageError(f"the restored picture is {sizes[0]}, the ground truth {sizes[1]}")
    row: dict[str, Any] = {"column": case.column, "name": case.name, "input_sha256": sha256}
    first, second = [*list((answer.probabilities or {}).items())[:2], ("", 0.0), ("", 0.0)][:2]
    row |= {"seed": case.index, "detected": first[0], "second": second[0], "share": first[1]}
    row |= {"seconds": round(seconds, 4), "peak_mib": round(memory, 1)}
    for setting in settings:
        measured = {"psnr": metrics.psnr} | ({"ssim": metrics.ssim} if setting.window else {})
        for name, metric in measured.items():
            for suffix, picture in (("", restored), ("_input", damaged)):
                value = math.nan if truth is None else metric(picture, truth, setting).item()
                row[f"{name}_{setting.colour}{suffix}"] = value
    for name, metric in extra.items():
        for suffix, picture in (("", restored), ("_input", damaged)):
            row[f"{name}{suffix}"] = math.nan if truth is None else metric(picture, truth).item()
    pixels = restored[0].permute(1, 2, 0).clamp(0, 1).contiguous().numpy()
    target = folder / "restored" / case.column / f"{case.name}.png"
    write(Photo(pixels), target, overwrite=True)
    return row
