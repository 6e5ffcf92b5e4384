"""Trained runs side by side: what each variant gains over a base, with intervals.

Runs that differ in the seed alone are one variant. Their values are averaged photograph by
photograph; the interval is the bootstrap over photographs (`statistics`), and the range is over
seeds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from pellucid.checkpoints.bundle import read_meta
from pellucid.errors import UsageError
from pellucid.evaluation.cases import Case
from pellucid.evaluation.damage_maps import generated
from pellucid.evaluation.damage_maps import table as map_table
from pellucid.evaluation.protocols import Protocol
from pellucid.evaluation.report import by_column
from pellucid.evaluation.scoring import ModelSource, Track, score
from pellucid.evaluation.statistics import Estimate, estimate, paired
from pellucid.loading import load
from pellucid.plural import counted

METRICS = ("psnr_rgb", "ssim_rgb")
CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"

Values = dict[str, dict[str, list[float]]]
"""Metric -> column -> values of the photographs, in their order."""


@dataclass(frozen=True)
class Run:
    """A folder that `pellucid train` wrote."""

    folder: Path
    variant: str
    """Its name without the seed."""
    seed: int
    photos: str
    """Folder of clean photographs that it was validated on; may be empty."""
    step: int = 0
    """Of its weights; 0 if they do not say."""
    steps: int = 0
    """That it is to have."""
    changes: tuple[str, ...] = ()
    """Where it went on with other training pictures than before."""


class Variant(NamedTuple):
    """What the runs of a variant reach: by metric, the level and the gain over the base."""

    name: str
    seeds: list[int]
    level: dict[str, Estimate]
    gain: dict[str, Estimate]
    """Empty for the base."""
    range: dict[str, tuple[float, float]]
    """Smallest and largest gain of a seed."""
    maps: dict[str, float]
    """AUROC of the map of the damage by weather, if the network makes one; the seeds' mean."""


def find(places: Sequence[Path]) -> list[Run]:
    """The finished runs in folders, each a run's own or one that holds several; sorted.

    A run called `start`, from which others went on, is left out where there are others.

    Raises:
        UsageError: no run, or one without weights.
    """
    folders: list[Path] = []
    for place in places:
        configs = sorted(place.glob(CONFIG)) or sorted(place.rglob(CONFIG))
        if not configs:
            raise UsageError(f"{place} holds no run: there is no {CONFIG} in it")
        folders += [config.parent for config in configs]
    runs = [_run(folder) for folder in dict.fromkeys(folders)]
    return [run for run in runs if run.variant != "start"] or runs


def _run(folder: Path) -> Run:
    if not (folder / WEIGHTS).is_file():
        raise UsageError(f"{folder} has no {WEIGHTS}: is its training finished?")
    try:
        values = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        seed, data, steps = int(values["seed"]), dict(values["data"]), int(values.get("steps", 0))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder / CONFIG} is not the config of a run: {error}") from error
    meta = read_meta(folder / WEIGHTS)
    try:
        step, changes = int(meta.get("step", 0)), tuple(map(str, meta.get("changes", ())))
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder / WEIGHTS}: what it says of its run is damaged") from error
    variant = re.sub(rf"-{seed}$", "", folder.resolve().name)
    photos = data.get("validation", "") if data.get("kind") == "generated" else ""
    return Run(folder, variant, seed, photos, step, steps, changes)


def trained(found: Sequence[Run]) -> str:
    """How long the runs were trained, in words; empty if none says it."""
    steps = sorted({run.step for run in found if run.step})
    unfinished = [
        f"{run.folder.name} at {run.step} of {run.steps}"
        for run in found
        if 0 < run.step < run.steps
    ]
    span = f"{steps[0]} to {counted(steps[-1], 'step')}" if len(steps) > 1 else ""
    words = span or (counted(steps[0], "step") if steps else "")
    return f"{words} (not finished: {', '.join(unfinished)})" if unfinished else words


