"""`pellucid evaluate --protocol sets`: sets of pictures, with several kinds of guidance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pellucid.cli.parse import guarded
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.cli.evaluate import Evaluate
    from pellucid.evaluation.cases import Case
    from pellucid.evaluation.scoring import ResultSource, Track

AS_IT_LIES = "restored"  # the one way of another tool's results


def evaluate_sets(args: Evaluate, cases: Sequence[Case], track: Track) -> int:
    """Score, write the report, print it; return the exit status."""
    from pellucid.cli.evaluate import each, ended, say, show_tables
    from pellucid.evaluation import folder_report, report
    from pellucid.evaluation.scoring import written

    assert args.data is not None  # the command has seen to it
    data, out = args.data, args.out / args.protocol
    subset = {"columns": " ".join(args.columns), "limit": args.limit}
    summaries, unscored = each(
        lambda one: folder_report.evaluate(
            *(*one, cases, subset, data, out / one[0], args.sheets, track)
        ),
        _sources(args, len({case.column for case in cases})).items(),
    )
    if len(summaries) > 1:
        compared = folder_report.comparison(summaries)
        names = ", ".join(summary["model"] for summary in summaries)
        text = f"# {names}: {report.title(summaries[0])}\n\n{report.markdown(compared)}"
        with written(out):
            (out / "comparison.md").write_text(text, encoding="utf-8")
    if args.json:
        print(report.to_json(summaries), end="")
    else:
        shown = [
            (f"{summary['model']}, {title}", cells)
            for summary in summaries
            for title, cells in folder_report.tables(summary).items()
        ]
        show_tables(shown + ([("side by side", compared)] if len(summaries) > 1 else []))
    say(f"reports are in {out}")
    failures = [
        (f"{summary['model']}, {way}: {name}", why)
        for summary in summaries
        for way, name, why in summary["failures"]
    ]
    return ended(summaries, failures, unscored)


def _sources(args: Evaluate, columns: int) -> Mapping[str, Mapping[str, ResultSource]]:
    """By name of the model, or of the folder of results, and by way."""
    from pellucid.evaluation.folder_scores import WAYS, SetSource
    from pellucid.evaluation.scoring import FolderSource
    from pellucid.loading import load

    if unknown := [way for way in args.ways if way not in WAYS]:
        raise UsageError(f"--ways {unknown[0]}: the ways are {', '.join(WAYS)}")
    found: dict[str, Mapping[str, Any]] = {}
    for model in args.models:
        guard = guarded(args.guard, args.no_guard)
        restorer = load(model, args.device, args.dtype, guard=guard)
        preset = args.preset if restorer.is_diffusion else None
        sources = {way: SetSource(restorer, way, preset=preset) for way in args.ways or WAYS}
        found[next(iter(sources.values())).name] = sources
    for folder in args.restored:
        found[folder.resolve().name] = {AS_IT_LIES: FolderSource(folder, columns)}
    if len(found) < len(args.models) + len(args.restored):
        raise UsageError("several sources have one name; evaluate them one by one (--out)")
    return found
