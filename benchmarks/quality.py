"""The regression bench: the shipped models on pellucid-bench against the scores accepted before.

    python benchmarks/quality.py [--photos data/photos/held_out]    # exit status 1 if one is lower
    python benchmarks/quality.py --accept                           # write quality.json

Prints PSNR, gain and naming of each degradation at medium severity (`pellucid evaluate` has the
other severities), naming over all, and how often a damaged window finds its own clean one by the
content embedding. A run that was stopped continues; reports are in evaluations/.

Run `--accept` whenever weights are shipped, and commit what it writes.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import track

import pellucid
from pellucid import zoo
from pellucid.degradations import WEATHER
from pellucid.evaluation import report
from pellucid.evaluation.cases import Case
from pellucid.evaluation.perceptual import NOTHING
from pellucid.evaluation.protocols import protocol
from pellucid.evaluation.run import Evaluation
from pellucid.evaluation.scoring import ModelSource
from pellucid.vision_language.preprocess import preprocess

ACCEPTED = Path(__file__).with_name("quality.json")
BENCH = protocol("pellucid-bench")
COLUMNS = ("*@0.5", "clean")
MODELS = {  # preset, photographs (None: all)
    "lite": (None, None),
    "lite-sde": ("fast", 10),
    "lite-perceive": (None, 20),
    "lite-weather": (None, None),
    "lite-detail": (None, None),
    "lite-blur": (None, None),
    "lite-light": (None, None),
    "lite-overlay": (None, None),
    "lite-noise": (None, None),
    "lite-jpeg": (None, None),
}
OWN_COLUMNS = {  # of the specialists
    "lite-jpeg": ("jpeg-compressed@0.5", "clean"),
    "lite-noise": ("noisy@0.5", "clean"),
    "lite-weather": (*(f"{word}@0.5" for word in WEATHER), "hazy+rainy@0.5", "clean"),
    "lite-overlay": ("rainy@0.5", "snowy@0.5", "raindrop@0.5", "clean"),
    "lite-light": ("hazy@0.5", "low-light@0.5", "shadowed@0.5", "clean"),
    "lite-blur": ("motion-blurry@0.5", "clean"),
    "lite-detail": ("noisy@0.5", "jpeg-compressed@0.5", "motion-blurry@0.5", "clean"),
}
TOLERANCE = {"psnr_rgb": 0.1, "ssim_rgb": 0.003}  # other machines, other versions of libjpeg


def medium(photos: Path, limit: int | None = None, name: str = "lite") -> list[Case]:
    """Cases for a model, at severity 0.5 and undamaged ones, of the first photographs."""
    cases = BENCH.cases(photos, OWN_COLUMNS.get(name, COLUMNS))
    return [case for case in cases if limit is None or case.index < limit]


def measure(name: str, cases: Sequence[Case], out: Path, about: str) -> dict[str, Any]:
    """`summary.json` of a shipped model."""
    preset = MODELS[name][0]
    source = ModelSource(pellucid.load(name, "cpu", "float32", guard=False), preset=preset)
    tracked = partial(track, transient=True, disable=not sys.stderr.isatty())
    return Evaluation(BENCH, cases, {"data": about}, {}, NOTHING, out, tracked).run(source).summary


def accepted(summary: dict[str, Any]) -> dict[str, Any]:
    """What quality.json keeps of a summary."""
    columns = summary["columns"].items()
    return {
        "weights": summary["identity"]["weights"],
        "columns": {name: {m: round(c[m]["mean"], 4) for m in TOLERANCE} for name, c in columns},
    }


def lower(found: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Scores that are lower than the accepted ones by more than the tolerance."""
    return [
        f"{column}: {metric} {found['columns'][column][metric]:.4f}, accepted {score:.4f}"
        for column, scores in before["columns"].items()
        for metric, score in scores.items()
        if not found["columns"][column][metric] >= score - TOLERANCE[metric]
    ]


@torch.inference_mode()
def retrieval(restorer: pellucid.Restorer, cases: Sequence[Case]) -> tuple[float, float]:
    """Top-1 of single damages among the clean windows: with and without the controller.

    The gallery holds the frozen tower's embeddings of the clean windows, as do the queries without
    the controller.
    """

    def plain(picture: torch.Tensor) -> torch.Tensor:
        tower = restorer.controller
        return tower.encode_image(preprocess(picture, tower.config)[0]).mean(0, keepdim=True)

    def tensor(case: Case, which: int) -> torch.Tensor:
        return torch.as_tensor(case.load()[which])[None]

    clean = [case for case in cases if case.column == "clean"]
    gallery = torch.nn.functional.normalize(torch.cat([plain(tensor(c, 1)) for c in clean]), dim=-1)
    right, count = [0, 0], 0
    for case in track(cases, "retrieval", transient=True, disable=not sys.stderr.isatty()):
        if case.column == "clean" or "+" in case.column:
            continue
        damaged = tensor(case, 0)
        queries = restorer.diagnose(damaged)[0].content, plain(damaged)
        for which, query in enumerate(queries):
            right[which] += int((query @ gallery.T).argmax()) == case.index
        count += 1
    return right[0] / count, right[1] / count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shipped = [name for name in MODELS if name in zoo.MODELS]
    parser.add_argument("--models", nargs="+", choices=MODELS, default=shipped)
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--limit", type=int, help="the first N photographs; not for --accept")
    parser.add_argument("--out", type=Path, default=Path("evaluations/quality"))
    parser.add_argument("--accept", action="store_true", help="write quality.json")
    args = parser.parse_args()
    if args.accept and args.limit:
        parser.error("--accept takes all photographs that quality.json is made from")
    book = json.loads(ACCEPTED.read_text(encoding="utf-8")) if ACCEPTED.exists() else {}
    problems = []
    for name in args.models:
        cases = medium(args.photos, args.limit or MODELS[name][1], name)
        summary = measure(name, cases, args.out, str(args.photos.resolve()))
        print(f"\n{summary['model']}\n\n{report.markdown(report.table(summary))}")
        print(f"Damage named right, mean of the classes: {summary['named']:.1%}.")
        if args.accept:
            book[name] = accepted(summary)
        elif name in book and not args.limit:
            problems += [f"{name}: {x}" for x in lower(accepted(summary), book[name])]
    restorer = pellucid.load(args.models[0], "cpu", "float32", guard=False)
    controlled, plain = retrieval(restorer, medium(args.photos, args.limit))
    print(f"Finds its clean window: {controlled:.1%} with the controller, {plain:.1%} without.")
    if args.accept:
        ACCEPTED.write_text(json.dumps(book, indent=1) + "\n", encoding="utf-8")
    for problem in problems:
        print(f"lower than accepted: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
