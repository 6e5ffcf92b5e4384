"""Curves of trainings, drawn from the logs that the runs keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from matplotlib import colormaps
from matplotlib.figure import Figure

from pellucid.errors import UsageError

LOG = "metrics.jsonl"


def read_log(run: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Steps and values of each number that a run logged, `validation/psnr` and the like.

    Raises:
        UsageError: the folder has no log.
    """
    found: dict[str, tuple[list[int], list[float]]] = {}
    try:
        lines = (run / LOG).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"{run} has no {LOG}: is it the folder of a run?") from error
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the run is writing it
        for name, value in record.items():
            if name != "step" and value is not None:
                steps, values = found.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return found


def draw_curves(runs: Mapping[str, Path], path: Path) -> None:
    """Draw the loss and the PSNR of runs over their steps, a colour a run.

    The PSNR of the validation is a line with dots, that of its damaged input dashed, and that of
    the training crops thin.

    Args:
        runs: folders of runs, finished or not, by the name that is shown.
        path: of the picture; its suffix says the format, as for matplotlib.

    Raises:
        UsageError: a folder has no log.
    """
    logs = {name: read_log(run) for name, run in runs.items()}
    figure = Figure(figsize=(8, 3), layout="tight")
    loss, psnr = figure.subplots(1, 2)
    kinds = {
        "psnr": {"linewidth": 0.7, "alpha": 0.6},
        "validation/psnr": {"marker": ".", "label": "validation"},
        "validation/psnr_input": {"linestyle": "--", "label": "its damaged input"},
    }
    for number, (name, log) in enumerate(logs.items()):
        colour = colormaps["tab10"](number % 10)
        loss.plot(*log.get("loss", ([], [])), color=colour, label=name)
        for kind, style in kinds.items():
            if kind in log:
                label = style.get("label", "training crops") if not number else None
                psnr.plot(*log[kind], **{**style, "color": colour, "label": label})
    loss.set(xlabel="step", ylabel="loss")
    psnr.set(xlabel="step", ylabel="PSNR, dB")
    loss.legend(fontsize=7)
    if psnr.lines:
        psnr.legend(fontsize=7)
    figure.savefig(path, dpi=80)
