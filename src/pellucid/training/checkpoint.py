"""Checkpoints of a run: weights, average, optimiser and step, in one file that is whole or absent.

Everything else that a run needs is a function of the config and the step (see `batches`).
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from pellucid.training.writing import said, written

NAME = re.compile(r"step-(\d{8})\.pt")


def folder(output: str | Path) -> Path:
    """Return the folder of a run's checkpoints."""
    return Path(output) / "checkpoints"


def listed(output: str | Path) -> list[Path]:
    """Return a run's complete checkpoints, oldest first."""
    found = folder(output).glob("step-*.pt")
    return sorted(path for path in found if NAME.fullmatch(path.name))


def save(output: str | Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write a checkpoint atomically and remove the oldest; returns its path."""
    path = folder(output) / f"step-{step:08d}.pt"
    with said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in path.parent.glob("step-*.partial"):  # of a run that was killed
            left.unlink(missing_ok=True)
    with written(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)
    # Those of later steps are no older: they are damaged, or the run would have gone on from them.
    before = [p for p in listed(output) if p.name <= path.name]
    for old in before[: -max(1, keep)]:
        old.unlink(missing_ok=True)
    return path


def clear(output: str | Path) -> None:
    """Remove all checkpoints of a run."""
    for path in listed(output):
        path.unlink(missing_ok=True)


def newest(output: str | Path) -> dict[str, Any] | None:
    """Return the newest checkpoint that is whole, on the CPU; None if there is none."""
    for path in reversed(listed(output)):
        try:
            with zipfile.ZipFile(path) as parts:  # torch does not look at the checksums
                if not parts.testzip():
                    return torch.load(path, map_location="cpu", weights_only=True)
            reason = "damaged"
        except OSError as error:
            reason = error.strerror or str(error)
        except Exception:  # torch's own words advise to run what is in the file
            reason = "damaged or cut short"
        print(f"passed over the checkpoint {path}: {reason}")
    return None
