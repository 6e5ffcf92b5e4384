"""Draw the training curves of the shipped weights, docs/training.png, from their logs.

    python scripts/plot_training.py [--logs docs/training] [--out docs/training.png]

The logs are the `metrics.jsonl` of the runs, one file a run; what they show is validation on
held-out photographs with the averaged weights.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

from pellucid.degradations import WORDS

RESTORER = (  # runs that follow one another, crops a step, and what the reader should know
    ("named-64", 8, "64 px, true words"),
    ("named-96", 8, "96 px"),
    ("named-128", 4, "128 px"),
    ("named-128-again", 4, "weak kinds twice"),
    ("named-128-more", 4, ""),
    ("restore", 3, "guided, 160 px"),
    ("restore-again", 3, ""),  # one of the two seeds that were averaged
)
CONTROLLER = (
    ("naming", 33, "naming, 64 px"),
    ("controller", 32, ""),  # and content
    ("naming-192", 33, "four blocks, 192 px"),
    ("controller-160", 32, ""),
    ("naming-64", 33, "64 px"),
    ("controller-64", 32, ""),
    ("controller-64-clean", 32, ""),
    ("naming-64-grain", 33, "rarer scenes"),
    ("controller-64-grain", 32, ""),
    ("controller-64-rare", 32, ""),
)


def validations(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if any(name.startswith("validation/") for name in row)]


def stages(logs: Path, runs: tuple, axis: plt.Axes) -> list[tuple[float, dict]]:
    """Thousands of crops seen and the validation there; the stages are marked on the axis."""
    seen, points = 0.0, []
    for name, crops, label in runs:
        path = logs / f"{name}.jsonl"
        if not path.exists():
            continue
        axis.axvline(seen, color="0.8", linewidth=0.8, zorder=0)
        place = axis.get_xaxis_transform()
        axis.text(seen, 1.01, f" {label}", transform=place, fontsize=6, rotation=30)
        rows = validations(path)
        points += [(seen + row["step"] * crops / 1000, row) for row in rows]
        seen += rows[-1]["step"] * crops / 1000
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logs", type=Path, default=Path("docs/training"))
    parser.add_argument("--out", type=Path, default=Path("docs/training.png"))
    args = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.3), width_ratios=(3, 2))
    points = stages(args.logs, RESTORER, left)
    for number, word in enumerate(WORDS):
        gains = [
            r[f"validation/psnr/{word}"] - r[f"validation/psnr_input/{word}"] for _, r in points
        ]
        left.plot([x for x, _ in points], gains, ".-", color=f"C{number}", label=word)
    left.axhline(0, color="0.5", linewidth=0.8)
    left.set_ylim(bottom=-1)  # a small window without a drop is lost 40 dB below what it was
    left.set(xlabel="crops seen, thousands", ylabel="PSNR gain, dB (severity 0.1 to 0.9)")
    left.legend(fontsize=6, ncols=2)
    points = stages(args.logs, CONTROLLER, right)
    accuracy = [100 * row["validation/accuracy"] for _, row in points]
    right.plot([x for x, _ in points], accuracy, ".-", color="C0")
    right.set(xlabel="crops seen, thousands", ylabel="damage named right, % (severity 0.1 to 0.9)")
    figure.tight_layout()
    figure.savefig(args.out, dpi=110)
    print(args.out)


if __name__ == "__main__":
    main()
