"""Is a folder fit for training? Every file is opened, and every problem listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pellucid.data.files import GT, LQ, Pair, is_paired, pairs, pictures, types_of
from pellucid.errors import ImageError
from pellucid.imaging import io

if TYPE_CHECKING:
    from rich.table import Table

KINDS = ("unpaired", "unequal size", "unreadable", "empty")


@dataclass(frozen=True)
class Problem:
    """One file (or folder) and what is wrong with it."""

    kind: Literal["unpaired", "unequal size", "unreadable", "empty"]
    path: Path
    detail: str


@dataclass
class Report:
    """What a folder holds and what is wrong with it.

    Attributes:
        counts: usable pairs by type; for a folder of clean pictures, {"clean pictures": n}.
        problems: in the order of the files.
    """

    root: Path
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def number(self, kind: str, folder: Path) -> int:
        """How many problems of a kind there are below a folder."""
        return sum(p.kind == kind and p.path.is_relative_to(folder) for p in self.problems)


def check(root: str | Path, threads: int = 4) -> Report:
    """Open every picture of a folder: official layout, one LQ and GT, or clean pictures alone.

    Raises:
        UsageError: no such folder.
    """
    report = Report(Path(root))
    types = types_of(root)
    with ThreadPoolExecutor(threads) as pool:
        if not types:
            sizes = pool.map(_size, files := pictures(root))
            good = _readable(report, zip(files, sizes, strict=True))
            report.counts["clean pictures"] = len(good)
            if not files:
                report.problems.append(
                    Problem("empty", report.root, "no pictures, no <type>/{LQ,GT}")
                )
        for word, folder in types.items():
            report.counts[word] = _check_type(report, folder, pool)
    return report


def _check_type(report: Report, folder: Path, pool: ThreadPoolExecutor) -> int:
    """Number of usable pairs; what is wrong goes into the report."""
    for side in (LQ, GT):
        if not (folder / side).is_dir():
            report.problems.append(Problem("empty", folder / side, "no such folder"))
    matched, alone = pairs(folder)
    report.problems += [
        Problem("unpaired", p, f"no picture of this name in {GT if _side(p, folder) == LQ else LQ}")
        for p in alone
    ]
    if not matched and not alone:
        report.problems.append(Problem("empty", folder, "no pictures"))
    files = [p for pair in matched for p in (pair.lq, pair.gt)]
    sizes = _readable(report, zip(files, pool.map(_size, files), strict=True))
    return sum(_same_size(report, pair, sizes) for pair in matched)


def _same_size(report: Report, pair: Pair, sizes: dict[Path, tuple[int, int]]) -> bool:
    if pair.lq not in sizes or pair.gt not in sizes:
        return False
    lq, gt = sizes[pair.lq], sizes[pair.gt]
    if lq != gt:
        detail = f"{lq[0]}x{lq[1]}, but {pair.gt.name} is {gt[0]}x{gt[1]}"
        report.problems.append(Problem("unequal size", pair.lq, detail))
    return lq == gt


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


def _side(path: Path, folder: Path) -> str:
    return path.relative_to(folder).parts[0]


def tables(report: Report) -> Iterator[Table]:
    """Rich tables: what the folder holds, and (if there are any) the problems one by one."""
    from rich.table import Table

    summary = Table("type", "usable", *KINDS[:3], title=str(report.root), title_justify="left")
    for name, count in report.counts.items():
        folder = report.root / name if is_paired(report.root / name) else report.root
        numbers = [report.number(kind, folder) for kind in KINDS[:3]]
        summary.add_row(name, str(count), *(f"[red]{n}[/red]" if n else "-" for n in numbers))
    yield summary
    if report.problems:
        listed = Table("problem", title="Problems", title_justify="left")
        for name in ("file", "detail"):
            listed.add_column(name, overflow="fold")  # a name that is cut short is no use
        for problem in report.problems:
            path = problem.path
            name = path.relative_to(report.root) if path.is_relative_to(report.root) else path
            listed.add_row(problem.kind, str(name), problem.detail)
        yield listed
