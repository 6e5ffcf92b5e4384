"""Command lines from dataclasses: the fields are the options, their docstrings the help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import tyro

from pellucid.cli.terminal import plain
from pellucid.errors import UsageError

if TYPE_CHECKING:
    from pellucid.instruction import Understood

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
QuietFlag = Annotated[bool, tyro.conf.arg(aliases=["-q"], help_behavior_hint="")]
Arguments = TypeVar("Arguments")
CONFIG = (tyro.conf.FlagCreatePairsOff,)  # of every command


def guarded(on: bool, off: bool) -> bool | None:
    """Whether results are judged by the guard, as `pellucid.load` takes it; None = by the model.

    Raises:
        UsageError: both are asked for.
    """
    if on and off:
        raise UsageError("--guard and --no-guard exclude each other")
    return on if on or off else None


def parse(kind: type[Arguments], argv: Sequence[str], command: str, examples: str) -> Arguments:
    """Fill a dataclass from a command line; prints help or an error and exits (0 or 2) if asked to.

    `examples` is printed below the help, as it is.
    """
    try:
        return tyro.cli(
            kind,
            args=list(argv),
            prog=f"pellucid {command}",
            config=CONFIG,
        )
    except SystemExit as end:
        if not end.code:
            print(examples.strip("\n"), file=sys.stdout)
        raise


def words_of(text: str | None) -> list[str]:
    """Names of degradations, each once, of a text such as "rainy,noisy"; none of None."""
    if text is None:
        return []
    words = [word.strip().lower() for word in text.split(",")]
    if not all(words):
        raise UsageError(f"--words {text!r} has an empty word; name them so: hazy,noisy")
    return list(dict.fromkeys(words))


def understood_of(ask: str | None, words: str | None, quiet: bool = False) -> Understood | None:
    """What is understood of the instruction of --ask, which is printed; None of None."""
    if ask is None:
        return None
    if words is not None:
        raise UsageError("give --ask or --words, not both")
    from pellucid.instruction import understand

    asked = understand(ask)
    if not quiet:
        print(plain(f"understood: {asked}"), file=sys.stderr)
    return asked
