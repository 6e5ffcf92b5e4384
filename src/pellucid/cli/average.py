"""`pellucid average`: weighted mean of the weights of several runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from pellucid.checkpoints.average import average
from pellucid.errors import UsageError

Files = Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE...")]
Shares = Annotated[tuple[float, ...], tyro.conf.arg(metavar="SHARE...", help_behavior_hint="")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run `pellucid average ARGV` and return its exit status."""
    return tyro.cli(run, prog="pellucid average", args=argv)


def run(files: tyro.conf.Positional[Files], /, output: Path, shares: Shares = ()) -> int:
    """Average the weights of several runs of one network that started from the same weights.

    pellucid average runs/a/weights.safetensors runs/b/weights.safetensors --output both.safetensors

    The result says in its metadata which files it was made of, in which shares.

    Args:
        files: Weights bundles of one kind and one size.
        output: File to write; it must not exist.
        shares: Weight of each file, any positive numbers; equal if not given.
    """
    if output.exists():
        raise UsageError(f"{output} exists already; it is left as it is")
    average(files, output, shares)
    print(output)
    return 0
