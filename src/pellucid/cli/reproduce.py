"""`pellucid reproduce`: the commands that make a table of a paper, and what they need."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from tyro.conf import Positional, arg

from pellucid.cli import FAILED, OK
from pellucid.cli.parse import Flag, parse
from pellucid.errors import UsageError, look_up
from pellucid.plural import counted

if TYPE_CHECKING:
    from pellucid.data.benchmarks import Benchmark
    from pellucid.recipes.papers import Table

EXAMPLES = """
examples:
  pellucid reproduce                                        the tables
  pellucid reproduce daclip-unified --data universal --dry-run
  pellucid reproduce perceive-3task --data AiOIR --official  the published weights, no training
  pellucid reproduce perceive-ablation --data photos         small networks, your own photographs
A run that was stopped continues: the same command passes over what is finished.
"""
FIRST = "on first use, by the network"
STATES = {True: "there  ", False: "MISSING", None: "to get "}
RATE = 50e12  # operations a second that the hours are counted with


@dataclass
class Reproduce:
    """Make a table of a paper: train, evaluate. --dry-run checks what is there and prints the plan;
    docs/reproduce.md says what has been run by anyone here."""

    table: Annotated[
        Positional[str | None], arg(metavar="TABLE", help_behavior_hint="(default: list them)")
    ] = None
    """Name of the table."""
    data: Annotated[Path, arg(aliases=["-d"], metavar="DIR")] = Path("data")
    """Folder of the official data: it holds train/, and test/ or val/. For ablations on small
    networks, of clean photographs: train/ and held_out/."""
    weights: Annotated[Path, arg(metavar="DIR")] = Path("weights")
    """Folder of the files that are got by hand, such as OpenAI's ViT-B-32.pt."""
    official: Flag = False
    """Measure the published weights; train nothing."""
    dry_run: Flag = False
    """Check data and weights, print the commands and their cost, run nothing."""


class Check(NamedTuple):
    """What was looked for, and whether it is there; None: it is fetched on first use."""

    there: bool | None
    what: str


def main(argv: Sequence[str]) -> int:
    """Run the command: 0, or 1 if something is missing or a step failed."""
    args = parse(Reproduce, argv, "reproduce", EXAMPLES)
    from pellucid.recipes.papers import TABLES

    if args.table is None:
        for row in TABLES.values():
            print(f"  {row.name:<18} {row.table}")
        return OK
    row = look_up(TABLES, args.table, "table")
    commands = row.official if args.official else (*row.train, *row.evaluate)
    if not commands:
        what = "no published weights make it" if args.official else "only --official makes it"
        raise UsageError(f"{row.name}: {what}")
    data, weights = (shlex.quote(str(folder)) for folder in (args.data, args.weights))
    lines = [command.format(data=data, weights=weights) for command in commands]
    checks = list(checked(row, args))
    missing = [check for check in checks if check.there is False]
    if args.dry_run or missing:
        print(f"{row.name}: {row.table}")
        for check in checks:
            print(f"  {STATES[check.there]}  {check.what}")
        if not args.official:
            print(*(f"  {line}" for line in cost(row)), sep="\n")
        print("plan:", *(f"  pellucid {line}" for line in lines), sep="\n")
        return FAILED if missing else OK
    for line in lines:
        print(f"pellucid {line}", file=sys.stderr)
        status = subprocess.run([sys.executable, "-m", "pellucid", *shlex.split(line)]).returncode
        if status:
            return status
    return OK


