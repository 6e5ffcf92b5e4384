"""Does the map say where the weather is? AUROC against the true damage, on held-out photographs.

    python benchmarks/sar_auroc.py runs/weather-lite/weights.safetensors ...   # maps of networks
    python benchmarks/sar_auroc.py --teachers pixels tinyvit random tower     # what they are taught

Windows of pellucid-bench, each weather at three severities. Damaged is where the weather holds
more than a tenth of the light; of haze, which lies everywhere, the hazier half. 0.5 is chance.
Beside the map of a network, what it changes is scored as if it were one. Of a teacher its finest
soft residual map is scored, which a network sees in training alone.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from scipy.stats import rankdata
from torch.nn.functional import interpolate

import pellucid
from pellucid.data.files import pictures
from pellucid.degradations import WEATHER, weather
from pellucid.evaluation import report
from pellucid.evaluation.bench import SEVERITIES, window
from pellucid.losses.distillation import strength
from pellucid.training.tasks.weather import WeatherOptions
from pellucid.vision_language.spatial import SpatialTeacher

Map = Callable[[torch.Tensor, torch.Tensor], np.ndarray]  # damaged, clean (1, 3, H, W) -> (H, W)


def auroc(score: np.ndarray, damaged: np.ndarray) -> float:
    """How often a damaged place scores higher than a sound one (equal: half)."""
    ranks, count = rankdata(score)[damaged.ravel()], int(damaged.sum())
    return (ranks.sum() - count * (count + 1) / 2) / (count * (damaged.size - count))


def cases(
    photos: Path, limit: int | None
) -> Iterator[tuple[str, torch.Tensor, torch.Tensor, np.ndarray]]:
    """Weather, damaged and clean picture, where it is damaged; cases of one kind are left out."""
    for index, path in enumerate(pictures(photos)[:limit]):
        clean = window(path)
        for word in WEATHER:
            for severity in SEVERITIES:
                rng = np.random.default_rng([index, WEATHER.index(word)])
                damaged, where = weather(clean, [(word, severity)], rng)
                mask = where > (np.median(where) if word == "hazy" else 0.1)
                if 0 < mask.mean() < 1:
                    damaged = np.round(damaged * 255) / np.float32(255)
                    yield word, _tensor(damaged), _tensor(clean), mask


def _tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


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


def table(maps: dict[str, Map], photos: Path, limit: int | None) -> dict[str, dict[str, float]]:
    """Mean AUROC of each map by weather."""
    scores: dict[str, dict[str, list[float]]] = {name: {w: [] for w in WEATHER} for name in maps}
    listed = track(list(cases(photos, limit)), transient=True, disable=not sys.stderr.isatty())
    for word, damaged, clean, mask in listed:
        for name, found in maps.items():
            scores[name][word].append(auroc(found(damaged, clean), mask))
    return {
        name: {word: float(np.mean(values)) for word, values in by_word.items()}
        for name, by_word in scores.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="*", help="names or files of networks with a SAR encoder")
    parser.add_argument("--teachers", nargs="*", default=[], help="as in WeatherOptions.teacher")
    parser.add_argument("--clip", default="", help="RN50.pt, for the teacher clip")
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--limit", type=int, help="the first N photographs")
    args = parser.parse_args()
    maps: dict[str, Map] = {}
    for model in args.models:
        restorer = pellucid.load(model, "cpu", "float32", guard=False)
        maps[model] = lambda damaged, _, restorer=restorer: restorer.damage(damaged)
        maps[f"what {model} changes"] = changed(restorer)
    for name in args.teachers:
        options = WeatherOptions(tower="lite", semantics=args.clip, teacher=name)
        maps[f"teacher {name}"] = taught(options.load_teacher())
    rows = table(maps, args.photos, args.limit)
    cells = [["map", *WEATHER]]
    cells += [[name, *(f"{row[word]:.3f}" for word in WEATHER)] for name, row in rows.items()]
    print(report.markdown(cells))


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
