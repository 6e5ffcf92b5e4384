"""`pellucid convert`: turn an official checkpoint into safetensors, which hold no code."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from pellucid.cli.batch import refuse_place
from pellucid.cli.parse import Flag, parse
from pellucid.errors import UsageError

EXAMPLES = """
examples:
  pellucid convert universal-ir.pth universal-ir.safetensors
  pellucid convert daclip_ViT-B-32.pt daclip_ViT-B-32.safetensors --dtype bfloat16
  pellucid restore photo.jpg --model universal-ir.safetensors
The official pairs are known by their names (pellucid models daclip); the tower of a network of
another name is given with --tower.
"""


@dataclass
class Convert:
    """Turn an official checkpoint into safetensors, weights alone: of DA-CLIP, Perceive-IR, NAFNet,
    Restormer or CLIP."""

    source: Annotated[Positional[Path], arg(metavar="SRC")]
    """A .pt or .pth file; it is read without running code in it."""
    target: Annotated[Positional[Path], arg(metavar="DST")]
    """The .safetensors file to write."""
    dtype: Literal["float32", "bfloat16", "float16", "int8"] = "float32"
    """Precision to store: 16 bit halve the file, int8 (a scale for each row) quarters it."""
    overwrite: Flag = False
    """Replace a file that exists already."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Convert, argv, "convert", EXAMPLES)
    if args.target.suffix != ".safetensors":
        raise UsageError(f"{args.target}: the name must end in .safetensors")
    if not args.source.is_file():
        there = os.path.lexists(args.source)
        what = "is no regular file, or leads to none" if there else "there is no such file"
        raise UsageError(f"{args.source}: {what}")
    refuse_place(args.target)
    if args.target.exists():
        if args.target.samefile(args.source):
            raise UsageError(f"{args.target} is the source itself, which is never overwritten")
        if not args.overwrite:
            raise UsageError(f"{args.target} exists already; add --overwrite to replace it")
    import torch

    from pellucid.checkpoints.bundle import save_bundle
    from pellucid.checkpoints.load import build
    from pellucid.checkpoints.weights import PROMPTS, read_weights

    weights = read_weights(args.source)
    if weights.kind != PROMPTS:  # which only their own tower can check
        build(weights)
    args.target.parent.mkdir(parents=True, exist_ok=True)
    meta = {**weights.meta, "source": args.source.name}
    save_bundle(args.target, weights.state, meta, getattr(torch, args.dtype))
    size = args.target.stat().st_size / 1e6
    print(f"{args.target}: {weights.kind}, {len(weights.state)} tensors, {size:.1f} MB")
    return 0
