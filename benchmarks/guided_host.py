"""Which small network should carry Perceive-IR's guidance on a CPU?

    python benchmarks/guided_host.py --minutes 6

Its own transformer blocks (ETB) at small width, or adapters on the residual-convolution U-Net. Both
start from random weights without a controller and are trained by L1 alone on the same samples, for
the same time of one core; then they restore held-out photographs (pellucid-bench, medium severity).
Time is the core's own, so other processes do not count.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from rich.progress import track

from pellucid.evaluation import runs
from pellucid.evaluation.protocols import protocol
from pellucid.evaluation.report import markdown
from pellucid.networks.guided import GuidedResUNetConfig
from pellucid.networks.perceive_ir import PerceiveIRConfig
from pellucid.recipes.ablation import single
from pellucid.training.config import TrainConfig
from pellucid.training.start import datasets, run

ETB = PerceiveIRConfig(
    blocks=(1, 1, 1, 2), heads=(1, 1, 2, 4), refinement=1, semantic_dim=192, degradation_dim=64
)
HOSTS = {
    "adapters on ResUNet": GuidedResUNetConfig(context_dim=256),
    "ETB, width 16": replace(ETB, dim=16),
    "ETB, width 24": replace(ETB, dim=24),
}
SIDE = 512  # px of the picture that is timed


def config(name: str, steps: int, args: argparse.Namespace) -> TrainConfig:
    """The run of a host."""
    plain = single("ablation/perceive/resunet/sgm")
    out = args.out / f"{name.replace(' ', '-').replace(',', '')}-{args.seed}"
    return replace(
        plain,
        task=replace(plain.task, network=HOSTS[name], tower=""),
        data=replace(plain.data, root=str(args.photos / "train")),
        seed=args.seed,
        init_from="",
        steps=steps,
        workers=0,
        batch_size=8,
        output=str(out),
    )


def seconds(times: int, function) -> float:
    """Time of a call on this core, the mean after a first one."""
    function()
    began = time.process_time()
    for _ in range(times):
        function()
    return (time.process_time() - began) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=6, help="of training for each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=8, help="the first N photographs")
    parser.add_argument("--photos", type=Path, default=Path("data/photos"))
    parser.add_argument("--out", type=Path, default=Path("runs/guided-host"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    image = torch.rand(1, 3, SIDE, SIDE).contiguous(memory_format=torch.channels_last)
    bench, held_out = protocol("pellucid-bench"), args.photos / "held_out"
    cases = [c for c in bench.cases(held_out, ("*@0.5", "clean")) if c.index < args.limit]
    rows = [["host", "parameters", "s/MP", "s/step", "steps", "PSNR, dB", "SSIM"]]
    for name in HOSTS:
        settings = config(name, 1, args)
        task, data = settings.task.build(), datasets(settings)[0]
        samples = [data[i] for i in range(settings.batch_size)]
        batch = {k: torch.stack([s[k] for s in samples]) for k in ("lq", "gt")}
        network = task.network.to(memory_format=torch.channels_last)
        with torch.inference_mode():
            condition = task.condition({"lq": image})
            forward = seconds(2, lambda net=network, c=condition: net(image, c))
        step = seconds(3, lambda t=task, b=batch: t(b, torch.Generator())[0].backward())
        steps = round(60 * args.minutes / step)
        settings = config(name, steps, args)
        run(settings)
        (trained,) = runs.find([Path(settings.output)])
        found, _ = runs.scores(
            trained, bench, cases, held_out, track=partial(track, transient=True)
        )
        means = [sum(sum(v) / len(v) for v in m.values()) / len(m) for m in found.values()]
        size = sum(p.numel() for p in network.parameters()) / 1e6
        shown = (f"{size:.2f} M", f"{forward * 1e6 / SIDE**2:.2f}", f"{step:.2f}", str(steps))
        rows.append([name, *shown, f"{means[0]:.2f}", f"{means[1]:.4f}"])
        print(markdown(rows), flush=True)


if __name__ == "__main__":
    main()
