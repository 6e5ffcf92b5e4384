"""Check folders for training and test sets: open every file and list every problem."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pellucid.data.benchmarks import Benchmark
from pellucid.data.files import (
    GT,
    LQ,
    Pair,
    pictures,
    trimmed,
)
from pellucid.data.layouts import PairSet, find_sets
from pellucid.data.leaks import find_leaks
from pellucid.errors import ImageError
from pellucid.imaging import io
from pellucid.plural import counted

Kind = Literal["unpaired", "unequal size", "unreadable", "empty", "wrong count", "leak"]


@dataclass(frozen=True)
class Problem:
    """A file or folder with a problem."""

    kind: Kind
    path: Path
    detail: str


@dataclass
class Report:
    """Contents and problems of a folder.

    Attributes:
        counts: usable pairs by type; for a folder of clean pictures, {"clean pictures": n}.
        problems: in the order of the files.
        notes: of each set, its layout and how the names agree.
    """

    root: Path
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def number(self, kind: str, folder: Path) -> int:
        """How many problems of a kind there are below a folder."""
        return sum(p.kind == kind and p.path.is_relative_to(folder) for p in self.problems)


def check_folder(
    root: str | Path,
    threads: int = 4,
    benchmark: Benchmark | None = None,
    train: Sequence[str | Path] = (),
    crops: bool = False,
) -> Report:
    """Open every picture of a folder: sets in the layouts of `layouts.LAYOUTS`, or clean pictures
    alone.

    Args:
        root: the folder.
        threads: that read pictures.
        benchmark: a test set in its own layout below the folder, instead.
        train: folders of training pictures; a clean picture that is among them is a leak.
        crops: look for parts of training pictures, too (`crop_leaks`, which needs OpenCV).

    Raises:
        UsageError: no such folder, or it does not hold the benchmark.
        ImageError: a training picture cannot be read.
    """
    report = Report(Path(root))
    unreadable: list[OSError] = []
    for _ in os.walk(root, onerror=unreadable.append):
        pass
    for error in unreadable:
        detail = f"a folder without access ({error.strerror})"
        report.problems.append(Problem("unreadable", Path(error.filename), detail))
    trained = [path for folder in train for path in pictures(folder)]
    with ThreadPoolExecutor(threads) as pool:
        if benchmark is not None:
            clean = _check_benchmark(report, benchmark, pool)
        elif sets := find_sets(root):
            clean = [path for one in sets for path in _check_set(report, one, pool)]
        else:
            clean = _check_clean(report, "clean pictures", pictures(root), pool)
            if not clean and not report.problems:
                report.problems.append(
                    Problem("empty", report.root, "no pictures, no <type>/{LQ,GT}")
                )
    for leak in find_leaks(clean, trained, threads):
        how = "the same picture" if leak.distance == 0 else f"{leak.distance} of 255 bits differ"
        mirrored = ", mirrored" if leak.mirrored else ""
        detail = f"trained on as {leak.train} ({how}{mirrored})"
        report.problems.append(Problem("leak", leak.truth, detail))
    if crops:
        from pellucid.data.crop_leaks import find_crops

        for part in find_crops(clean, trained, threads):
            mirrored = ", mirrored" if part.mirrored else ""
            detail = f"part of {part.train} ({part.agreeing} features agree{mirrored})"
            report.problems.append(Problem("leak", part.truth, detail))
    if train and not any(problem.kind == "leak" for problem in report.problems):
        tested = counted(len(set(clean)), "clean picture")
        among = counted(len(trained), "training picture")
        report.notes.append(f"no leak: of {tested}, none is among {among}")
    return report


def _check_clean(
    report: Report, name: str, files: list[Path], pool: ThreadPoolExecutor
) -> list[Path]:
    """Usable clean pictures; problems go into the report."""
    good = list(_readable(report, zip(files, pool.map(_size, files), strict=True)))
    report.counts[name] = len(good)
    return good


def _check_set(report: Report, one: PairSet, pool: ThreadPoolExecutor) -> list[Path]:
    """Clean pictures of the usable pairs, or all of a set that may have one side alone."""
    matched = one.match()
    report.notes.append(one.note(matched))
    # Clean pictures get noise in training; a set `lq` by others is restored without a truth.
    noisy, blind = one.word == "noisy" and one.inputs is None, one.truths is None
    if noisy or (blind and one.inputs and one.inputs.name != LQ):
        return _check_clean(report, one.name, matched.alone, pool)
    sides = one.inputs or one.folder / LQ, one.truths or one.folder / GT
    for side in sides:
        if not side.is_dir():
            report.problems.append(Problem("empty", side, "no such folder"))
    if not matched.pairs and not matched.alone:
        report.problems.append(Problem("empty", one.folder, "no pictures"))
    return _check_pairs(report, one.name, matched.pairs, matched.alone, sides, pool)


def _check_benchmark(report: Report, benchmark: Benchmark, pool: ThreadPoolExecutor) -> list[Path]:
    layout = benchmark.layout(report.root)
    matched, alone = benchmark.match(report.root)
    if len(matched) != benchmark.count:
        detail = f"{counted(len(matched), 'case')}, there must be {benchmark.count}"
        report.problems.append(Problem("wrong count", report.root / layout.truths, detail))
    if layout.inputs is None:
        return _check_clean(report, benchmark.name, [pair.truth for pair in matched], pool)
    both = [Pair(pair.input, pair.truth) for pair in matched if pair.input]
    sides = (report.root / layout.inputs, report.root / layout.truths)
    return _check_pairs(report, benchmark.name, both, alone, sides, pool)


def _check_pairs(
    report: Report,
    name: str,
    matched: list[Pair],
    alone: list[Path],
    sides: tuple[Path, Path],
    pool: ThreadPoolExecutor,
) -> list[Path]:
    for path in alone:
        other = sides[path.is_relative_to(sides[0])]
        report.problems.append(
            Problem("unpaired", path, f"no picture of this name in {other.name}")
        )
    files = list(dict.fromkeys(p for pair in matched for p in (pair.lq, pair.gt)))
    sizes = _readable(report, zip(files, pool.map(_size, files), strict=True))
    good = [pair.gt for pair in matched if _same_size(report, pair, sizes)]
    report.counts[name] = len(good)
    return good


def _same_size(report: Report, pair: Pair, sizes: dict[Path, tuple[int, int]]) -> bool:
    if pair.lq not in sizes or pair.gt not in sizes:
        return False
    lq, gt = sizes[pair.lq], sizes[pair.gt]
    equal = lq == gt or trimmed(gt, lq, pair.border)
    if not equal:
        detail = f"{lq[0]}x{lq[1]}, but {pair.gt.name} is {gt[0]}x{gt[1]}"
        report.problems.append(Problem("unequal size", pair.lq, detail))
    return equal


def _readable(
    report: Report, results: Iterable[tuple[Path, tuple[int, int] | ImageError]]
) -> dict[Path, tuple[int, int]]:
    """Sizes of the pictures that could be read; the others become problems."""
    sizes = {}
    for path, result in results:
        if isinstance(result, ImageError):
            reason = str(result).removeprefix(f"{path}: ")
            report.problems.append(Problem("unreadable", path, reason))
        else:
            sizes[path] = result
    return sizes


def _size(path: Path) -> tuple[int, int] | ImageError:
    try:
        photo = io.read(path)
    except ImageError as error:
        return error
    return photo.width, photo.height
