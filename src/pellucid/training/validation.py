"""Validation during a run: mean metrics, also per degradation, and labelled pictures."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.utils.data import default_collate

from pellucid.data.crops import Samples
from pellucid.training.batches import to_device
from pellucid.training.config import TrainConfig
from pellucid.training.tasks import Task

ROWS, SIDE, GAP, LABEL = 6, 256, 4, 20


@torch.no_grad()
def validate(
    config: TrainConfig, task: Task, dataset: Samples, accelerator: Accelerator, step: int
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Return each metric's mean over the first `validation_samples`, and per word as name/word; and
    rows of pictures by name, uint8 (H, W, 3): damaged, restored and clean, labelled, 256 px each.

    Samples go one by one (their sizes may differ), shared out over the processes. The first
    rows go to output/validation/step-XXXXXXXX.png, too.
    """
    task.eval()
    count = min(config.validation_samples, len(dataset))
    records: list[tuple[str, dict[str, float]]] = []
    rows: dict[str, np.ndarray] = {}
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
            word, values = records[-1]
            name = f"{len(rows) + 1} {word}"
            rows[name] = _row(word, values, batch["lq"][0], picture[0], batch["gt"][0])
    task.train()
    if accelerator.num_processes > 1:
        records = gather_object(records)
    if rows:
        path = Path(config.output) / "validation" / f"step-{step:08d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.concatenate(list(rows.values()))).save(path)
    sums: dict[str, list[float]] = defaultdict(list)
    for word, metrics in records:
        for name, value in metrics.items():
            sums[name].append(value)
            sums[f"{name}/{word}"].append(value)
    return {name: float(np.mean(values)) for name, values in sorted(sums.items())}, rows


def _row(word: str, values: dict[str, float], *pictures: Tensor) -> np.ndarray:
    """Put pictures side by side under their labels, their centres cut to one square.

    Small ones are enlarged by a whole number, with their pixels to be seen, on black.
    """
    row = Image.new("RGB", (len(pictures) * (SIDE + GAP) - GAP, LABEL + SIDE + GAP))
    draw, font = ImageDraw.Draw(row), ImageFont.load_default(13)
    before, after = (
        f"  {values[name]:.2f} dB" if name in values else "" for name in ("psnr_input", "psnr")
    )
    labels = (f"{word}{before}", f"restored{after}", "clean")
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        height, width = (min(SIDE, n) for n in picture.shape[-2:])
        top, left = (picture.shape[-2] - height) // 2, (picture.shape[-1] - width) // 2
        cut = picture[:, top : top + height, left : left + width].float().cpu().clamp(0, 1)
        shown = Image.fromarray((cut.permute(1, 2, 0) * 255).round().byte().numpy())
        scale = SIDE // max(height, width)
        shown = shown.resize((width * scale, height * scale), Image.Resampling.NEAREST)
        row.paste(shown, (i * (SIDE + GAP), LABEL))
        draw.text((i * (SIDE + GAP) + 2, 2), label, "white", font)
    return np.asarray(row)
