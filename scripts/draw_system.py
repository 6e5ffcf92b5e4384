"""Draw ``docs/system.png``: the three papers as one system.

python scripts/draw_system.py [--out docs/system.png]
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from PIL import Image

import pellucid

INK, GREY = "#26323d", "#8a949e"
DACLIP, PERCEIVE, WEATHER, PLAIN = "#2f7fb8", "#c9782b", "#3d9160", "#5d6873"
EXAMPLES = Path(__file__).parents[1] / "examples"


def box(ax: Axes, x: float, y: float, w: float, h: float, text: str, colour: str, **style) -> None:
    """A rounded box with its lower left corner at (x, y); the first line of its text is bold."""
    training = style.pop("training", False)
    ax.add_patch(
        FancyBboxPatch(
            (x, y),
            w,
            h,
            boxstyle="round,pad=0,rounding_size=0.12",
            facecolor="white" if training else colour + "22",
            edgecolor=colour,
            linewidth=1.4,
            linestyle=(0, (4, 2.5)) if training else "-",
        )
    )
    head, *rest = text.split("\n")
    middle = y + h / 2
    up = 0.135 * len(rest)
    ax.text(
        x + w / 2, middle + up, head, ha="center", va="center", color=INK, weight="bold", size=9
    )
    for line, words in enumerate(rest):
        ax.text(
            x + w / 2,
            middle + up - 0.29 * (line + 1),
            words,
            ha="center",
            va="center",
            color=INK,
            size=7.6,
        )


def arrow(ax: Axes, *path: tuple[float, float], colour: str = INK, training: bool = False) -> None:
    """A line through points with a head at the last one."""
    style = {"color": colour, "linewidth": 1.3, "linestyle": (0, (4, 2.5)) if training else "-"}
    if len(path) > 2:
        ax.plot(*zip(*path[:-1], strict=True), **style, solid_joinstyle="round")
    head = FancyArrowPatch(
        *path[-2:], arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=0, **style
    )
    ax.add_patch(head)


def trapezium(ax: Axes, x: float, w: float, low: float, left: float, right: float, colour: str):
    """Half of a U-Net: as high as `left` on one side and as `right` on the other."""
    middle = low + max(left, right) / 2
    corners = [
        (x, middle - left / 2),
        (x, middle + left / 2),
        (x + w, middle + right / 2),
        (x + w, middle - right / 2),
    ]
    ax.add_patch(Polygon(corners, closed=True, facecolor=colour + "22", edgecolor=colour, lw=1.4))


def draw(out: Path) -> None:
    fig, ax = plt.subplots(figsize=(11.6, 6.3), dpi=150)
    ax.set(xlim=(0, 17.4), ylim=(0, 9.45), aspect="equal")
    ax.axis("off")

    damaged = Image.open(EXAMPLES / "snowy.png").convert("RGB")
    for x, picture, label in (
        (0.1, damaged, "damaged"),
        (15.2, pellucid.load().restore(damaged), "restored"),
    ):
        side = min(picture.size)
        ax.imshow(picture.crop((0, 0, side, side)), extent=(x, x + 2.1, 3.35, 5.45), zorder=3)
        ax.text(x + 1.05, 3.15, label, ha="center", va="top", color=INK, size=8.5)

    # what is wrong, and what is in the picture
    ax.text(0.1, 9.15, "once a picture: guidance", color=GREY, size=9, style="italic")
    box(ax, 3.0, 6.75, 2.7, 1.5, "image tower\nof CLIP, frozen\nsees the whole picture", PLAIN)
    box(
        ax,
        6.3,
        7.65,
        3.5,
        1.3,
        "controller\nwhat is wrong: degradation\nwhat is in it: content",
        DACLIP,
    )
    box(
        ax,
        6.3,
        6.05,
        3.5,
        1.3,
        "weather prior\na token of the picture\nand K learned ones",
        WEATHER,
    )
    box(
        ax,
        10.35,
        7.65,
        3.35,
        1.3,
        "words\nhow probable each damage is,\nand which model to take",
        DACLIP,
    )
    arrow(ax, (1.15, 5.45), (1.15, 7.5), (3.0, 7.5))
    arrow(ax, (5.7, 7.7), (6.0, 7.7), (6.0, 8.3), (6.3, 8.3))
    arrow(ax, (5.7, 7.3), (6.0, 7.3), (6.0, 6.7), (6.3, 6.7))
    arrow(ax, (9.8, 8.3), (10.35, 8.3))

    # the network
    ax.text(1.35, 6.0, "each tile: restoration", color=GREY, size=9, style="italic")
    trapezium(ax, 3.0, 3.9, 2.9, 3.0, 1.5, PLAIN)
    trapezium(ax, 9.2, 3.9, 2.9, 1.5, 3.0, PLAIN)
    ax.text(3.35, 4.85, "encoder", color=INK, weight="bold", size=9)
    ax.text(9.6, 4.85, "decoder", color=INK, weight="bold", size=9)
    box(ax, 3.4, 3.75, 3.1, 0.95, "SAR: f + αAr\ngate A: where is it damaged?", WEATHER)
    box(ax, 7.2, 3.65, 1.7, 1.5, "middle", PLAIN)
    box(ax, 9.6, 3.75, 3.1, 0.95, "cross-attention\nto content and prior tokens", WEATHER)
    arrow(ax, (2.2, 4.4), (3.0, 4.4))
    arrow(ax, (6.9, 4.4), (7.2, 4.4))
    arrow(ax, (8.9, 4.4), (9.2, 4.4))
    arrow(ax, (13.1, 4.4), (15.2, 4.4))
    ax.text(14.15, 4.55, "one pass, or the\nreverse SDE", ha="center", color=DACLIP, size=7.6)
    arrow(ax, (8.05, 6.05), (8.05, 5.15), colour=WEATHER)
    arrow(ax, (9.8, 6.5), (11.15, 6.5), (11.15, 4.7), colour=WEATHER)
    arrow(ax, (9.95, 8.3), (9.95, 7.1), (12.1, 7.1), (12.1, 4.7), colour=DACLIP)

    # training
    ax.axhline(2.55, 0.005, 0.995, color=GREY, linewidth=0.8, linestyle=(0, (2, 3)))
    ax.text(0.1, 2.2, "training only", color=GREY, size=9, style="italic")
    box(
        ax,
        2.3,
        0.35,
        5.3,
        1.5,
        "soft residual distillation\nT = 1 - exp(-S/τ) from a frozen teacher's features\n"
        "of the damaged and of the clean picture",
        WEATHER,
        training=True,
    )
    box(
        ax,
        8.3,
        0.35,
        3.6,
        1.5,
        "contrast with texts\nof damage and of captions\nteaches the controller",
        DACLIP,
        training=True,
    )
    box(
        ax,
        12.6,
        0.35,
        4.6,
        1.5,
        "quality perceiver\nthree learned prompts: terrible, mediocre,\n"
        "excellent; weigh the loss by difficulty",
        PERCEIVE,
        training=True,
    )
    arrow(ax, (4.95, 1.85), (4.95, 3.75), colour=WEATHER, training=True)
    arrow(ax, (16.25, 2.75), (16.25, 1.85), colour=PERCEIVE, training=True)

    legend = (
        ("DA-CLIP, ICLR 2024", DACLIP),
        ("Perceive-IR, TIP 2026", PERCEIVE),
        ("CLIP for adverse weather, TIP 2024", WEATHER),
    )
    for row, (label, colour) in enumerate(legend):
        y = 8.95 - 0.34 * row
        ax.add_patch(
            FancyBboxPatch(
                (13.95, y - 0.1), 0.3, 0.2, boxstyle="round,pad=0", fc=colour + "55", ec=colour
            )
        )
        ax.text(14.35, y, label, va="center", color=INK, size=7.6)
    fig.savefig(out, bbox_inches="tight", pad_inches=0.08)
    print(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/system.png"))
    draw(parser.parse_args().out)


if __name__ == "__main__":
    main()
