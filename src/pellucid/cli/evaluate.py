"""`pellucid evaluate`: score models, or another tool's results, by a published protocol."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from tyro.conf import Positional, arg

from pellucid.cli import FAILED, OK
from pellucid.cli.evaluate_sets import evaluate_sets
from pellucid.cli.parse import Flag, QuietFlag, guarded, parse
from pellucid.errors import PellucidError, UsageError

if TYPE_CHECKING:
    from pellucid.evaluation.cases import Case
    from pellucid.evaluation.run import Evaluated
    from pellucid.evaluation.scoring import ResultSource

Source = TypeVar("Source")
Result = TypeVar("Result")

EXAMPLES = """
examples:
  pellucid evaluate lite --data data/photos/held_out          our bench, from clean photographs
  pellucid evaluate lite --protocol native --data MYSET       own pairs, or as published
  pellucid evaluate lite lite-sde --data data/photos/held_out --columns '*@0.5'
  pellucid evaluate --restored results/ --protocol perceive-ir-5task --data AiOIR
  pellucid evaluate daclip --protocol daclip-universal --data universal --train train/
  pellucid evaluate lite --protocol sets --data SETS          SETS/SET/{lq,gt}: harm, naming, told
  pellucid evaluate --list                                    the protocols: cases, metrics, whose
A run that was stopped continues. In OUT/PROTOCOL/MODEL: images.csv (a line an image),
summary.md, summary.json, sheet.png (best, median, worst), gain.png, restored/.
"""
SHOWN = 10  # leaks
NAMED = 3  # pictures that were not scored for one reason
WIDE = 400  # characters, more than any table


@dataclass
class Evaluate:
    """Score models by a published protocol: PSNR, SSIM, and LPIPS, FID, NIQE where their weights
    are (pellucid fetch-metrics)."""

    models: Annotated[Positional[tuple[str, ...]], arg(metavar="MODEL...")] = ()
    """Names from `pellucid models`, or files of weights; several are compared image by image."""
    data: Annotated[Path | None, arg(aliases=["-d"], metavar="DIR", help_behavior_hint="")] = None
    """Folder of the protocol's test sets; clean photographs for pellucid-bench."""
    protocol: Annotated[str, arg(aliases=["-p"], metavar="NAME")] = "pellucid-bench"
    """What is measured on which pictures; see --list and docs/protocols.md."""
    restored: Annotated[tuple[Path, ...], arg(metavar="DIR...", help_behavior_hint="")] = ()
    """Score these folders of results too: DIR/COLUMN/NAME.png."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="OUT")] = Path("evaluations")
    """Where scores and pictures go."""
    columns: Annotated[tuple[str, ...], arg(metavar="PATTERN...", help_behavior_hint="")] = ()
    """Only columns of these names or patterns; the others' pictures need not be there."""
    limit: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Only the first N images of each column; of `sets`, N spread over each set."""
    preset: Annotated[
        Literal["paper", "balanced", "fast"] | None, arg(help_behavior_hint="(default: balanced)")
    ] = None
    """Diffusion models: 100, 20 or 5 network calls a picture."""
    guard: Flag = False
    """Other models: judge what the network makes; see pellucid restore --help."""
    no_guard: Flag = False
    """Models in the package: score what the network makes; see pellucid restore --help."""
    ways: Annotated[
        tuple[str, ...], arg(metavar="WAY...", help_behavior_hint="(default: all)")
    ] = ()
    """Protocol sets: blind, told (the right word), unguided, masked (told word and holes); the
    first gets the long table."""
    sheets: Flag = False
    """Protocol sets: draw every picture before, after and as it should be: sheets/SET.png."""
    train: Annotated[tuple[Path, ...], arg(metavar="DIR...", help_behavior_hint="")] = ()
    """The model's training pictures: a test picture among them is refused."""
    force: Flag = False
    """Evaluate in spite of such leaks, which are listed."""
    distortion_only: Flag = False
    """PSNR and SSIM alone, even where the weights of the perceptual metrics are."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps ..."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the computation; auto is bfloat16 where that is faster."""
    list: Flag = False
    """List the protocols."""
    json: Flag = False
    """Print the summaries as JSON on standard output."""
    quiet: QuietFlag = False
    """No progress bar."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if a picture could not be scored."""
    args = parse(Evaluate, argv, "evaluate", EXAMPLES)
    if args.list:
        _list()
        return OK
    if args.data is None:
        raise UsageError("name the folder with the protocol's pictures (--data)")
    if not args.models and not args.restored:
        raise UsageError("name a model (see pellucid models), or a folder of results (--restored)")

    from rich.console import Console
    from rich.progress import track

    from pellucid.checkpoints.metric_weights import FETCH
    from pellucid.data.layouts import find_sets
    from pellucid.evaluation import perceptual
    from pellucid.evaluation.folder_scores import chosen
    from pellucid.evaluation.protocols import NATIVE, SETS
    from pellucid.evaluation.protocols import protocol as row_of
    from pellucid.evaluation.run import Evaluation
    from pellucid.hardware import resolve_device

    protocol, errors = row_of(args.protocol), Console(stderr=True)
    if args.limit is not None and args.limit < 1:
        raise UsageError(f"--limit {args.limit}: at least one image of each column is needed")
    followed = partial(track, console=errors, transient=True, disable=args.quiet)
    if args.protocol == SETS:
        cases = chosen(args.data, args.columns, args.limit)
        _refuse_leaks(cases, args.train, args.force)
        return evaluate_sets(args, cases, followed)
    if args.ways or args.sheets:
        raise UsageError(f"--ways and --sheets are for --protocol {SETS}")
    if args.protocol == NATIVE:
        for one in find_sets(args.data):
            say(one.note(one.match()))
    cases = protocol.cases(args.data, args.columns)
    cases = [case for case in cases if args.limit is None or case.index < args.limit]
    _refuse_leaks(cases, args.train, args.force)
    measured = perceptual.NOTHING
    if not args.distortion_only:
        measured = perceptual.available(resolve_device(args.device))
        if measured.missing:
            say(f"not measured: {', '.join(measured.missing)} (no weights; run {FETCH})")
    evaluation = Evaluation(
        protocol,
        cases,
        {"data": str(args.data.resolve())},
        {"columns": " ".join(args.columns), "limit": args.limit},
        measured,
        args.out,
        followed,
    )
    sources = _sources(args, len({case.column for case in cases}))
    results, unscored = each(evaluation.run, sources)
    comparison = evaluation.compare(results) if len(results) > 1 else None
    _show(results, comparison, args.json)
    say(f"reports are in {evaluation.folder}")
    failures = [failure for result in results for failure in result.summary["failures"]]
    return ended([result.summary for result in results], failures, unscored)


