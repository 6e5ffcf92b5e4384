"""`pellucid diagnose`: the probabilities of the degradations in pictures, and their quality."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from pellucid.cli.batch import STREAM, find
from pellucid.cli.parse import Flag, parse, understood_of
from pellucid.cli.start import import_little
from pellucid.cli.terminal import (
    can_show,
    one_line,
    plain,
    raise_interrupt,
    read_input,
)
from pellucid.errors import UsageError

EXAMPLES = """
examples:
  pellucid diagnose photo.jpg
  pellucid diagnose holiday/ --json | jq -r 'select(.words == ["hazy"]) | .input'
  pellucid diagnose photo.jpg --words "rain streaks,film grain,fog"
  pellucid diagnose photo.jpg --ask "take the rain away but keep it dark"
  pellucid diagnose holiday/ --words "film grain" --json | jq '.phrases["film grain"].probability'
--words: English, a few words each. The model knows ten degradations; what a phrase means of them is
read by its text tower and printed. One that means none of them surely is marked with a question
mark: its probability says little. `pellucid restore` takes such words by --ask.
--ask: marks what `pellucid restore --ask` would remove and keep.
"""
if TYPE_CHECKING:
    from pellucid.phrases import Phrase
    from pellucid.restorer import Restorer

BAR = 24  # characters


@dataclass
class Diagnose:
    """Find the degradations of pictures: the probability of each."""

    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT...", help_behavior_hint="")]
    """Files, folders, patterns such as '*.jpg', or - for standard input."""
    model: Annotated[str, arg(aliases=["-m"], metavar="NAME|FILE")] = "auto"
    """A name from `pellucid models`, or a file of weights."""
    words: Annotated[str | None, arg(metavar="PHRASE[,PHRASE]", help_behavior_hint="")] = None
    """Words of your own instead of the ten: how probable is each, such as "film grain,fog"?"""
    ask: Annotated[str | None, arg(metavar="TEXT", help_behavior_hint="")] = None
    """An instruction in English: what of the picture would it remove and keep?"""
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
    asked = understood_of(args.ask, args.words)
    found = find(args.inputs)

    import_little(args.model, "torch", None)
    from pellucid.diagnosis import DETECTED
    from pellucid.imaging.io import read
    from pellucid.imaging.libtiff import library_notes
    from pellucid.loading import load
    from pellucid.report import asked_of

    restorer = load(args.model, args.device, "float32")
    if restorer.text_features is None:
        raise UsageError(f"the model {args.model} does not tell degradations apart; try lite")
    if asked:
        restorer.check(words=[*asked.wanted, *asked.kept])
    phrases = _phrases(args.words, restorer)
    failed = False
    for source, _ in found:
        name = STREAM if source is None else str(source)
        try:
            data = read_input(args.max_pixels) if source is None else source
            with library_notes() as printed:
                photo = read(data, args.max_pixels)
            for note in printed:
                print(f"pellucid: {one_line(name)}: {note}", file=sys.stderr)
            answer, quality = restorer.diagnose(photo, ask=asked), restorer.quality(photo)
        except Exception as error:  # whatever one picture throws, the others are looked at
            raise_interrupt()
            failed = True
            print(f"pellucid: {plain(str(error))}", file=sys.stderr)
            if args.json:
                print(json.dumps({"input": name, "ok": False, "error": str(error)}), flush=True)
            continue
        if args.json:
            row = {"input": name, "ok": True, "words": list(answer.words)}
            row |= {"probabilities": answer.probabilities}
            row |= {"asked": asked_of(asked)} if asked else {}
            if phrases:
                row["phrases"] = {p.text: _record(p, answer.probabilities) for p in phrases}
            print(json.dumps(row | ({"quality": quality} if quality else {})), flush=True)
        elif phrases:
            shares = {p.text: p.probability(answer.probabilities) for p in phrases}
            ranked = dict(sorted(shares.items(), key=lambda pair: -pair[1]))
            bold = [text for text, share in shares.items() if share >= DETECTED]
            _show(name, ranked, bold, quality, {p.text: _meaning(p) for p in phrases})
        else:
            done = dict.fromkeys(answer.words, "to remove") if asked else {}
            done |= dict.fromkeys(asked.kept if asked else (), "to keep")
            _show(name, answer.probabilities, answer.words, quality, done, brief=len(found) > 1)
    return int(failed)


def _phrases(words: str | None, restorer: Restorer) -> list[Phrase]:
    """What the phrases of the command line mean; those that mean nothing surely are said."""
    if words is None:
        return []
    from pellucid.phrases import read

    phrases = read(
        list(dict.fromkeys(" ".join(text.split()) for text in words.split(","))), restorer
    )
    for phrase in phrases:
        if not phrase.understood:
            print(
                f'pellucid: "{phrase.text}" is not surely one of the degradations that '
                f"{restorer.name} knows; it is most like {phrase.nearest} ({phrase.word})",
                file=sys.stderr,
            )
    return phrases


def _meaning(phrase: Phrase) -> str:
    return phrase.word + ("" if phrase.understood else "?")


def _record(phrase: Phrase, probabilities: dict[str, float]) -> dict[str, object]:
    """One phrase for JSON."""
    return {
        "probability": phrase.probability(probabilities),
        "means": phrase.means,
        "understood": phrase.understood,
        "nearest": phrase.nearest,
    }


def _show(
    name: str,
    shares: dict[str, float],
    words: Sequence[str],
    quality: dict[str, float] | None,
    said: Mapping[str, str] = MappingProxyType({}),
    brief: bool = False,
) -> None:
    """Table of words or phrases with bars and what is said of them; in brief, the probable ones."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    full, least = ("█", "▏") if can_show("█▏", sys.stdout) else ("#", ".")
    table = Table(box=None, show_header=False, title=escape(one_line(name)), title_justify="left")
    for word, share in shares.items():
        if brief and share < 0.05 and word not in said:
            continue
        style = "bold" if word in words else "dim"
        bar = full * round(BAR * share) or least
        table.add_row(word, bar.ljust(BAR), f"{share:6.1%}", said.get(word, ""), style=style)
    if quality:
        level = max(quality, key=lambda level: quality[level])
        table.add_row("quality", level, f"{quality[level]:6.1%}")
    Console().print(table)
