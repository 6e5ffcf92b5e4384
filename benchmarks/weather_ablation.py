"""Which part of CLIP for adverse weather pays? Every variant at one budget, over several seeds.

    python benchmarks/weather_ablation.py --steps 2000 --seeds 0 1

Trains what is not trained yet in runs/weather-ablation/<variant>-<seed> (a run that was stopped
goes on exactly), scores it by `pellucid-bench` on the held-out photographs (weather at medium
severity, RGB and Y, native size), and prints a table: means over the seeds, the difference to the
base with its standard error over the seeds' paired differences, and AUROC of the map of the damage
(`sar_auroc.py`). All start from `lite` without its guidance, folded into the convolutions.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from sar_auroc import table as auroc_table

import pellucid
from pellucid.degradations import WEATHER
from pellucid.evaluation import report
from pellucid.evaluation.perceptual import NOTHING
from pellucid.evaluation.protocols import protocol
from pellucid.evaluation.run import Evaluation
from pellucid.evaluation.scoring import ModelSource
from pellucid.recipes import recipe
from pellucid.recipes.ablation import WEATHER_VARIANTS as VARIANTS
from pellucid.training.config import TrainConfig
from pellucid.training.start import run
from pellucid.training.tasks.weather import WeatherOptions

BENCH = protocol("pellucid-bench")
COLUMNS = (*(f"{word}@0.5" for word in WEATHER), "hazy+rainy@0.5")
METRICS = ("psnr_rgb", "psnr_y", "ssim_rgb")
BASE = "base"


def options(
    sar: bool = False, target: str = "none", prior: str = "none", teacher: str | None = None
) -> WeatherOptions:
    """The task of `weather_lite` with these parts of it."""
    task = recipe("weather_lite").task
    both = task.network.prior
    priors = {
        "none": None,
        "sample": replace(both, tokens=0),
        "learned": replace(both, sample_dim=0),
        "both": both,
    }
    sar_kind = task.network.sar if sar else "none"
    network = replace(task.network, sar=sar_kind, prior=priors[prior], words=0)
    return replace(task, network=network, target=target, teacher=teacher or task.teacher)


def config(variant: str, seed: int, args: argparse.Namespace) -> TrainConfig:
    """The whole run of a variant."""
    lite = recipe("weather_lite")
    return replace(
        lite,
        task=options(**VARIANTS[variant]),
        data=replace(lite.data, validation="", crop=args.crop),
        optimizer=replace(
            lite.optimizer, lr=args.lr, warmup=min(lite.optimizer.warmup, args.steps // 10)
        ),
        seed=seed,
        steps=args.steps,
        batch_size=args.batch,
        workers=args.workers,
        output=str(args.runs / f"{variant}-{seed}"),
    )


def scores(weights: Path, args: argparse.Namespace) -> dict[str, float]:
    """Means over the weathers' columns, and AUROC by weather where there is a map."""
    restorer = pellucid.load(weights, "cpu", "float32")
    restorer.name = weights.parent.name
    cases = BENCH.cases(args.photos, COLUMNS)
    cases = [case for case in cases if args.limit is None or case.index < args.limit]
    tracked = partial(track, transient=True, disable=not sys.stderr.isatty())
    about = {"data": str(args.photos.resolve())}
    run_of = Evaluation(BENCH, cases, about, {}, NOTHING, args.runs / "evaluations", tracked)
    columns = run_of.run(ModelSource(restorer)).summary["columns"].values()
    found = {metric: float(np.mean([c[metric]["mean"] for c in columns])) for metric in METRICS}
    if restorer.maps_damage:
        maps = {"map": lambda damaged, _: restorer.damage(damaged)}
        found |= auroc_table(maps, args.photos, args.limit)["map"]
    return found


def rows(results: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    """The table's cells: a variant a line, results of its seeds in the order of the base's."""
    base = np.array([seed["psnr_rgb"] for seed in results[BASE]])
    cells = [["variant", *METRICS, "gain over base, dB", *(f"AUROC {word}" for word in WEATHER)]]
    for variant, seeds in results.items():
        gains = np.array([seed["psnr_rgb"] for seed in seeds]) - base
        error = f" ± {gains.std(ddof=1) / len(gains) ** 0.5:.3f}" if len(gains) > 1 else ""
        means = {name: np.mean([seed[name] for seed in seeds]) for name in seeds[0]}
        cells.append(
            [
                variant,
                *(f"{means[metric]:.{4 if 'ssim' in metric else 2}f}" for metric in METRICS),
                "–" if variant == BASE else f"{gains.mean():+.3f}{error}",
                *(f"{means[word]:.3f}" if word in means else "–" for word in WEATHER),
            ]
        )
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=recipe("weather_lite").optimizer.lr)
    parser.add_argument("--crop", type=int, default=128, help="side of the training crops in px")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/weather-ablation"))
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--limit", type=int, help="the first N photographs")
    args = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {}
    for variant in dict.fromkeys([BASE, *args.variants]):
        for seed in args.seeds:
            settings = config(variant, seed, args)
            if run(settings).stopped != "finished":
                return
            weights = Path(settings.output) / "weights.safetensors"
            with torch.inference_mode():
                results.setdefault(variant, []).append(scores(weights, args))
    print(f"{args.steps} steps of {args.batch} crops of {args.crop} px, seeds {args.seeds}\n")
    print(report.markdown(rows(results)))


if __name__ == "__main__":
    main()
