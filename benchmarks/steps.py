"""Quality against cost: PSNR and LPIPS of every sampler over network calls, on lite-sde.

    python benchmarks/steps.py [--photos data/photos/held_out] [--limit 3] [--columns PATTERN ...]

Samplers with "sample_T" in their name take the official code's way to fewer steps: another schedule
of that length, the time told to the network rescaled (see `pellucid.diffusion.sde`). The others
visit a subset of the training times. Cases are those of pellucid-bench; LPIPS needs its weights
(pellucid fetch-metrics). Writes table.md and steps.png into --out; a run that was stopped
continues.

    python benchmarks/steps.py --estimates

Instead, prints how good the network's estimates of the clean picture are on the way, in 20 calls,
beside its estimates from true states of the same times (the clean picture taken there).
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from rich.progress import track
from torch import Tensor

import pellucid
from pellucid.diffusion import SAMPLERS, Denoiser, MeanRevertingSDE, gaussian
from pellucid.evaluation import perceptual
from pellucid.evaluation.protocols import protocol
from pellucid.evaluation.report import averaged, by_column, markdown, number
from pellucid.evaluation.scoring import Answer, score
from pellucid.evaluation.statistics import estimate
from pellucid.losses.pixel import psnr

BENCH = protocol("pellucid-bench")
STRIDED = ("posterior", "dpmpp_1", "dpmpp_2m", "sde_dpmpp_2m")
SHORTCUTS = ("sde", "ode", "posterior")  # the samplers of the official code
METRICS = ("psnr_rgb", "lpips_alex")


class Sampled:
    """A source: a sampler with a number of network calls."""

    def __init__(
        self,
        restorer: pellucid.Restorer,
        sampler: str,
        calls: int,
        shortcut: bool,
        power: float = 1.0,
    ):
        self.restorer, self.sampler, self.calls = restorer, SAMPLERS[sampler], calls
        self.power = 1.0 if shortcut else power
        self.method = f"{sampler}, sample_T" if shortcut else sampler
        self.name = f"{sampler}{'-sample_T' * shortcut}-{calls}"
        self.identity = {"weights": restorer.fingerprint(), "method": self.method, "calls": calls}
        if self.power != 1:
            self.identity["power"] = power
            self.name += f"-power-{power:g}"
        sde = restorer.sde
        self.scale, self.sde = 1.0, sde
        if shortcut:
            self.scale = sde.steps / calls
            self.sde = MeanRevertingSDE(sde.schedule, calls, sde.eps, sde.max_sigma)

    @torch.inference_mode()
    def restore(self, case: Any, damaged: Tensor, seed: int) -> Answer:
        network = self.restorer.network
        (found,) = self.restorer.diagnose(damaged)
        condition = network.condition(damaged, found)

        def rescaled(x: Tensor, mu: Tensor, t: Tensor, condition: Any) -> Tensor:
            return network(x, mu, t * self.scale, condition)

        denoise = Denoiser(self.sde, rescaled, damaged, condition, self.restorer.predicts)
        draw = gaussian(damaged, torch.Generator().manual_seed(seed))
        x = self.sde.initial(damaged, draw())
        return Answer(
            self.sampler(self.sde, denoise, x, self.sde.times(self.calls, self.power), draw).clamp(
                0, 1
            )
        )


def sources(restorer: pellucid.Restorer, calls: list[int], power: float = 1.0) -> list[Sampled]:
    """Every sampler at every number of calls; with all T calls, shortcut and schedule are one."""
    steps = restorer.sde.steps
    few = [n for n in calls if n < steps]
    chosen = [(name, n, False) for name in STRIDED for n in calls]
    chosen += [(name, n, True) for name in SHORTCUTS for n in few]
    chosen += [(name, steps, False) for name in ("sde", "ode") if steps in calls]
    return [Sampled(restorer, *choice, power) for choice in chosen]


def estimates(restorer: pellucid.Restorer, cases: list, calls: int = 20) -> str:
    """Table of the mean PSNR of the estimates: true states, and samplers by their own."""
    sde, network, rows = restorer.sde, restorer.network, {}
    times = sde.times(calls)
    for case in track(cases, "estimates", transient=True):
        damaged, clean = (torch.from_numpy(picture)[None] for picture in case.load())
        (found,) = restorer.diagnose(damaged)
        condition = network.condition(damaged, found)
        denoise = Denoiser(sde, network, damaged, condition, restorer.predicts)
        draw = gaussian(damaged, torch.Generator().manual_seed(case.index))
        at = [denoise(sde.perturb(clean, damaged, t, draw()), t) for t in times[:-1]]
        rows.setdefault("true states", []).append([float(psnr(x, clean)) for x in at])
        for name in STRIDED:
            told = Listening(denoise, clean)
            SAMPLERS[name](sde, told, sde.initial(damaged, draw()), times, draw)
            rows.setdefault(name, []).append(told.heard)
    means = {name: torch.tensor(values).mean(0).tolist() for name, values in rows.items()}
    cells = [["PSNR of the estimate at time", *map(str, times[:-1])]]
    return markdown([*cells, *([name, *(f"{v:.1f}" for v in m)] for name, m in means.items())])


class Listening:
    """A denoiser that notes how good its estimates are."""

    def __init__(self, denoise: Denoiser, clean: Tensor):
        self.denoise, self.mu, self.clean, self.heard = denoise, denoise.mu, clean, []

    def __call__(self, x: Tensor, t: int) -> Tensor:
        estimate = self.denoise(x, t)
        self.heard.append(float(psnr(estimate, self.clean)))
        return estimate


def draw(found: dict[str, dict[int, dict[str, float]]], metrics: list[str], path: Path) -> None:
    figure = Figure(figsize=(6 * len(metrics), 4.5), layout="tight")
    axes = figure.subplots(1, len(metrics), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        for method, points in found.items():
            calls = sorted(points)
            style = "--" if "sample_T" in method else "-"
            axis.plot(calls, [points[n][metric] for n in calls], style, marker=".", label=method)
        axis.set(xscale="log", xlabel="network calls an image", ylabel=metric)
        ticks = sorted({n for points in found.values() for n in points})
        axis.set_xticks(ticks, list(map(str, ticks)))
        axis.minorticks_off()
        axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="lite-sde")
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--limit", type=int, default=3, help="the first N photographs")
    parser.add_argument("--columns", nargs="+", default=["*@0.5"], help="of pellucid-bench")
    parser.add_argument("--calls", nargs="+", type=int, default=[2, 5, 10, 20, 50, 100])
    parser.add_argument("--out", type=Path, default=Path("evaluations/steps"))
    parser.add_argument(
        "--power", type=float, default=1.0, help="of the strided times; below 1: they end early"
    )
    parser.add_argument("--estimates", action="store_true", help="of the clean picture, on the way")
    args = parser.parse_args()
    restorer = pellucid.load(args.model, "cpu", "float32", guard=False)
    cases = [case for case in BENCH.cases(args.photos, args.columns) if case.index < args.limit]
    if args.estimates:
        with torch.inference_mode():
            print(estimates(restorer, cases))
        return
    measured = perceptual.available(torch.device("cpu")).metrics
    extra = {name: measured[name] for name in METRICS if name in measured}
    metrics = [name for name in METRICS if name == "psnr_rgb" or name in extra]
    found: dict[str, dict[int, dict[str, float]]] = {}
    for source in sources(restorer, args.calls, args.power):
        about = {"protocol": BENCH.name, "data": str(args.photos.resolve())}
        tracked = partial(track, transient=True)
        outcome = score(
            *(cases, BENCH.settings, source, args.out / source.name, about, extra, tracked)
        )
        for name, reason in outcome.failures:
            print(f"{source.name}: {name}: {reason}")
        groups = averaged(by_column(outcome.rows), BENCH, "columns").values()
        found.setdefault(source.method, {})[source.calls] = {
            m: estimate([[row[m] for row in rows] for rows in groups]).mean for m in metrics
        }
    calls = sorted({n for points in found.values() for n in points})
    text = f"{args.model}, {BENCH.name}, {len(cases)} cases, mean of columns\n"
    for metric in metrics:
        rows = [
            [method, *(number(metric, points[n][metric]) if n in points else "" for n in calls)]
            for method, points in found.items()
        ]
        text += "\n" + markdown([[f"{metric} with calls", *map(str, calls)], *rows])
    (args.out / "table.md").write_text(text, encoding="utf-8")
    draw(found, metrics, args.out / "steps.png")
    print(text)


if __name__ == "__main__":
    main()
