"""Does a map say where the damage is? AUROC against the true damage of generated weather."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pellucid.data.files import pictures
from pellucid.degradations import WEATHER, weather
from pellucid.evaluation.bench import SEVERITIES, window
from pellucid.evaluation.scoring import Track

Map = Callable[[Tensor, Tensor], np.ndarray]
"""From the damaged and the clean picture, (1, 3, H, W) in [0, 1], to a map (H, W)."""


def auroc(score: np.ndarray, damaged: np.ndarray) -> float:
    """How often a damaged place scores higher than a sound one (equal: half); 0.5 is chance.

    Args:
        score: map (H, W), any scale.
        damaged: bool (H, W), some of it true.
    """
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place].reshape(score.shape)[damaged]
    count = int(damaged.sum())
    return float(ranks.sum() - count * (count + 1) / 2) / (count * (damaged.size - count))


def cases(photos: Path, limit: int | None) -> Iterator[tuple[str, Tensor, Tensor, np.ndarray]]:
    """Weather, damaged and clean picture, where it is damaged; cases of one kind are left out.

    Windows of pellucid-bench, each weather at three severities. Damaged is where the weather holds
    more than a tenth of the light; of haze, which lies everywhere, the hazier half.
    """
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


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def table(
    maps: Mapping[str, Map],
    photos: Path,
    limit: int | None = None,
    track: Track = lambda items, what: items,
) -> dict[str, dict[str, float]]:
    """Mean AUROC of each map by weather, on the first `limit` photographs of a folder."""
    scores: dict[str, dict[str, list[float]]] = {name: {w: [] for w in WEATHER} for name in maps}
    for word, damaged, clean, mask in track(list(cases(photos, limit)), "maps"):
        for name, found in maps.items():
            scores[name][word].append(auroc(found(damaged, clean), mask))
    return {
        name: {word: float(np.mean(values)) for word, values in by_word.items() if values}
        for name, by_word in scores.items()
    }