def checked(row: Table, args: Reproduce) -> Iterator[Check]:
    """The data and files that a table needs; opens no picture."""
    from pellucid.checkpoints import tinyvit
    from pellucid.checkpoints.metric_weights import FETCH
    from pellucid.evaluation.protocols import protocol
    from pellucid.recipes import recipe
    from pellucid.training.tasks.perceive import has_vgg
    from pellucid.vision_language.hub import DINOV2_BASE
    from pellucid.vision_language.tokenizer import CLIP_VOCABULARY

    if not args.data.is_dir():
        yield Check(False, f"{args.data}: no such folder; name that of the data with --data")
    if not args.official or not row.train:
        yield from _training(args.data / row.data, row.words)
        yield from (_photographs(args.data / folder) for folder in row.photos)
    name, columns = row.tests
    for benchmark in dict.fromkeys(column.benchmark for column in protocol(name).chosen(columns)):
        yield _test_set(benchmark, args.data)
    if args.official:
        yield from _published(row.official[0].split()[1])
        if row.name.startswith("perceive"):
            yield _on_hub(DINOV2_BASE)
        return
    tasks = [recipe(name).task for name in row.recipes]
    if any(getattr(task, "perceptual", 0) for task in tasks):
        yield Check(has_vgg(), f"weights of VGG for L_dpl: {FETCH}")
    for task in tasks:
        if getattr(task, "teacher", "") == "tinyvit":
            there = Path(task.onnx).is_file()
            how = "" if there else f": {tinyvit.FETCH}; or train the other variants by hand"
            yield Check(there, f"{task.onnx}, the teacher of full-tinyvit{how}")
    if any(getattr(task, "semantics", "") == DINOV2_BASE for task in tasks):
        yield _on_hub(DINOV2_BASE)
        yield _on_hub(CLIP_VOCABULARY, "vocab.json")  # of the prompts
    for file in row.files:
        yield Check((args.weights / file).is_file(), f"{args.weights / file}")
    if any(name.startswith("daclip") for name in row.recipes):
        yield from _published("daclip", network=False)


def _training(folder: Path, words: Sequence[str]) -> Iterator[Check]:
    from pellucid.data.layouts import find_sets

    counts: dict[str, int] = {}
    for one in find_sets(folder) if folder.is_dir() else ():
        found = one.match()
        for word, pairs in one.by_word(found.pairs).items():
            clean = len(found.alone) if one.inputs is None else 0
            counts[word] = counts.get(word, 0) + len(pairs) + clean
    for word in words:
        yield Check(counts.get(word, 0) > 0, f"{folder}: {counts.get(word, 0)} of {word}")


def _photographs(folder: Path) -> Check:
    from pellucid.data.files import pictures

    count = len(pictures(folder)) if folder.is_dir() else 0
    return Check(count > 0, f"{folder}: {counted(count, 'clean photograph')}")


def _test_set(benchmark: Benchmark, root: Path) -> Check:
    try:
        found, alone = benchmark.match(root)
    except UsageError as error:
        return Check(False, str(error).partition(": ")[2])
    complete = len(found) == benchmark.count and not alone
    return Check(complete, f"{benchmark.name}: {len(found)} of {benchmark.count} cases")


def _published(model: str, network: bool = True) -> Iterator[Check]:
    """Files of a model of the zoo; those on the hub are fetched on first use."""
    from pellucid import zoo

    entry = zoo.entry(model)
    for file in (entry.network, entry.tower) if network else (entry.tower,):
        if isinstance(file, zoo.ManualFile):
            how = f" (get {' or '.join(file.originals)} from {file.url} by hand and convert it)"
            there = file.path.exists()
            yield Check(there, f"{file.path}{'' if there else how}")
        elif names := zoo.published_names(file):
            kept = zoo.cache_folder() / f"{Path(names[0]).stem}.safetensors"
            yield Check(True, f"{kept}") if kept.exists() else Check(None, f"{names[0]}: {FIRST}")


def _on_hub(repository: str, file: str = "model.safetensors") -> Check:
    from pellucid.vision_language.hub import is_kept

    kept = is_kept(repository, file)
    return Check(True, repository) if kept else Check(None, f"{repository}: {FIRST}")


def cost(row: Table) -> Iterator[str]:
    """Lines about the cost of a table's trainings, counted and not measured."""
    from pellucid.recipes.papers import training_operations

    total = 0.0
    for name, processes in row.recipes.items():
        operations = training_operations(name) * processes
        total += operations
        if operations:
            yield f"train {name}: {operations:.1e} operations"
    hours = total / RATE / 3600
    shown = f"{hours:.1g}" if hours < 1 else f"{hours:.0f}"
    yield (
        f"about {shown} GPU hours at {RATE:.0e} operations a second; counted, not measured: three "
        "passes of the networks; towers, proxies and losses come on top"
    )