def each(run: Callable[[Source], Result], sources: Iterable[Source]) -> tuple[list[Result], list]:
    """What is made of each source, and the errors of those of which nothing was scored.

    Raises:
        PellucidError: it is so with all.
    """
    results, errors = [], []
    for source in sources:
        try:
            results.append(run(source))
        except UsageError:
            raise
        except PellucidError as error:
            errors.append(error)
    if errors and not results:
        raise errors[0]
    return results, errors


def ended(
    summaries: Sequence[dict[str, Any]],
    failures: Iterable[tuple[str, str]],
    unscored: Sequence[PellucidError],
) -> int:
    """Say all that has no scores, the pictures of one reason together; return the exit status."""
    named: dict[str, list[str]] = {}
    for name, why in failures:
        named.setdefault(why, []).append(name)
    for why, names in named.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        say(f"not scored: {', '.join(names[:NAMED])}{more}: {why}")
    left_out = [what for summary in summaries for what in summary["left_out"]]
    for what in left_out:
        say(f"left out of {what}")
    for error in unscored:
        say(str(error))
    return FAILED if named or left_out or unscored else OK


def _list() -> None:
    from rich.console import Console
    from rich.table import Table

    from pellucid.evaluation.protocols import PROTOCOLS

    table = Table("protocol", "cases", "what is measured", "whose", box=None)
    for row in PROTOCOLS.values():
        table.add_row(row.name, str(row.count or ""), f"{row.summary}. {row.notes}", row.source)
    Console().print(table)


def _refuse_leaks(cases: Sequence[Case], folders: Sequence[Path], force: bool) -> None:
    """`UsageError` if the truth of a case is among training pictures; with `force` a warning."""
    from pellucid.data.files import pictures
    from pellucid.data.leaks import find_leaks

    train = [path for folder in folders for path in pictures(folder)]
    leaks = find_leaks([case.truth for case in cases if case.truth is not None], train)
    if not leaks:
        return
    shown = [f"  {x.truth} is {x.train}{' mirrored' * x.mirrored}" for x in leaks[:SHOWN]]
    shown += [f"  ... {len(leaks) - SHOWN} more"] if len(leaks) > SHOWN else []
    what = f"{len(leaks)} ground truths are among the training pictures:\n" + "\n".join(shown)
    if not force:
        raise UsageError(f"{what}\nremove them from one of the sides, or insist with --force")
    say(what)


def _sources(args: Evaluate, columns: int) -> list[ResultSource]:
    from pellucid.evaluation.scoring import FolderSource, ModelSource
    from pellucid.loading import load

    guard = guarded(args.guard, args.no_guard)
    restorers = [load(name, args.device, args.dtype, guard=guard) for name in args.models]
    if args.preset and not any(r.is_diffusion for r in restorers):
        raise UsageError(
            "--preset is for diffusion models such as lite-sde; these work in one pass"
        )
    sources: list[ResultSource] = [
        ModelSource(r, preset=args.preset if r.is_diffusion else None) for r in restorers
    ]
    sources += [FolderSource(folder, columns) for folder in args.restored]
    names = [source.name for source in sources]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"several sources are called {twice[0]}; evaluate them one by one")
    return sources


def _show(results: Sequence[Evaluated], comparison: list[list[str]] | None, as_json: bool) -> None:
    from pellucid.evaluation import report

    if as_json:
        print(report.to_json([result.summary for result in results]), end="")
        return
    tables = [
        (f"{name}: {report.title(summary)}", report.table(summary, brief=True))
        for (name, _, _), summary in results
    ]
    if comparison:
        metric = results[0].summary["metrics"][0]
        text = f"{metric}, paired differences: {report.title(results[0].summary)}"
        tables.append((text, comparison))
    show_tables(tables)


def show_tables(tables: Sequence[tuple[str, list[list[str]]]]) -> None:
    """Print titles and cells, not cut to the width of the terminal: numbers would be lost."""
    from rich.console import Console

    from pellucid.evaluation import report

    for title, cells in tables:
        Console(width=WIDE).print(report.terminal(cells, title))


def say(text: str) -> None:
    """A line for people, on standard error."""
    print(f"pellucid: {text}", file=sys.stderr)
