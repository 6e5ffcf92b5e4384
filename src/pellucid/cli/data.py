"""`pellucid data`: check, caption and make training data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from pellucid.cli.batch import refuse_place
from pellucid.cli.terminal import plain
from pellucid.data.captions import MODEL
from pellucid.errors import UsageError
from pellucid.plural import counted

if TYPE_CHECKING:
    from rich.table import Table

    from pellucid.data.check import Kind, Report

Root = Annotated[Path, tyro.conf.arg(metavar="ROOT")]
Clean = Annotated[Path, tyro.conf.arg(metavar="CLEAN")]
Out = Annotated[Path, tyro.conf.arg(metavar="OUT")]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
Side = Annotated[int | None, tyro.conf.arg(metavar="PX", help_behavior_hint="")]
Models = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME|FILE...", help_behavior_hint="")]
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
COUNTED: tuple[Kind, ...] = ("unpaired", "unequal size", "unreadable")  # columns of the table
Folders = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR...", help_behavior_hint="")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `pellucid data ARGV` and return its exit status: 1 if problems were found, else 0.

    Raises:
        PellucidError: as the functions called; SystemExit with status 2 for a wrong command line.
    """
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="pellucid data",
        description="Check, caption and make training data.",
        args=argv,
    )


def check(root: Root, /, benchmark: Name = None, train: Folders = (), crops: Flag = False) -> int:
    """Open every picture of a folder; list unpaired, unequal and unreadable ones.

    Before training: pellucid data check train/

    A folder of triplets: pellucid data check triplets/

    Before evaluation: pellucid data check AiOIR --benchmark Rain100L --train AiOIR/train

    Before training, that nothing that validates is in it: pellucid data check SETS --train train/
    --crops

    Args:
        root: Folder with <type>/{LQ,GT} or in another published layout (docs/protocols.md has the
            table), of triplets, or of clean pictures.
        benchmark: Check this public test set below ROOT, and its count; see docs/protocols.md.
        train: Training pictures: a clean one among them, even rescaled or mirrored, is listed.
        crops: List parts of training pictures, too (needs OpenCV: pip install 'pellucid[eval]').
    """
    from rich.console import Console

    from pellucid.data import benchmarks
    from pellucid.data.check import check_folder
    from pellucid.data.files import check_readable
    from pellucid.data.triplets import MANIFEST, read_manifest, verify

    check_readable(root)
    if (root / MANIFEST).exists():
        problems = verify(root)
        well = f"{root}: {counted(len(read_manifest(root)), 'triplet')}, all well"
        print(plain("\n".join(problems) or well))
        return 1 if problems else 0
    row = None if benchmark is None else benchmarks.benchmark(benchmark)
    report = check_folder(root, benchmark=row, train=train, crops=crops)
    console = Console()
    for table in tables(report):
        console.print(table)
    for note in report.notes:
        console.print(plain(note), highlight=False, markup=False, soft_wrap=True)
    return 0 if report.ok else 1


def tables(report: Report) -> Iterator[Table]:
    """Rich tables: contents of a folder that was checked and, if any, its problems."""
    from rich.markup import escape
    from rich.table import Table

    def cell(text: object) -> str:
        return escape(plain(str(text)))

    summary = Table("type", "usable", *COUNTED, title=cell(report.root), title_justify="left")
    for name, count in report.counts.items():
        folder = report.root / name if (report.root / name).is_dir() else report.root
        numbers = [report.number(kind, folder) for kind in COUNTED]
        summary.add_row(cell(name), str(count), *(f"[red]{n}[/red]" if n else "-" for n in numbers))
    yield summary
    if report.problems:
        listed = Table("problem", title="Problems", title_justify="left")
        for name in ("file", "detail"):
            listed.add_column(name, overflow="fold")  # a name that is cut short is no use
        for problem in report.problems:
            path = problem.path
            path = path.relative_to(report.root) if path.is_relative_to(report.root) else path
            listed.add_row(problem.kind, cell(path), cell(problem.detail))
        yield listed


def captions(
    root: Root,
    /,
    table: Path | None = None,
    model: str = MODEL,
    device: str = "cpu",
    batch: int = 8,
) -> int:
    """Caption the clean pictures with BLIP and write the controller's training table.

    Args:
        root: Folder with <type>/{LQ,GT}.
        table: The CSV to write or to continue; ROOT/captions.csv if not given.
        model: BLIP captioning model: a name on the Hugging Face hub or a local folder.
        device: Where BLIP runs: cpu, cuda, mps, ...
        batch: Pictures captioned at once.
    """
    from pellucid.data.captions import BlipCaptioner, write_captions

    _at_least(1, batch=batch)
    with _progress("captions") as progress:
        blip = cache(lambda: BlipCaptioner(model, device))  # loaded once there is a picture
        path = write_captions(root, lambda pictures: blip()(pictures), table, batch, progress)
    print(path)
    return 0


