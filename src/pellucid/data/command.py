"""``pellucid data check | captions | generate``: the command line of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro

from pellucid.data.captions import MODEL
from pellucid.errors import UsageError

Root = Annotated[Path, tyro.conf.arg(metavar="ROOT")]
Clean = Annotated[Path, tyro.conf.arg(metavar="CLEAN")]
Out = Annotated[Path, tyro.conf.arg(metavar="OUT")]
Name = Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="")]
Folders = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR...", help_behavior_hint="")]


def data_command(argv: Sequence[str] | None = None) -> int:
    """Run ``pellucid data ARGV`` and return its exit status: 1 if problems were found, else 0.

    Raises:
        PellucidError: as the functions called; SystemExit with status 2 for a wrong command line.
    """
    return tyro.extras.subcommand_cli_from_dict(
        {"check": check, "captions": captions, "generate": generate},
        prog="pellucid data",
        description="Check, caption and make training data.",
        args=argv,
    )


def check(root: Root, /, benchmark: Name = None, train: Folders = ()) -> int:
    """Open every picture of a folder and list what is unpaired, of unequal size, or unreadable.

    Before training: pellucid data check train/

    Before evaluation: pellucid data check AiOIR --benchmark Rain100L --train AiOIR/train

    Args:
        root: Folder with <type>/{LQ,GT}, with LQ and GT, or of clean pictures.
        benchmark: Check this public test set below ROOT, and its count; see docs/protocols.md.
        train: Training pictures: a clean one among them, even rescaled or mirrored, is listed.
    """
    from rich.console import Console

    from pellucid.data.benchmarks import benchmark as row_of
    from pellucid.data.check import check as checked
    from pellucid.data.check import tables

    row = None if benchmark is None else row_of(benchmark)
    report = checked(root, benchmark=row, train=train)
    console = Console()
    for table in tables(report):
        console.print(table)
    return 0 if report.ok else 1


def captions(
    root: Root,
    /,
    table: Path | None = None,
    model: str = MODEL,
    device: str = "cpu",
    batch: int = 8,
) -> int:
    """Write the controller's training table: BLIP captions of the clean pictures, and the damage.

    Args:
        root: Folder with <type>/{LQ,GT}.
        table: The CSV to write or to continue; ROOT/captions.csv if not given.
        model: BLIP captioning model: a name on the Hugging Face hub or a local folder.
        device: cpu, cuda, mps, ...
        batch: Pictures captioned at once.
    """
    from pellucid.data.captions import BlipCaptioner, write_captions

    with _progress("captions") as progress:
        path = write_captions(root, BlipCaptioner(model, device), table, batch, progress)
    print(path)
    return 0


def generate(
    clean: Clean,
    out: Out,
    /,
    words: tuple[str, ...] = (),
    severity: tuple[float, ...] = (0.5,),
    seed: int = 0,
) -> int:
    """Write damaged copies of clean pictures as OUT/<word>/{LQ,GT}.

    Args:
        clean: Folder of clean pictures.
        out: Folder to write to; nothing in it is replaced.
        words: Degradations, or chains like rainy+noisy; all ten if not given. Or weather as in a
            data set: outdoor-rain, rain100l, rain100h, snow100k-s, -m, -l, reside-indoor, -outdoor.
        severity: One number in [0, 1], or the lowest and the highest.
        seed: Another seed gives other damage.
    """
    from pellucid.data.generate import generate as generated
    from pellucid.degradations import WORDS

    if len(severity) not in (1, 2):
        raise UsageError("--severity takes one number, or the lowest and the highest")
    with _progress("pairs") as progress:
        counts = generated(clean, out, words or WORDS, (severity[0], severity[-1]), seed, progress)
    for word, count in counts.items():
        print(f"{out / word}: {count} pairs")
    return 0


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal's error stream, gone when it is done."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
