"""How well instructions are understood: 200 phrasings written by hand, none of them trained on.

    python benchmarks/instructions.py [--wrong] [--table benchmarks/instructions.tsv]

The table has the words that each instruction wants removed and kept, whether it asks for all that
is wrong, and whether a part of it is not about degradations ("other"). Prints the shares that are
right; `--wrong` lists the others.

    python benchmarks/instructions.py --pictures

Three photographs of scikit-image with two degradations, one of which is to go and one to stay: PSNR
against the photograph with that one alone, before, after the instruction, and after a restoration
without it.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data

import pellucid
from pellucid.degradations import degrade
from pellucid.instruction import Understood, read

TABLE = Path(__file__).with_suffix(".tsv")
PAIRS = ("noisy", "low-light"), ("rainy", "low-light"), ("noisy", "hazy"), ("noisy", "rainy")


class Row(NamedTuple):
    """An instruction and what it asks for."""

    text: str
    wanted: set[str]
    kept: set[str]
    everything: bool
    other: bool


def rows(table: Path = TABLE) -> Iterator[Row]:
    with open(table, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            wanted, kept = (set(filter(None, row[name].split(","))) for name in ("wanted", "kept"))
            yield Row(row["instruction"], wanted, kept, bool(row["everything"]), bool(row["other"]))


def judged(row: Row, found: Understood) -> dict[str, bool]:
    """What of an instruction was understood.

    "done": exactly the right degradations are removed and kept. "said": it is said that a part was
    not understood where there is such a part, and only there. "harm": something is removed that
    is not wanted.
    """
    extra = set(found.wanted) - row.wanted or (found.everything and not row.everything)
    asked = (set(found.wanted), set(found.kept), found.everything)
    return {
        "done": asked == (row.wanted, row.kept, row.everything),
        "said": bool(found.not_understood) == row.other,
        "harm": bool(extra),
    }


def print_pictures() -> None:
    """The table of `--pictures`."""
    windows = skimage.data.astronaut()[20:212, 100:356], skimage.data.chelsea()[20:212, 60:316]
    windows += (skimage.data.coffee()[80:272, 150:406],)
    restorer = pellucid.load()
    print(
        "| to go | to stay | before | by the instruction | without it |\n|---|---|---:|---:|---:|"
    )
    for wanted, kept in PAIRS:
        made = []
        for seed, window in enumerate(windows):
            rng = np.random.default_rng(seed)
            target = degrade(window.astype(np.float32) / 255, kept, 0.5, rng)
            given = degrade(target, wanted, 0.5, rng).astype(np.float32)
            asked = restorer.restore(given, ask=Understood("", (wanted,), (kept,)))
            errors = [p - target for p in (given, asked, restorer.restore(given))]
            made.append([-10 * np.log10(np.mean(np.square(error))) for error in errors])
        print(f"| {wanted} | {kept} | " + " | ".join(f"{m:.1f}" for m in np.mean(made, 0)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wrong", action="store_true")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--pictures", action="store_true")
    args = parser.parse_args()
    if args.pictures:
        print_pictures()
        return
    groups = {
        "all": lambda row: True,
        "with something to keep": lambda row: row.kept,
        "with a part about something else": lambda row: row.other,
    }
    scores = [(row, judged(row, read(row.text))) for row in rows(args.table)]
    head = "| instructions | | right words | rest said | something removed that was not asked for |"
    print(head + "\n|---|---:|---:|---:|---:|")
    for name, belongs in groups.items():
        part = [score for row, score in scores if belongs(row)]
        shares = (sum(s[key] for s in part) / len(part) for key in ("done", "said", "harm"))
        print(f"| {name} | {len(part)} | " + " | ".join(f"{s:.1%}" for s in shares) + " |")
    for row, score in scores if args.wrong else ():
        if not (score["done"] and score["said"]):
            print(f"{row.text}\n    {read(row.text)}")


if __name__ == "__main__":
    main()
