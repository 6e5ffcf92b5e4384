"""`pellucid export`: write a model as ONNX graphs."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.cli.batch import refuse_place
from pellucid.cli.parse import Flag, parse
from pellucid.errors import UsageError

EXAMPLES = """
examples:
  pellucid export lite -o lite.onnx
  pellucid export lite -o lite.xml       OpenVINO's own format, .xml and .bin
  python examples/restore_onnx.py lite.onnx photo.jpg restored.png --words noisy
Writes two files: lite.onnx (the network) and lite-tower.onnx (what finds the damage). They run with
onnxruntime and numpy alone, as examples/restore_onnx.py of the repository does. Exporting needs
pip install 'pellucid[onnx]', for .xml 'pellucid[openvino]'. More: docs/engines.md
"""


@dataclass
class Export:
    """Write a model as ONNX graphs, which run without this package and without PyTorch."""

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A name from `pellucid models`, or a file of weights."""
    out: Annotated[Path, arg(aliases=["-o"], metavar="FILE")]
    """The file to write, ending in .onnx, or in .xml for OpenVINO; the tower's lies beside it."""
    overwrite: Flag = False
    """Replace files that exist already."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Export, argv, "export", EXAMPLES)
    if args.out.suffix not in (".onnx", ".xml"):
        raise UsageError(f"{args.out}: the name must end in .onnx or .xml")
    if args.model == "auto":
        raise UsageError("auto is several models; export one of them, such as lite")
    refuse_place(args.out)
    for module in ("onnx", "onnxscript", *(["openvino"] if args.out.suffix == ".xml" else [])):
        importlib.import_module(module)  # said before a model is loaded

    from pellucid.export import export, tower_beside
    from pellucid.loading import load

    for path in (args.out, tower_beside(args.out)):
        if path.exists() and not args.overwrite:
            raise UsageError(f"{path} exists already; add --overwrite to replace it")
    restorer = load(args.model, "cpu", "float32", guard=False)
    for path in export(restorer, args.out):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0
