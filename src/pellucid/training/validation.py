"""Validation during a run: mean metrics, also per degradation, and a grid of pictures."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from PIL import Image
from torch import Tensor
from torch.utils.data import default_collate

from pellucid.data.crops import Samples
from pellucid.training.batches import to_device
from pellucid.training.config import TrainConfig
from pellucid.training.tasks import Task

ROWS, SIDE, GAP = 6, 256, 4


@torch.no_grad()
def validate(
    config: TrainConfig, task: Task, dataset: Samples, accelerator: Accelerator, step: int
) -> dict[str, float]:
    """Return each metric's mean over the first `validation_samples`, and per word as name/word.

    Samples go one by one (their sizes may differ), shared out over the processes. The first
    pictures, damaged | restored | clean, go to output/validation/step-XXXXXXXX.png.
    """
    task.eval()
    count = min(config.validation_samples, len(dataset))
    records: list[tuple[str, dict[str, float]]] = []
    rows: list[Tensor] = []
    for first in range(0, count, accelerator.num_processes):
        index = first + accelerator.process_index
        # Shards are gathered by all processes together: one without a sample takes the last again.
        sample = dataset[min(index, count - 1)]
        batch = to_device(default_collate([sample]), accelerator.device)
        with accelerator.autocast():
            metrics, picture = task.validate(batch)
        if index >= count:
            break
        records.append((batch["word"][0], {name: float(v[0]) for name, v in metrics.items()}))
        if picture is not None and accelerator.is_main_process and len(rows) < ROWS:
            rows.append(_row(batch["lq"][0], picture[0], batch["gt"][0]))
    task.train()
    if accelerator.num_processes > 1:
        records = gather_object(records)
    if rows:
        _save_grid(rows, Path(config.output) / "validation" / f"step-{step:08d}.png")
    sums: dict[str, list[float]] = defaultdict(list)
    for word, metrics in records:
        for name, value in metrics.items():
            sums[name].append(value)
            sums[f"{name}/{word}"].append(value)
    return {name: float(np.mean(values)) for name, values in sorted(sums.items())}


def _row(*pictures: Tensor) -> Tensor:
    """Put pictures side by side, their centres cut to one square, on black if smaller."""
    row = torch.zeros(3, SIDE, len(pictures) * (SIDE + GAP) - GAP)
    for i, picture in enumerate(pictures):
        height, width = (min(SIDE, n) for n in picture.shape[-2:])
        top, left = (picture.shape[-2] - height) // 2, (picture.shape[-1] - width) // 2
        cut = picture[:, top : top + height, left : left + width]
        row[:, :height, i * (SIDE + GAP) : i * (SIDE + GAP) + width] = cut.float().cpu().clamp(0, 1)
    return row


def _save_grid(rows: list[Tensor], path: Path) -> None:
    grid = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, GAP)) for row in rows], 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (grid[:, :-GAP].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(pixels).save(path)
