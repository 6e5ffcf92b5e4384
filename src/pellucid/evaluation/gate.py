"""Acceptance test of quality prompts on triplets.

Source: Perceive-IR's official code, with its bounds. There it is run on the test sets; run it on
held-out pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.data.triplets import Triplets
from pellucid.vision_language.prompts import QualityPerceiver, triplets_told

BOUNDS = {  # of the mean over tasks, and of the worst task
    "accuracy": (0.85, 0.75),
    "strict": (0.70, 0.0),
    "monotone": (0.90, 0.80),
}


class GateResult(NamedTuple):
    """Result of the test: a share for each measure, by task and overall."""

    tasks: dict[str, dict[str, float]]
    counts: dict[str, int]
    overall: dict[str, float]

    @property
    def accepted(self) -> bool:
        """Whether no bound is missed."""
        return not self.missed()

    def missed(self) -> list[str]:
        """The bounds that are missed, in words."""
        found = []
        for name, (mean, worst) in BOUNDS.items():
            if self.overall[name] < mean:
                found.append(f"{name} {self.overall[name]:.3f} is below {mean}")
            task = min(self.tasks, key=lambda task: self.tasks[task][name])
            if self.tasks[task][name] < worst:
                found.append(f"{name} of {task}, {self.tasks[task][name]:.3f}, is below {worst}")
        return found


@torch.inference_mode()
def judge(
    perceiver: QualityPerceiver,
    folder: str | Path,
    track: Callable[[Iterable[int], str], Iterable[int]] = lambda items, title: items,
    words: Sequence[str] = (),
) -> GateResult:
    """Judge every triplet of a folder, or those of the tasks in `words`.

    A picture is seen through five squares, corners and centre, whose logits are averaged, each of
    224 px or the picture's shorter side; a smaller picture is enlarged for a tower that sees
    wholes. Accuracy and strict triplets are averaged over tasks, monotone ones over all triplets.
    """
    triplets = Triplets(folder, crop=None, draw="each", turns=False, words=words)
    device = next(perceiver.parameters()).device
    told: dict[str, list[dict[str, Tensor]]] = {}
    for index in track(range(len(triplets)), "triplets"):
        sample = triplets[index]
        three = (sample[name][None].to(device) for name in ("lq", "medium", "gt"))
        whole = perceiver.clip.config.views == "whole"
        logits = [perceiver.logits(five(p, whole)).mean(dim=0, keepdim=True) for p in three]
        told.setdefault(sample["word"], []).append(triplets_told(torch.stack(logits)))
    tasks = {
        task: {name: float(torch.cat([row[name] for row in rows]).mean()) for name in BOUNDS}
        for task, rows in told.items()
    }
    counts = {task: len(rows) for task, rows in told.items()}
    overall = {name: sum(row[name] for row in tasks.values()) / len(tasks) for name in BOUNDS}
    hits = sum(tasks[task]["monotone"] * count for task, count in counts.items())
    overall["monotone"] = hits / len(triplets)
    return GateResult(tasks, counts, overall)


def five(picture: Tensor, enlarge: bool, side: int = 224) -> Tensor:
    """Corners and centre (5, 3, s, s) of a picture (1, 3, H, W); fewer if they are all the same."""
    shorter = min(picture.shape[-2:])
    if enlarge and shorter < side:
        size = [max(side, round(n * side / shorter)) for n in picture.shape[-2:]]
        picture = F.interpolate(picture, size, mode="bicubic", align_corners=False).clamp(0, 1)
    side = min(side, *picture.shape[-2:])
    down, right = (n - side for n in picture.shape[-2:])
    places = [(0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2)]
    return torch.cat([picture[..., y : y + side, x : x + side] for y, x in dict.fromkeys(places)])
