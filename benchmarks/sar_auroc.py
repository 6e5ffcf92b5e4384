"""Does the map say where the weather is? AUROC against the true damage.

    python benchmarks/sar_auroc.py runs/weather-lite/weights.safetensors ...   # maps of networks
    python benchmarks/sar_auroc.py lite-weather --sets SETS  # on folders SETS/SET/lq and SET/gt
    python benchmarks/sar_auroc.py --teachers pixels tinyvit random tower     # what they are taught

What counts as damaged is told in `pellucid.evaluation.damage_maps`; 0.5 is chance. Beside the map
of a network, what it changes is scored as if it were one. Of a teacher its finest soft residual map
is scored, which a network sees in training alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch.nn.functional import interpolate

import pellucid
from pellucid.evaluation import report
from pellucid.evaluation.damage_maps import Map, from_sets, generated, table
from pellucid.losses.distillation import strength
from pellucid.training.tasks.weather import WeatherOptions
from pellucid.vision_language.spatial import SpatialTeacher


def changed(restorer: pellucid.Restorer) -> Map:
    """How much the restored picture differs from the damaged one."""

    def found(damaged: torch.Tensor, _: torch.Tensor) -> np.ndarray:
        return strength(restorer.restore(damaged) - damaged)[0, 0].numpy()

    return found


def taught(teacher: SpatialTeacher) -> Map:
    """The finest residual of a teacher, as large as the picture."""

    def found(damaged: torch.Tensor, clean: torch.Tensor) -> np.ndarray:
        residual = teacher(damaged)[0] - teacher(clean)[0]
        return interpolate(strength(residual), damaged.shape[-2:], mode="bilinear")[0, 0].numpy()

    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names or files of networks with a SAR encoder")
    parser.add_argument("--teachers", nargs="*", default=[], help="as in WeatherOptions.teacher")
    parser.add_argument("--clip", default="", help="RN50.pt, for the teacher clip")
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--sets", type=Path, help="a folder of sets by others, in their place")
    parser.add_argument("--limit", type=int, help="the first N photographs, or pictures of a set")
    args = parser.parse_args()
    maps: dict[str, Map] = {}
    for model in args.models:
        restorer = pellucid.load(model, "cpu", "float32", guard=False)
        maps[model] = lambda damaged, _, restorer=restorer: restorer.damage(damaged)
        maps[f"what {model} changes"] = changed(restorer)
    for name in args.teachers:
        options = WeatherOptions(tower="lite", semantics=args.clip, teacher=name)
        maps[f"teacher {name}"] = taught(options.load_teacher())
    cases = from_sets(args.sets, args.limit) if args.sets else generated(args.photos, args.limit)
    if not maps:
        parser.error("name a network, or --teachers")
    rows = table(maps, track(cases, "maps", transient=True, disable=not sys.stderr.isatty()))
    columns = list(next(iter(rows.values())))
    if not columns:
        parser.error(f"{args.sets or args.photos} holds no pictures with damage in places")
    cells = [["map", *columns]]
    cells += [[name, *(f"{row[c]:.3f}" for c in columns)] for name, row in rows.items()]
    print(report.markdown(cells))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
