"""What each part of Perceive-IR adds to the small restorer, at equal steps and seeds.

    python benchmarks/perceive_ablation.py --steps 2000 --seeds 0 1
    python benchmarks/perceive_ablation.py --leave-out snowy                 # unseen degradation

Trains the variants below from the same weights, on the same samples, by the recipe `perceive_lite`,
and scores them on held-out photographs (pellucid-bench, medium severity). Prints the mean gain over
`L1` of the same seed, with the 95 % interval of a bootstrap over photographs and the range over
seeds. L_cl teaches the encoder that SGM listens to, so it is measured on top of SGM. A run that was
stopped continues, training and scoring both.

With --leave-out, training never meets the word, and is scored on it alone. The released weights
and the controller know all words, so nothing starts from them: for each seed random weights are
trained by L1 for --warm-up steps, and every variant goes on from there. Give quality prompts
(--prompts) that were learned without the word, too.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

import pellucid
from pellucid.degradations import WORDS
from pellucid.evaluation.perceptual import NOTHING
from pellucid.evaluation.protocols import protocol
from pellucid.evaluation.report import by_column, markdown
from pellucid.evaluation.run import Evaluation
from pellucid.evaluation.scoring import ModelSource
from pellucid.evaluation.statistics import paired
from pellucid.networks.resunet import ResUNetConfig
from pellucid.recipes.perceive import perceive_lite
from pellucid.training.config import TrainConfig
from pellucid.training.start import run

BENCH = protocol("pellucid-bench")
METRICS = ("psnr_rgb", "ssim_rgb")
BASE = "L1"
VARIANTS = {  # adapters, and the losses beside L1
    BASE: (False, ()),
    "+ L_clip": (False, ("quality",)),
    "+ L_dpl": (False, ("perceptual",)),
    "+ SGM": (True, ()),
    "+ SGM + L_cl": (True, ("contrastive",)),
    "all": (True, ("contrastive", "quality", "perceptual")),
}


def configured(variant: str, seed: int, args: argparse.Namespace) -> TrainConfig:
    """The run of a variant."""
    config = perceive_lite()
    adapters, losses = VARIANTS[variant]
    off = {name: 0.0 for name in ("contrastive", "quality", "perceptual") if name not in losses}
    task = replace(config.task, prompts=str(args.prompts), **off)
    if not adapters:
        network = task.network
        plain = ResUNetConfig(context_dim=network.context_dim, words=network.words)
        task = replace(task, network=plain, semantics="")
    words, start = (), config.init_from
    if args.leave_out:
        words, start = tuple(word for word in WORDS if word != args.leave_out), ""
        task = replace(task, tower="", network=replace(task.network, words=0))
    data = replace(
        config.data,
        root=str(args.photos / "train"),
        crop=args.crop,
        validation="",
        positives="contrastive" in losses,
        words=words,
    )
    name = "".join(c if c.isalnum() else "-" for c in variant)
    out = args.out / f"{args.leave_out or 'seen'}-{args.crop}-{args.steps}" / f"{name}-{seed}"
    return replace(
        config, task=task, data=data, seed=seed, steps=args.steps, init_from=start, output=str(out)
    )


def warmed_up(seed: int, args: argparse.Namespace) -> TrainConfig:
    """The run that the variants of a seed start from where a degradation is left out."""
    config = configured(BASE, seed, args)
    out = Path(config.output).parent / f"start-{args.warm_up}-{seed}"
    faster = replace(config.optimizer, lr=8e-4)
    return replace(config, steps=args.warm_up, batch_size=8, optimizer=faster, output=str(out))


def scores(config: TrainConfig, columns: Sequence[str], args: argparse.Namespace) -> dict:
    """Of a trained run: metric -> column -> values of the photographs, in their order."""
    source = ModelSource(pellucid.load(f"{config.output}/weights.safetensors", "cpu", "float32"))
    source.name = Path(config.output).name
    held_out = args.photos / "held_out"
    cases = [c for c in BENCH.cases(held_out, columns) if c.index < args.limit]
    about, folder = {"data": str(held_out.resolve())}, Path(config.output).parent / "scores"
    tracked = partial(track, transient=True)
    rows = Evaluation(BENCH, cases, about, {}, NOTHING, folder, tracked).run(source).scored.rows
    columns = by_column(rows).items()
    return {m: {column: [row[m] for row in group] for column, group in columns} for m in METRICS}


def row(variant: str, found: list[dict], base: list[dict]) -> list[str]:
    """A variant's gains over the base: mean, interval over photographs, range over seeds."""
    cells = [variant]
    for metric in METRICS:
        ours, theirs = ([seed[metric] for seed in runs] for runs in (found, base))
        columns = list(ours[0])
        means = [
            [np.mean([seed[column] for seed in runs], axis=0) for column in columns]
            for runs in (ours, theirs)
        ]
        gain = paired(*means)
        seeds = [
            paired([a[c] for c in columns], [b[c] for c in columns]).mean
            for a, b in zip(ours, theirs, strict=True)
        ]
        digits = 2 if metric.startswith("psnr") else 4
        cells.append(
            f"{gain.mean:+.{digits}f} [{gain.low:+.{digits}f}, {gain.high:+.{digits}f}], "
            f"seeds {min(seeds):+.{digits}f} to {max(seeds):+.{digits}f}"
        )
    return cells


def parsed(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, default=Path("data/photos"))
    parser.add_argument("--prompts", type=Path, default=Path(perceive_lite().task.prompts))
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--crop", type=int, default=64, help="side of the training crops in px")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--leave-out", choices=WORDS, help="a degradation never trained on")
    parser.add_argument("--warm-up", type=int, default=2000, help="steps before, with --leave-out")
    parser.add_argument("--limit", type=int, default=1000, help="the first N photographs")
    parser.add_argument("--out", type=Path, default=Path("runs/perceive-ablation"))
    return parser.parse_args(argv)


def main() -> None:
    args = parsed()
    columns = (f"{args.leave_out}@0.5",) if args.leave_out else ("*@0.5", "clean")
    results: dict[str, list[dict]] = {}
    for seed in args.seeds:
        for variant in dict.fromkeys((BASE, *args.variants)):
            config = configured(variant, seed, args)
            if args.leave_out:
                start = warmed_up(seed, args)
                run(start)
                config = replace(config, init_from=f"{start.output}/weights.safetensors")
            run(config)
            results.setdefault(variant, []).append(scores(config, columns, args))
    base = results[BASE]
    level = {m: np.mean([np.mean(v) for seed in base for v in seed[m].values()]) for m in METRICS}
    print(f"\n{BASE}, {args.steps} steps, seeds {args.seeds}, columns {' '.join(columns)}:")
    print(", ".join(f"{metric} {value:.4f}" for metric, value in level.items()) + "\n")
    rows = [row(name, found, base) for name, found in results.items() if name != BASE]
    print(markdown([["variant", *METRICS], *rows]))


if __name__ == "__main__":
    main()