def scores(
    run: Run,
    protocol: Protocol,
    cases: Sequence[Case],
    photos: Path,
    out: Path | None = None,
    track: Track = lambda items, what: items,
) -> tuple[Values, dict[str, float]]:
    """The values of a run, and the AUROC of its map of the damage; a stopped scoring goes on.

    Args:
        run: it is restored with in float32 on the CPU.
        protocol: of the cases.
        cases: made from the clean photographs in `photos`.
        photos: the folder.
        out: of scores and restored pictures; in the run's own folder if not given.
        track: shows progress.

    Raises:
        PellucidError: a picture could not be restored, or `out` has scores of another run.
    """
    restorer = load(run.folder / WEIGHTS, "cpu", "float32")
    restorer.name = f"{run.variant}-{run.seed}"
    folder = (out or run.folder / "evaluation") / protocol.name / restorer.name
    if run.step:  # a run that was trained on keeps its earlier scores
        folder = folder.with_name(f"{folder.name}-step-{run.step}")
    about = {"protocol": protocol.name, "data": str(photos.resolve())}
    rows, failures = score(
        cases, protocol.settings, ModelSource(restorer), folder, about, {}, track
    )
    if failures:
        raise UsageError(f"{run.folder}: {failures[0][0]} could not be scored: {failures[0][1]}")
    columns = by_column(rows).items()
    values = {m: {column: [row[m] for row in group] for column, group in columns} for m in METRICS}
    if not restorer.maps_damage:
        return values, {}
    maps = {"map": lambda damaged, _: restorer.damage(damaged)}
    limit = 1 + max(case.index for case in cases)
    return values, map_table(maps, track(list(generated(photos, limit)), "maps"))["map"]


def compare(found: dict[str, dict[int, tuple[Values, dict[str, float]]]], base: str) -> list:
    """A `Variant` for each name, the base first.

    Args:
        found: variant -> seed -> what `scores` returned.
        base: name of the variant that the others are compared with, seed by seed.

    Raises:
        UsageError: a variant has no seed in common with the base.
    """
    names = [base, *(name for name in found if name != base)]
    return [_variant(name, found[name], found[base], name == base) for name in names]


def _variant(name: str, runs: dict[int, Any], base: dict[int, Any], is_base: bool) -> Variant:
    seeds = sorted(seed for seed in runs if seed in base)
    if not seeds:
        raise UsageError(f"no run of {name} has a seed that the base has, too: {sorted(base)}")
    level, gain, spread = {}, {}, {}
    for metric in METRICS:
        ours, theirs = ([side[seed][0][metric] for seed in seeds] for side in (runs, base))
        columns = list(ours[0])
        level[metric] = estimate([_by_photograph(ours, columns)])
        if not is_base:
            pair = _by_photograph(ours, columns), _by_photograph(theirs, columns)
            gain[metric] = paired([pair[0]], [pair[1]])
            each = [
                paired([a[c] for c in columns], [b[c] for c in columns]).mean
                for a, b in zip(ours, theirs, strict=True)
            ]
            spread[metric] = (min(each), max(each))
    maps = [runs[seed][1] for seed in seeds]
    mean = {word: float(np.mean([m[word] for m in maps])) for word in maps[0]}
    return Variant(name, seeds, level, gain, spread, mean)


def _by_photograph(seeds: list[dict[str, list[float]]], columns: list[str]) -> list[float]:
    """Means over seeds and columns of each photograph: all columns have the same, in one order."""
    return list(np.mean([seed[column] for seed in seeds for column in columns], axis=0))


def cells(variants: Sequence[Variant]) -> list[list[str]]:
    """The table, heads first."""
    words = list(dict.fromkeys(word for v in variants for word in v.maps))
    heads = ["variant", "seeds"]
    for metric in METRICS:
        heads += [metric, f"gain {metric} [95 %]", "seeds from, to"]
    rows = [heads + [f"AUROC {word}" for word in words]]
    for v in variants:
        row = [v.name, " ".join(map(str, v.seeds))]
        for metric in METRICS:
            digits = 3 if metric.startswith("psnr") else 4
            row.append(f"{v.level[metric].mean:.{digits}f}")
            if metric in v.gain:
                g, (least, most) = v.gain[metric], v.range[metric]
                interval = f"[{g.low:+.{digits}f}, {g.high:+.{digits}f}]" if g.count > 1 else ""
                row.append(f"{g.mean:+.{digits}f} {interval}".strip())
                row.append(f"{least:+.{digits}f}, {most:+.{digits}f}")
            else:
                row += ["", ""]
        rows.append(row + [f"{v.maps[word]:.3f}" if word in v.maps else "" for word in words])
    return rows


def records(variants: Sequence[Variant]) -> list[dict[str, Any]]:
    """The table as flat rows, one a variant and metric, for CSV and JSON."""
    rows = []
    for v in variants:
        for metric in METRICS:
            row: dict[str, Any] = {"variant": v.name, "seeds": " ".join(map(str, v.seeds))}
            row |= {"metric": metric, **v.level[metric]._asdict()}
            gain, spread = v.gain.get(metric), v.range.get(metric, (None, None))
            row |= {"gain": gain and gain.mean, "gain_low": gain and gain.low}
            row |= {"gain_high": gain and gain.high}
            row |= {"gain_least_seed": spread[0], "gain_most_seed": spread[1]}
            rows.append(row)
        for word, value in v.maps.items():
            rows.append({"variant": v.name, "metric": f"auroc_{word}", "mean": value})
    return rows
