"""What people read of `folder_scores`: tables, Markdown, JSON, and sheets of every picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pellucid.degradations import CLASSES
from pellucid.evaluation import pictures, report
from pellucid.evaluation.cases import Case
from pellucid.evaluation.folder_scores import (
    HARM,
    INTACT,
    MAX_PSNR,
    UNCHANGED,
    WAYS,
    run,
    summarise,
)
from pellucid.evaluation.scoring import ResultSource, Track, written
from pellucid.evaluation.statistics import LEVEL

LEGEND = f"""\
dB are PSNR of 8-bit RGB, no border left out, at most {MAX_PSNR:.0f}. gain: mean over the pictures ±
half of the {LEVEL:.0%} bootstrap interval; worst: of one picture. harmed: pictures that lost more
than {HARM} dB, or, undamaged, came back below {INTACT:.0f} dB from what they were. unchanged:
damaged pictures that changed by less than {UNCHANGED} dB. named: share whose most probable word is
true; in two: that or the second one. blind: as it is; told: told the true words, where they are
known; unguided: both embeddings zero."""
RIGHT = ("right", "within_two")


def evaluate(
    name: str,
    sources: Mapping[str, ResultSource],
    cases: Sequence[Case],
    subset: Mapping[str, Any],
    data: Path,
    out: Path,
    sheets: bool,
    track: Track,
) -> dict[str, Any]:
    """Score a model's ways; write `out/summary.{json,md}` and, if asked for, `out/sheets/SET.png`.

    Returns:
        the summary of `folder_scores.summarise`, and what its numbers depend on.
    """
    outcomes = run(sources, cases, out, {"data": str(data.resolve())}, track)
    first = next(iter(sources.values()))
    way, (rows, _) = next(((way, o) for way, o in outcomes.items() if o.rows))
    drawn = {
        column: pictures.every_picture(group, cases, out / way / "restored")
        for column, group in (report.by_column(rows) if sheets else {}).items()
    }
    lost = [
        f"sheets/{column}.png: {name}: {why}"
        for column, (_, missing) in drawn.items()
        for name, why in missing
    ]
    summary = {
        "protocol": "sets",
        "model": name,
        **summarise(outcomes, cases),
        "left_out": lost,
        "subset": dict(subset),
        "identity": {key: value for key, value in first.identity.items() if key != "way"},
        "environment": report.environment(),
    }
    with written(out):
        (out / "summary.json").write_text(report.to_json(summary), encoding="utf-8")
        (out / "summary.md").write_text(document(summary), encoding="utf-8")
        for column, (sheet, _) in drawn.items():
            if sheet is not None:
                (out / "sheets").mkdir(exist_ok=True)
                sheet.save(out / "sheets" / f"{column}.png")
    return summary


def tables(summary: dict[str, Any]) -> dict[str, list[list[str]]]:
    """Cells by title, heads first: the sets, their gain by way, and how damage is named."""
    first, *others = summary["all"]
    found = {f"{first}, set by set": _sets(summary, first)}
    if others:
        found["by what the model is told, gain in dB (harmed)"] = _ways(summary)
    if summary["naming"]:
        error = summary["naming"]["calibration_error"]
        title = "named as" + ("" if error is None else f"; expected calibration error {error:.3f}")
        found[title] = _confusion(summary["naming"])
    return found


def document(summary: dict[str, Any]) -> str:
    """`summary.md`: the tables, and all that the numbers depend on."""
    lines = [f"# {summary['model']}, {report.title(summary)}", "", LEGEND, ""]
    for title, cells in tables(summary).items():
        lines += [f"## {title}", "", report.markdown(cells)]
    facts = {**summary["identity"], **summary["environment"]}
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [f"- failed, {way}: {name}: {why}" for way, name, why in summary["failures"]]
    lines += [f"- left out of {what}" for what in summary["left_out"]]
    return "\n".join(lines) + "\n"


def comparison(summaries: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Cells of several models side by side: gain of each set, of the first way they all have, or,
    without one (results of another tool), of the first of each."""
    shared = [way for way in summaries[0]["all"] if all(way in s["all"] for s in summaries)]
    chosen = [(s, shared[0] if shared else next(iter(s["all"]))) for s in summaries]
    heads = [s["model"] if shared else f"{s['model']}, {way}" for s, way in chosen]
    rows = [[f"gain, {shared[0]} (harmed)" if shared else "gain (harmed)", *heads]]
    for name in summaries[0]["sets"]:
        rows.append([name, *(_gain(s["sets"].get(name, {}).get(way)) for s, way in chosen)])
    return [*rows, ["all", *(_gain(s["all"][way]) for s, way in chosen)]]


def _sets(summary: dict[str, Any], way: str) -> list[list[str]]:
    naming = summary["naming"] or {"sets": {}, "all": None}
    heads = ["set", "n", "in dB", "out dB", "gain", "worst", "harmed", "unchanged", "named"]
    rows = [[*heads, "in two"]]
    for name, scores in summary["sets"].items():
        if way in scores:
            rows.append([name, *_cells(scores[way], naming["sets"].get(name))])
    return [*rows, ["all", *_cells(summary["all"][way], naming["all"])]]


def _cells(scores: dict[str, Any], naming: dict[str, Any] | None) -> list[str]:
    shares = [_share(naming[key]) if naming else "-" for key in RIGHT]
    pictures = str(scores["pictures"])
    if not scores["scored"]:
        return [pictures, *["-"] * 6, *shares]
    harmed = _of(scores["harmed"], scores["scored"])
    if not scores["damaged"]:  # how much is left of them
        left = [f"{scores[key]:.2f} left" for key in ("itself", "itself_worst")]
        return [pictures, "-", left[0], "-", left[1], harmed, "-", *shares]
    gain = report.number("psnr", scores["gain"], signed=True)
    unchanged = _of(scores["unchanged"], scores["damaged"])
    levels = [f"{scores[key]:.2f}" for key in ("input", "output")]
    return [pictures, *levels, gain, f"{scores['worst']:+.2f}", harmed, unchanged, *shares]


def _ways(summary: dict[str, Any]) -> list[list[str]]:
    ways = [way for way in WAYS if way in summary["all"]]
    rows = [["set", *ways]]
    for name, scores in summary["sets"].items():
        rows.append([name, *(_gain(scores.get(way)) for way in ways)])
    return [*rows, ["all", *(_gain(summary["all"][way]) for way in ways)]]


def _gain(scores: dict[str, Any] | None) -> str:
    """Gain of damaged pictures, or what is left of undamaged ones, and how many were harmed."""
    if scores is None or not scores["scored"]:
        return "-"
    gain = f"{scores['gain']['mean']:+.2f}" if scores["gain"] else f"{scores['itself']:.2f} left"
    return f"{gain} ({scores['harmed']})"


def _confusion(naming: dict[str, Any]) -> list[list[str]]:
    columns = [w for w in CLASSES if any(w in counts for counts in naming["confusion"].values())]
    rows = [["truly", "n", "right", "in two", *columns]]
    for word, counts in naming["confusion"].items():
        right = naming["words"][word]
        cells = [str(counts.get(column, "")) for column in columns]
        rows.append([word, str(right["pictures"]), *(_share(right[key]) for key in RIGHT), *cells])
    return rows


def _share(value: float) -> str:
    return f"{value:.0%}"


def _of(count: int, whole: int) -> str:
    return f"{count} ({count / whole:.0%})"
