"""Command lines from dataclasses: the fields are the options, their docstrings the help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, TypeVar

import tyro

from pellucid.errors import UsageError

Flag = Annotated[bool, tyro.conf.arg(help_behavior_hint="")]
QuietFlag = Annotated[bool, tyro.conf.arg(aliases=["-q"], help_behavior_hint="")]
Arguments = TypeVar("Arguments")
CONFIG = (tyro.conf.FlagCreatePairsOff,)  # of every command


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