def generate(
    clean: Clean,
    out: Out,
    /,
    words: tuple[str, ...] = (),
    severity: tuple[float, ...] = (0.5,),
    seed: int = 0,
    window: Side = None,
    copies: int = 1,
) -> int:
    """Write damaged copies of clean pictures as OUT/<word>/{LQ,GT}.

    Args:
        clean: Folder of clean pictures.
        out: Folder to write to; nothing in it is replaced.
        words: Degradations, or chains like rainy+noisy; all ten if not given. Or weather as in a
            data set: outdoor-rain, rain100l, rain100h, snow100k-s, -m, -l,
            snow-veil, reside-indoor, -outdoor.
        severity: One number in [0, 1], or the lowest and the highest.
        seed: Another seed gives other damage.
        window: Cut a random square of so many px from each picture; all of it if not given.
        copies: Pairs of each picture, each with other damage and another window.
    """
    from pellucid.data.write_pairs import write_pairs
    from pellucid.degradations import WORDS

    _a_folder(out)
    _at_least(0, seed=seed)
    _at_least(1, window=1 if window is None else window)
    if len(severity) not in (1, 2):
        raise UsageError("--severity takes one number, or the lowest and the highest")
    with _progress("pairs") as progress:
        span = severity[0], severity[-1]
        counts = write_pairs(clean, out, words or WORDS, span, seed, window, progress, copies)
    for word, count in counts.items():
        print(f"{out / word}: {counted(count, 'pair')}")
    return 0


def windows(
    clean: Clean,
    out: Out,
    /,
    count: int = 40_960,
    side: int = 160,
    seed: int = 0,
    words: tuple[str, ...] = (),
    plain: float = 0.0,
    workers: int = 0,
) -> int:
    """Write damaged windows of clean photographs for a training, with the wide generators.

    A run that was stopped continues; a larger COUNT adds windows. Train on
    them with --data.kind windows --data.root OUT.

    Args:
        clean: Folder of clean photographs.
        out: Folder to write to; 512 windows a file, 79 MB with the default side.
        count: Windows in all, rounded up to whole files.
        side: Of a window, in pixels; crops for training are cut from it.
        seed: Another seed gives other windows.
        words: Only these degradations, and clean windows; one that is given twice is drawn twice as
            often. All ten if not given.
        plain: Share of windows that show the scene as it is: no other tone or colours, no print,
            no drawing. Grain, JPEG and the like still vary.
        workers: Processes; 0 = one for each core.
    """
    import os

    from pellucid.data.photos import CleanPhotos
    from pellucid.data.windows import make_windows
    from pellucid.degradations import WORDS
    from pellucid.errors import look_up

    _a_folder(out)
    _at_least(0, seed=seed, workers=workers)
    _at_least(1, count=count)
    _at_least(16, side=side)
    if not 0 <= plain <= 1:
        raise UsageError(f"--plain {plain:g} must be from 0 to 1")
    for word in words:
        look_up(dict.fromkeys(WORDS), word, "degradation")
    with _progress("windows") as progress:
        workers = workers or os.cpu_count() or 1
        photos = CleanPhotos(clean)
        made = make_windows(photos, out, count, side, seed, workers, progress, words, plain)
    print(f"{out}: {counted(made, 'window')}")
    return 0


def shards(source: Root, out: Out, /, each: int = 1000, seed: int = 0) -> int:
    """Write pairs into WebDataset shards, for a training that reads from a bucket or web server.

    pellucid data shards train/ shards/

    Copy OUT to the store. Train on it with --data.kind shards --data.root s3://bucket/shards; on a
    table of captions with --data.kind captioned-shards.

    Args:
        source: Folder with <type>/{LQ,GT}, or a table of captions.
        out: Folder to write to.
        each: Pairs in a shard.
        seed: Another seed gives another order.
    """
    from pellucid.data.shards import write_shards

    _a_folder(out)
    _at_least(0, seed=seed)
    _at_least(1, each=each)
    with _progress("shards") as progress:
        count, made = write_shards(source, out, each, seed, progress)
    print(f"{out}: {counted(count, 'pair')} in {counted(made, 'shard')}")
    return 0


def triplets(
    root: Root,
    out: Out,
    /,
    medium: Models,
    noise: tuple[float, ...] = (),
    legacy_folds: bool = False,
    device: str = "auto",
) -> int:
    """Render mediocre restorations of damaged pictures, to train quality prompts.

    A run that was stopped continues. `pellucid data check OUT` verifies the result.

    Args:
        root: Folder as for `pellucid data check`; a type with clean pictures alone gets noise.
        out: Folder of the triplets.
        medium: Any model that never saw the pictures, or two: the first trained without fold 0
            (--data.fold 0), the second without fold 1, and each renders the fold it never saw.
        noise: Standard deviations for the types without LQ, in grey levels, such as 15 25 50.
        legacy_folds: Assign the folds of the official code, which hashes paths such as
            data/AiOIR/train/Derain/input/rain-1.png: for the medium networks of the authors.
        device: Where the models run: auto, cpu, cuda, mps, ...
    """
    from pellucid.data.triplets import render
    from pellucid.loading import load

    if len(medium) not in (1, 2):
        raise UsageError("--medium takes one model that never saw the pictures, or two")
    if legacy_folds and len(medium) == 1:
        raise UsageError("--legacy-folds is for two --medium: one alone renders both folds")
    models = [load(name, device) for name in medium]
    restorers = [(model.fingerprint(), model.restore) for model in models]
    with _progress("triplets") as progress:
        count = render(root, out, restorers, noise, legacy_folds, progress)
    print(f"{out}: {counted(count, 'triplet')}")
    return 0


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise UsageError(f"--{name} {value} is below {least}")


def _a_folder(out: Path) -> None:
    refuse_place(out)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; name a folder")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, removed at the end."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda share: bar.update(task, completed=share)


COMMANDS = {
    "check": check,
    "captions": captions,
    "generate": generate,
    "windows": windows,
    "shards": shards,
    "triplets": triplets,
}
