"""Does a map say where the damage is? AUROC against the true damage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from pellucid.data.files import pictures
from pellucid.degradations import OVERLAY, WEATHER, weather
from pellucid.evaluation.bench import SEVERITIES, window
from pellucid.evaluation.sets import set_cases
from pellucid.losses.distillation import strength

LEAST = 0.1  # share of the light that damage holds
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


class MapCase(NamedTuple):
    """A damaged picture and where it is damaged.

    Attributes:
        column: the weather, or the name of the set.
        damaged: (1, 3, H, W) in [0, 1].
        clean: the same.
        mask: bool (H, W), true where it is damaged: some of it, not all.
    """

    column: str
    damaged: Tensor
    clean: Tensor
    mask: np.ndarray


def generated(photos: Path, limit: int | None = None) -> Iterator[MapCase]:
    """Windows of pellucid-bench, each weather at three severities.

    Damaged is where the weather holds more than a tenth of the light; of haze, which lies
    everywhere, the hazier half.

    Args:
        photos: folder of clean photographs.
        limit: the first so many.
    """
    for index, path in enumerate(pictures(photos)[:limit]):
        clean = window(path)
        for word in WEATHER:
            for severity in SEVERITIES:
                rng = np.random.default_rng([index, WEATHER.index(word)])
                damaged, where = weather(clean, [(word, severity)], rng)
                mask = where > (np.median(where) if word == "hazy" else LEAST)
                if 0 < mask.mean() < 1:
                    damaged = np.round(damaged * 255) / np.float32(255)
                    yield MapCase(word, _tensor(damaged), _tensor(clean), mask)


def _tensor(image: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]


def from_sets(root: Path, limit: int | None = None) -> Iterator[MapCase]:
    """Pictures with rain, snow or drops of the sets in a folder, see `evaluation.sets` (ours).

    Damaged is where damaged and clean picture differ by more than a tenth of the light, root mean
    square over 5 x 5 px, and by twice the picture's median: files and cameras differ everywhere.

    Args:
        root: the folder.
        limit: the first so many pictures of each set.

    Raises: as `set_cases`.
    """
    yielded: Counter[str] = Counter()
    for case in set_cases(root):
        full = limit is not None and yielded[case.column] >= limit
        if case.truth is None or full or not case.words or not {*case.words} <= OVERLAY:
            continue
        pair = case.load()
        damaged, clean = (torch.from_numpy(p)[None] for p in pair if p is not None)
        difference = strength(damaged - clean).square()
        size = avg_pool2d(difference, 5, 1, 2, count_include_pad=False).sqrt()[0, 0].numpy()
        mask = size > max(LEAST, 2 * float(np.median(size)))
        if 0 < mask.mean() < 1:
            yielded[case.column] += 1
            yield MapCase(case.column, damaged, clean, mask)


def table(maps: Mapping[str, Map], cases: Iterable[MapCase]) -> dict[str, dict[str, float]]:
    """Mean AUROC of each map by column."""
    scores: dict[str, dict[str, list[float]]] = {name: {} for name in maps}
    for case in cases:
        for name, found in maps.items():
            value = auroc(found(case.damaged, case.clean), case.mask)
            scores[name].setdefault(case.column, []).append(value)
    return {
        name: {column: float(np.mean(values)) for column, values in by_column.items()}
        for name, by_column in scores.items()
    }
