"""`pellucid report`: trained runs side by side, as a table with intervals."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid.cli.parse import QuietFlag, parse
from pellucid.errors import UsageError
from pellucid.plural import counted

EXAMPLES = """
examples:
  pellucid report runs/ablation/perceive/resunet                  every run in the folder
  pellucid report runs/a-0 runs/a-1 runs/b-0 runs/b-1 --base a    runs called NAME-SEED
  pellucid report runs/ablation/perceive/nafnet-without-snowy --columns snowy@0.5 --format csv
  pellucid report runs/own --curves curves.png                    loss and PSNR over the steps
A report that was stopped continues: scores and restored pictures are kept in each run's folder.
"""


@dataclass
class Report:
    """Score trained runs on held-out photographs (pellucid-bench) and compare the variants.

    Prints the mean, the gain over a base with its 95 % interval (bootstrap over photographs), and
    the range of the gain over seeds; of networks with a map of the damage, its AUROC."""

    runs: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN...", help_behavior_hint="")] = ()
    """Folders of runs, or folders that hold some."""
    data: Annotated[Path | None, arg(aliases=["-d"], metavar="DIR", help_behavior_hint="")] = None
    """Clean photographs; if not given, those that the first run was validated on."""
    columns: Annotated[tuple[str, ...], arg(metavar="PATTERN...")] = ("*@0.5", "clean")
    """Columns of pellucid-bench: WORD@SEVERITY."""
    base: Annotated[
        str, arg(metavar="NAME", help_behavior_hint="(default: l1, base or the first)")
    ] = ""
    """Variant that the others are compared with."""
    limit: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None
    """Only the first N photographs."""
    format: Literal["markdown", "csv", "json"] = "markdown"
    """How the table is printed on standard output."""
    out: Annotated[Path | None, arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")] = None
    """Where scores and pictures go, if not into the runs' folders."""
    curves: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Score nothing: draw the loss and the PSNR of the runs over their steps, finished or not, to
    this picture."""
    quiet: QuietFlag = False
    """No progress bar."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0.

    Raises:
        UsageError: no run, no photographs, or runs that cannot be compared.
    """
    args = parse(Report, argv, "report", EXAMPLES)
    if not args.runs:
        raise UsageError("name the folders of trained runs, such as runs/ablation/perceive/resunet")

    from rich.console import Console
    from rich.progress import track

    from pellucid.evaluation import report, runs
    from pellucid.evaluation.protocols import protocol

    if args.curves is not None:
        from pellucid.evaluation.curves import draw_curves

        draw_curves({str(run): run for run in args.runs}, args.curves)
        print(args.curves)
        return 0
    found = runs.find(args.runs)
    photos = args.data or Path(found[0].photos)
    if not str(photos) or photos == Path("."):
        raise UsageError("name a folder of clean photographs with --data")
    bench = protocol("pellucid-bench")
    cases = bench.cases(photos, args.columns)
    cases = [case for case in cases if args.limit is None or case.index < args.limit]
    if not cases:
        raise UsageError(f"{photos}: no cases of {' '.join(args.columns)}")
    followed = partial(track, console=Console(stderr=True), transient=True, disable=args.quiet)
    names = _labels(found)
    scored: dict[str, dict] = {}
    for run, name in zip(found, names, strict=True):
        values = runs.scores(run, bench, cases, photos, args.out, followed)
        if run.seed in scored.setdefault(name, {}):
            raise UsageError(f"{run.folder}: there is another run of {name} with seed {run.seed}")
        scored[name][run.seed] = values
    base = args.base or next((name for name in ("l1", "base") if name in scored), names[0])
    if base not in scored:
        raise UsageError(f"no variant {base!r}; there are: {', '.join(scored)}")
    variants = runs.compare(scored, base)
    images = len({case.name for case in cases})
    for run in found:
        for change in run.changes:
            print(f"pellucid: {run.folder} went on {change}", file=sys.stderr)
    rows = runs.records(variants)
    if args.format == "json":
        steps = [run.step for run in found]
        about = {
            "base": base,
            "steps": steps,
            "changes": [run.changes for run in found],
            "data": str(photos),
            "columns": args.columns,
            "photographs": images,
        }
        print(json.dumps({**about, "rows": rows}, indent=1))
    elif args.format == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    else:
        about = "pellucid-bench", " ".join(args.columns), counted(images, "photograph")
        length = runs.trained(found)
        print(f"{', '.join(about)}, base {base}{length and f', trained for {length}'}\n")
        print(report.markdown(runs.cells(variants)))
    return 0


def _labels(found: Sequence) -> list[str]:
    """Names of the runs' variants, with their folder where they come from several."""
    parents = {run.folder.resolve().parent for run in found}
    if len(parents) == 1:
        return [run.variant for run in found]
    return [f"{run.folder.resolve().parent.name}/{run.variant}" for run in found]
