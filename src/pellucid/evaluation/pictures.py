"""What to look at after an evaluation: a contact sheet, and gain against the input's quality."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from pellucid.data.files import read_pixels
from pellucid.evaluation.cases import Case
from pellucid.evaluation.report import Rows, Scored, by_column
from pellucid.evaluation.scoring import FAILS

CROP = 128  # pixels of the picture, shown one to one
GAP = 4
LABEL = 16
SIDE, SHEET = 256, 1600  # px: longest side of a picture, and width, of the sheet of all pictures


Lost = list[tuple[str, str]]
"""What could not be drawn, by name, and the reason: files may go while others are scored."""


def contact_sheet(
    rows: Rows, cases: Sequence[Case], restored: Path, metric: str
) -> tuple[Image.Image, Lost]:
    """Best, median and worst image of each column: damaged, restored and true crop of each.

    The crop is where the restoration changed the squared error most, for better or worse. The place
    of a picture that is no longer there stays white.

    Args:
        rows: of `images.csv`.
        cases: of the protocol.
        restored: folder with `<column>/<name>.png`.
        metric: of the rows, by whose gain images are ranked; more is better.
    """
    lookup = {(case.column, case.name): case for case in cases}
    width = 3 * (3 * (CROP + 1) + GAP)
    groups = by_column(rows)
    sheet = Image.new("RGB", (width, len(groups) * (CROP + LABEL + GAP)), "white")
    lost: dict[str, str] = {}
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for line, (column, group) in enumerate(groups.items()):
        top = line * (CROP + LABEL + GAP)
        ranked = sorted(group, key=lambda row: _gain(row, metric), reverse=True)
        chosen = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
        for place, (title, row) in enumerate(chosen.items()):
            left = place * (3 * (CROP + 1) + GAP)
            text = f"{title} of {column}: {row['name'][-18:]} {_gain(row, metric):+.2f}"
            draw.text((left, top), text, fill="black", font=font)
            try:
                triple = _crops(lookup[column, row["name"]], restored)
            except FAILS as error:
                lost[f"{column}/{row['name']}"] = str(error)
                continue
            for number, picture in enumerate(triple):
                sheet.paste(picture, (left + number * (CROP + 1), top + LABEL))
    return sheet, list(lost.items())


def every_picture(
    rows: Rows, cases: Sequence[Any], restored: Path
) -> tuple[Image.Image | None, Lost]:
    """All pictures of a set: the damaged, the restored and, where there is one, the true one.

    Those that are no longer there are left out; without any there is no sheet.

    Args:
        rows: of `images.csv`, of one set.
        cases: of the protocol `sets`.
        restored: folder with `<column>/<name>.png`.
    """
    lookup = {(case.column, case.name): case for case in cases}
    strips: list[Image.Image] = []
    lost: Lost = []
    for row in rows:
        try:
            strips.append(_strip(row, lookup[row["column"], row["name"]], restored))
        except FAILS as error:
            lost.append((f"{row['column']}/{row['name']}", str(error)))
    if not strips:
        return None, lost
    width, height = (max(strip.size[i] for strip in strips) + GAP for i in (0, 1))
    across = max(1, SHEET // width)
    down = -(-len(strips) // across)
    sheet = Image.new("RGB", (across * width, down * height), "white")
    for place, strip in enumerate(strips):
        sheet.paste(strip, (place % across * width, place // across * height))
    return sheet, lost


def _strip(row: dict[str, Any], case: Any, restored: Path) -> Image.Image:
    """One picture before, after and as it should be, below a line that says how good that is."""
    files = [case.input, restored / case.column / f"{case.name}.png", case.truth]
    shown = [Image.fromarray(read_pixels(file)) for file in files if file is not None]
    for picture in shown:
        picture.thumbnail((SIDE, SIDE))
    text = f"{case.name} {row['detected']} {row['share']:.0%}"
    if case.truth is not None:
        text += f", {row['psnr_rgb_input']:.2f} -> {row['psnr_rgb']:.2f} dB"
    width, height = shown[0].size
    strip = Image.new("RGB", (len(shown) * (width + 1), LABEL + height), "white")
    ImageDraw.Draw(strip).text((0, 0), text, fill="black", font=ImageFont.load_default(11))
    for place, picture in enumerate(shown):
        strip.paste(picture, (place * (width + 1), LABEL))
    return strip


def _gain(row: dict[str, Any], metric: str) -> float:
    gain = row[metric] - row[f"{metric}_input"]
    return gain if np.isfinite(gain) else row[metric]  # of an undamaged picture: what is left of it


def _crops(case: Case, restored: Path) -> list[Image.Image]:
    damaged, truth = (np.asarray(picture) for picture in case.load())
    pixels = read_pixels(restored / case.column / f"{case.name}.png")
    result = pixels.astype(np.float32).transpose(2, 0, 1) / 255
    change = (result - truth) ** 2 - (damaged - truth) ** 2
    side = [min(CROP, n) for n in change.shape[1:]]
    energy = torch.from_numpy(change.mean(axis=0)).abs()[None, None]
    place = int(F.avg_pool2d(energy, side, stride=8).argmax())
    columns = (change.shape[2] - side[1]) // 8 + 1
    top, left = place // columns * 8, place % columns * 8
    cut = np.s_[:, top : top + side[0], left : left + side[1]]
    return [
        Image.fromarray(np.rint(p[cut].clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0))
        for p in (damaged, result, truth)
    ]


def gain_plot(scored: Sequence[Scored], metric: str, path: Path) -> None:
    """Write a scatter plot: gain against the quality of the input, a point an image, a colour a
    damage, a panel a source."""
    figure = Figure(figsize=(6 * len(scored), 4.5), layout="tight")
    axes = figure.subplots(1, len(scored), sharey=True, squeeze=False)
    for axis, source in zip(axes[0], scored, strict=True):
        damages = [row["column"].split("@")[0] for row in source.rows]
        before = np.array([row[f"{metric}_input"] for row in source.rows])
        after = np.array([row[metric] for row in source.rows])
        seen = np.isfinite(before) & np.isfinite(after)
        for number, damage in enumerate(dict.fromkeys(damages)):
            shown = seen & (np.array(damages) == damage)
            colour = colormaps["tab20"](number % 20)
            axis.plot(before[shown], (after - before)[shown], ".", color=colour, label=damage)
        axis.axhline(0, color="0.5", linewidth=0.8)
        axis.set(title=source.name, xlabel=f"{metric} of the input", ylabel=f"gain in {metric}")
        axis.legend(fontsize=6, ncols=2)
    figure.savefig(path, dpi=110)
