"""``pellucid diagnose``: the probabilities of the degradations in pictures, and their quality."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.cli.batch import STREAM, find
from pellucid.cli.parse import Flag, parse
from pellucid.cli.start import import_little
from pellucid.cli.terminal import can_show, plain, read_input
from pellucid.errors import UsageError

EXAMPLES = """
examples:
  pellucid diagnose photo.jpg
  pellucid diagnose holiday/ --json | jq -r 'select(.words == ["hazy"]) | .input'
"""
BAR = 24  # characters


@dataclass
class Diagnose:
    """Find the degradations of pictures: the probability of each."""

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...", help_behavior_hint="")]
    """Files, folders, patterns such as '*.jpg', or - for standard input."""
    model: Annotated[str, arg(aliases=["-m"], metavar="NAME|FILE")] = "auto"
    """A name from `pellucid models`, or a file of weights."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps ..."""
    max_pixels: int = 100_000_000
    """Refuse larger pictures."""
    json: Flag = False
    """Print one line of JSON a picture."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0, or 1 if a picture could not be read."""
    args = parse(Diagnose, argv, "diagnose", EXAMPLES)
    if args.max_pixels < 1:
        raise UsageError("--max-pixels must be positive")
    found = find(args.inputs)

    import_little(args.model, "torch", None)
    from pellucid.imaging.io import read
    from pellucid.loading import load

    restorer = load(args.model, args.device, "float32")
    if restorer.text_features is None:
        raise UsageError(f"the model {args.model} does not tell degradations apart; try lite")
    failed = False
    for source, _ in found:
        name = STREAM if source is None else str(source)
        try:
            data = read_input(args.max_pixels) if source is None else source
            photo = read(data, args.max_pixels)
            answer, quality = restorer.diagnose(photo), restorer.quality(photo)
        except Exception as error:  # whatever one picture throws, the others are looked at
            failed = True
            print(f"pellucid: {plain(str(error))}", file=sys.stderr)
            if args.json:
                print(json.dumps({"input": name, "ok": False, "error": str(error)}), flush=True)
            continue
        if args.json:
            row = {"input": name, "ok": True, "words": list(answer.words)}
            row |= {"probabilities": answer.probabilities}
            print(json.dumps(row | ({"quality": quality} if quality else {})), flush=True)
        else:
            _show(name, answer.probabilities, answer.words, quality, brief=len(found) > 1)
    return int(failed)


def _show(
    name: str,
    shares: dict[str, float],
    words: Sequence[str],
    quality: dict[str, float] | None,
    brief: bool,
) -> None:
    """Table of words with bars; of several pictures only the probable words."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    full, least = ("█", "▏") if can_show("█▏", sys.stdout) else ("#", ".")
    table = Table(box=None, show_header=False, title=escape(plain(name)), title_justify="left")
    for word, share in shares.items():
        if brief and share < 0.05:
            break
        style = "bold" if word in words else "dim"
        bar = full * round(BAR * share) or least
        table.add_row(word, bar.ljust(BAR), f"{share:6.1%}", style=style)
    if quality:
        level = max(quality, key=lambda level: quality[level])
        table.add_row("quality", level, f"{quality[level]:6.1%}")
    Console().print(table)
