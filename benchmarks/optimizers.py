"""Which optimiser trains `lite` in the fewest seconds, and at which rate?

    python benchmarks/optimizers.py noise
    python benchmarks/optimizers.py all --runs adamw-1.5e-3 muon-1.2e-3 soap-1e-3

The network of `lite` starts from random weights and sees the same samples in every run: white noise
alone (as `lite_noise`), or all damages (as `lite_stage3`). Printed is what it gains on held-out
windows, and in the mean of the words. Time is that of one core, reading and validation included.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import torch

from pellucid.degradations import WORDS
from pellucid.errors import PellucidError, UsageError
from pellucid.evaluation.report import markdown
from pellucid.recipes import lite
from pellucid.training.config import OptimizerConfig, TrainConfig
from pellucid.training.start import run

RUNS = {
    "noise": (
        *("adamw-5e-4", "adamw-1.5e-3", "adamw-4e-3"),
        *("muon-1.2e-3", "muon-3e-3", "muon-8e-3"),
        *("soap-1e-3", "soap-3e-3"),
    ),
    "all": ("adamw-1.5e-3", "muon-1.2e-3", "muon-3e-3", "soap-1e-3", "soap-3e-3"),
}


def config(task: str, name: str, args: argparse.Namespace) -> TrainConfig:
    """A run: `name` is OPTIMISER-RATE."""
    plain = lite.lite_noise() if task == "noise" else lite.lite_stage3()
    kind, _, rate = name.partition("-")
    if kind not in ("adamw", "muon", "soap"):
        raise UsageError(f"{name} is none of adamw, muon and soap with a rate")
    return replace(
        plain,
        data=replace(plain.data, root=str(args.root or plain.data.root), crop=64),
        optimizer=OptimizerConfig(
            name=kind,
            betas=(0.95, 0.95) if kind == "soap" else OptimizerConfig.betas,
            lr=float(rate),
            adamw_lr=min(float(rate), 1.5e-3),
            lr_min=0.0,
            schedule="linear",
            warmup=args.steps // 20,
            clip_norm=1.0,
        ),
        ema=replace(plain.ema, decay=0.995),
        steps=args.steps,
        batch_size=args.batch,
        precision="no",
        workers=0,
        init_from="",
        output=str(args.out / f"{task}-{name}"),
        save_every=args.steps,
        validate_every=args.steps,
    )


def gains(found: dict[str, float]) -> Iterable[tuple[str, float]]:
    """What each single word gains in dB; nothing is told of clean windows."""
    for key, value in found.items():
        word = key.rpartition("/")[2]
        given = key.replace("psnr/", "psnr_input/")
        if "psnr/" in key and given in found and word in WORDS:
            yield word, value - found[given]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=list(RUNS))
    parser.add_argument("--runs", nargs="+", help="OPTIMISER-RATE; all of the task if not given")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=16, help="crops of 64 px in a step")
    parser.add_argument("--root", type=Path, help="photographs, or windows; the recipe's if not")
    parser.add_argument("--out", type=Path, default=Path("runs/optimizers"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [["optimiser, rate", "seconds", "gain, dB", "of each"]]
    for name in args.runs or RUNS[args.task]:
        began = time.process_time()
        try:
            found = dict(gains(run(config(args.task, name, args), resume=False).validation))
            mean = f"{sum(found.values()) / len(found):.2f}"
            each = ", ".join(f"{word} {gain:.1f}" for word, gain in found.items())
        except UsageError:
            raise
        except PellucidError as error:  # it diverged
            mean, each = "-", str(error).split(":")[0]
        seconds = time.process_time() - began
        rows.append([name.replace("-", ", ", 1), f"{seconds:.0f}", mean, each])
        print(markdown(rows), flush=True)


if __name__ == "__main__":
    main()
