"""From scores to what people read: a terminal table, Markdown, JSON."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from itertools import chain
from typing import Any, NamedTuple

import torch
from PIL import features
from rich.table import Table

from pellucid import __version__
from pellucid.degradations import CLASSES
from pellucid.evaluation.protocols import Protocol
from pellucid.evaluation.statistics import LEVEL, Estimate, estimate, paired
from pellucid.plural import counted

Rows = Sequence[dict[str, Any]]
PACKAGES = ("torch", "numpy", "pillow")


class Scored(NamedTuple):
    """A source's name, the rows of its `images.csv`, and FID by column where it was computed."""

    name: str
    rows: Rows
    fid: dict[str, float]


def by_column(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """Rows of each column, in the order in which the columns appear."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["column"], []).append(row)
    return groups


def metric_names(rows: Rows) -> list[str]:
    """Metrics with a value for the restored and for the damaged picture."""
    return [name.removesuffix("_input") for name in rows[0] if name.endswith("_input")]


def summarise(scored: Scored, protocol: Protocol) -> dict[str, Any]:
    """Means with intervals, for every column and over all: what `summary.json` holds.

    The gain is the difference to the damaged picture, image by image; there is none where the input
    is not damaged. `worse` is the share of images whose gain (of the first metric) is below zero;
    `named` the share whose damage was named right, for columns that are a word, and their mean.
    """
    groups = by_column(scored.rows)
    columns = {name: _column(name, rows) for name, rows in groups.items()}
    average: dict[str, dict[str, Any]] = {}
    for kind in protocol.averages:
        counted = averaged(groups, protocol, kind)
        if counted:
            average[kind] = {
                metric: estimate(_pooled(counted, metric, kind))._asdict()
                for metric in metric_names(scored.rows)
            }
    named = [column["named"] for column in columns.values() if "named" in column]
    for name, value in scored.fid.items():
        columns[name]["fid"] = value
    if scored.fid and "columns" in average:
        names = averaged(groups, protocol, "columns")
        if scored.fid.keys() >= names.keys():
            average["columns"]["fid"] = sum(scored.fid[name] for name in names) / len(names)
    return {
        "protocol": protocol.name,
        "model": scored.name,
        "images": len(scored.rows),
        "metrics": metric_names(scored.rows) + (["fid"] if scored.fid else []),
        "columns": columns,
        "average": average,
        "named": sum(named) / len(named) if named else None,
    }


def averaged(groups: dict[str, list], protocol: Protocol, kind: str) -> dict[str, list]:
    """The columns that an average of this kind counts."""
    left_out = protocol.not_averaged if kind == "columns" else ()
    return {name: rows for name, rows in groups.items() if name not in left_out}


def _pooled(groups: dict[str, list], metric: str, kind: str) -> list[list[float]]:
    """Values of a metric as `estimate` wants them: column by column, or all images as one group."""
    values = [[row[metric] for row in rows] for rows in groups.values()]
    return values if kind == "columns" else [list(chain.from_iterable(values))]


def _column(name: str, rows: Rows) -> dict[str, Any]:
    names = metric_names(rows)
    found: dict[str, Any] = {m: estimate([[r[m] for r in rows]])._asdict() for m in names}
    for metric in names:
        gains = [r[metric] - r[f"{metric}_input"] for r in rows]
        if all(math.isfinite(r[f"{metric}_input"]) for r in rows) and not any(
            map(math.isnan, gains)
        ):
            found[f"{metric}_gain"] = estimate([gains])._asdict()
            if metric == names[0]:
                found["worse"] = sum(gain < 0 for gain in gains) / len(gains)
    word = name.split("@")[0]
    if word in CLASSES and any(r["detected"] for r in rows):
        found["named"] = sum(r["detected"] == word for r in rows) / len(rows)
    for cost in ("seconds", "peak_mib"):
        found[cost] = sum(r[cost] for r in rows) / len(rows)
    found["images"] = len(rows)
    return found


def environment() -> dict[str, Any]:
    """What a number depends on beside the weights: versions (libjpeg's too) and the machine."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "pellucid": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
        "libjpeg-turbo": features.version("libjpeg_turbo") or "",
        "zlib": features.version("zlib") or "",
        "machine": gpu or f"{platform.machine()}, {counted(os.cpu_count() or 1, 'core')}",
        "threads": torch.get_num_threads(),
    }


def number(metric: str, value: float | Estimate | dict, signed: bool = False) -> str:
    """PSNR with two digits, the rest with four; an estimate with half its interval."""
    digits = 2 if metric.startswith(("psnr", "niqe", "fid")) else 4
    sign = "+" if signed else ""
    if isinstance(value, float | int):
        return f"{value:{sign}.{digits}f}"
    e = value if isinstance(value, Estimate) else Estimate(**value)
    if e.count == 1 or not math.isfinite(e.mean):
        return f"{e.mean:{sign}.{digits}f}"
    return f"{e.mean:{sign}.{digits}f} ± {(e.high - e.low) / 2:.{digits}f}"


def table(summary: dict[str, Any], brief: bool = False) -> list[list[str]]:
    """Cells of a model's table, the heads first; a brief one has intervals for the gain alone."""

    def cell(metric: str, value: float | dict[str, float]) -> str:
        return number(metric, value["mean"] if brief and isinstance(value, dict) else value)

    metrics, columns = summary["metrics"], summary["columns"]
    main = metrics[0]
    named = summary["named"] is not None
    heads = ["", "images", *metrics, f"gain {main}", "worse", *(["named"] if named else [])]
    heads.append("s / image")
    rows = []
    for name, column in columns.items():
        row = [
            name,
            str(column["images"]),
            *(cell(m, column[m]) if m in column else "" for m in metrics),
        ]
        gain = column.get(f"{main}_gain")
        row += [number(main, gain, signed=True) if gain else "", _share(column.get("worse"))]
        row += [_share(column.get("named"))] if named else []
        rows.append([*row, f"{column['seconds']:.2f}"])
    for kind, values in summary["average"].items():
        cells = [cell(m, values[m]) if m in values else "" for m in metrics]
        share = [_share(summary["named"] if kind == "columns" else None)] if named else []
        rows.append([f"mean of {kind}", "", *cells, "", "", *share, ""])
    return [heads, *rows]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def comparison(
    scored: Sequence[Scored], protocol: Protocol, metric: str, kind: str
) -> list[list[str]]:
    """Cells of several sources side by side, and the paired differences to the first.

    Only images that all of them have are compared; heads first. The last row is the mean of a kind
    of the protocol's averages.
    """
    known = [{(r["column"], r["name"]): r for r in s.rows} for s in scored]
    shared = [key for key in known[0] if all(key in rows for rows in known)]
    groups = [by_column([rows[key] for key in shared]) for rows in known]
    heads = ["", "images", *(s.name for s in scored)]
    heads += [f"{s.name} − {scored[0].name}" for s in scored[1:]]

    def cells(label: str, values: list[list[list[float]]]) -> list[str]:
        plain = [number(metric, estimate(v).mean) for v in values]
        differences = [number(metric, paired(v, values[0]), signed=True) for v in values[1:]]
        return [label, str(sum(map(len, values[0]))), *plain, *differences]

    rows = [
        cells(name, [[[row[metric] for row in group[name]]] for group in groups])
        for name in groups[0]
    ]
    counted = [averaged(group, protocol, kind) for group in groups]
    if counted[0]:
        rows.append(cells(f"mean of {kind}", [_pooled(c, metric, kind) for c in counted]))
    return [heads, *rows]


def document(summary: dict[str, Any]) -> str:
    """`summary.md`: the table, and all that the numbers depend on."""
    facts = {**summary["identity"], **summary["environment"]}
    lines = [f"# {summary['model']}, {title(summary)}", "", markdown(table(summary))]
    lines += [f"± is half of the {LEVEL:.0%} bootstrap interval over images.", ""]
    if summary["missing"]:
        lines += [f"Not measured, no weights here: {', '.join(summary['missing'])}.", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [f"- failed: {name}: {reason}" for name, reason in summary["failures"]]
    lines += [f"- left out of {what}" for what in summary["left_out"]]
    return "\n".join(lines) + "\n"


def title(summary: dict[str, Any]) -> str:
    """The protocol's name, which goes with every number; a subset of it is called one."""
    subset = {key: value for key, value in summary["subset"].items() if value}
    said = ", ".join(f"{key} {value}" for key, value in subset.items())
    return f"protocol {summary['protocol']}" + (f", only a subset: {said}" if said else "")


def to_json(value: Any) -> str:
    """JSON text; numbers that JSON lacks become the strings "inf", "-inf" and "nan"."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def markdown(cells: list[list[str]]) -> str:
    """A Markdown table; the first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|---" + "|---:" * (len(cells[0]) - 1) + "|")
    return "\n".join(lines) + "\n"


def terminal(cells: list[list[str]], title: str) -> Table:
    """A table for the terminal; the first row is the head."""
    heads, *rows = cells
    shown = Table(title=title, title_justify="left")
    for index, head in enumerate(heads):
        shown.add_column(head, justify="right" if index else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown
