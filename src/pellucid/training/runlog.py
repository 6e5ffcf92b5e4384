"""Outputs of a run: metrics.jsonl, TensorBoard, progress on the terminal, weights."""

from __future__ import annotations

import json
import math
import threading
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from pellucid.checkpoints.bundle import save_bundle
from pellucid.training.config import TrainConfig, to_dict
from pellucid.training.writing import said, write_text

BOARD = "tensorboard"


class RunLog:
    """The log of one run; does nothing where `enabled` is False (all processes but the first).

    A terminal gets a live bar with the time left; a file or a pipe one line every `log_every`
    steps.
    """

    def __init__(self, output: Path, config: TrainConfig, start: int, enabled: bool = True):
        self.output, self.config, self.enabled = output, config, enabled
        self.last: dict[str, float] = {}
        self.sums: dict[str, Tensor] = {}
        self.count, self.samples, self.start = 0, 0, start
        if not enabled:
            return
        from torch.utils.tensorboard import SummaryWriter

        self.path = output / "metrics.jsonl"
        _cut(self.path, start)
        with said(output / BOARD):
            # TensorBoard drops what is at this step, too; the point at `start` is valid.
            self.board = SummaryWriter(str(output / BOARD), purge_step=start + 1)
        self.console = Console()
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        name = config.recipe or "training"
        self.bar = self.progress.add_task(name, total=config.steps, completed=start, note="")

    def __enter__(self) -> RunLog:
        self.began = self.since = time.monotonic()
        if self.enabled:
            # A full disk fails TensorBoard's thread; the next `add` raises the same here.
            self.hook, threading.excepthook = threading.excepthook, _hook
            self.progress.start()
            if self.start:
                self.say(f"going on from step {self.start}")
        return self

    def __exit__(self, *exception) -> None:
        if self.enabled:
            self.progress.stop()
            try:
                with said(self.output / BOARD):
                    self.board.close()
            finally:
                threading.excepthook = self.hook

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        if self.enabled:
            self.progress.console.print(text, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.say(f"[yellow]warning[/yellow] {text}")

    def add(self, step: int, values: dict[str, Tensor], lr: float, norm: float, samples: int):
        """Take in one step's values; write their mean every `log_every` steps."""
        if not self.enabled:
            return
        values = {**values, "grad_norm": torch.tensor(norm)}
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + value
        self.count += 1
        self.samples += samples
        self.progress.update(self.bar, completed=step)
        if step % self.config.log_every and step != self.config.steps:
            return
        now = time.monotonic()
        self.last = {name: float(total) / self.count for name, total in self.sums.items()}
        self.last |= {"lr": lr, "samples_per_second": self.samples / max(now - self.since, 1e-9)}
        self.sums, self.count, self.samples, self.since = {}, 0, 0, now
        self._write(step, self.last, "train")
        note = "  ".join(f"{name} {self.last[name]:.4g}" for name in self.last if name != "lr")
        self.progress.update(self.bar, note=note)
        if not self.console.is_terminal:
            left = (now - self.began) / (step - self.start) * (self.config.steps - step)
            self.say(f"step {step}/{self.config.steps}  {note}  left {_clock(left)}")

    def validation(
        self, step: int, values: dict[str, float], pictures: dict[str, np.ndarray]
    ) -> None:
        """Write the validation after `step`; `pictures` are uint8 (H, W, 3), by name."""
        if not self.enabled:
            return
        with said(self.output / BOARD):
            for name, picture in pictures.items():
                self.board.add_image(f"validation/{name}", picture, step, dataformats="HWC")
        self._write(step, {f"validation/{k}": v for k, v in values.items()}, "")
        short = {k: v for k, v in values.items() if "/" not in k}
        self.say(f"step {step}  validation  " + "  ".join(f"{k} {v:.4g}" for k, v in short.items()))
        self.since = time.monotonic()  # speed is that of training

    def export(self, weights: dict[str, Tensor], meta: dict, step: int) -> None:
        """Write the weights that inference loads."""
        meta = {**meta, "recipe": self.config.recipe, "step": step, "train": to_dict(self.config)}
        path = self.output / "weights.safetensors"
        for left in self.output.glob(f".{path.name}.*.tmp"):  # of a run that was killed
            left.unlink(missing_ok=True)
        save_bundle(path, weights, meta)

    def _write(self, step: int, values: dict[str, float], group: str) -> None:
        known = {name: value if math.isfinite(value) else None for name, value in values.items()}
        with said(self.path), open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **known}) + "\n")
        with said(self.output / BOARD):
            for name, value in values.items():
                self.board.add_scalar(f"{group}/{name}" if group else name, value, step)


def _cut(path: Path, step: int) -> None:
    """Remove the lines after `step`; a resumed run writes them again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the line that a killed run was writing
        if record["step"] <= step:
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def _hook(thread: threading.ExceptHookArgs) -> None:
    """Leave out the traceback of a file that cannot be written."""
    if not isinstance(thread.exc_value, OSError):
        threading.__excepthook__(thread)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
