"""`pellucid doctor`: check this installation."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pellucid import __version__
from pellucid.cli.parse import Flag, parse
from pellucid.plural import counted

EXAMPLES = """
examples:
  pellucid doctor
  pellucid doctor --json       to attach to a bug report
"""
PACKAGES = ("torch", "numpy", "pillow", "safetensors", "huggingface_hub", "transformers")
OPTIONAL = {"tifffile": "16-bit colour TIFF", "pillow_heif": "HEIC", "pillow_jxl": "JPEG XL"}
OPTIONAL |= {"imagecodecs": "more than 8 bits in AVIF, JPEG XL and JPEG 2000"}


@dataclass
class Doctor:
    """Check this installation: versions, device, formats, weights, known problems."""

    json: Flag = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 1 if something must be repaired."""
    args = parse(Doctor, argv, "doctor", EXAMPLES)
    facts, warnings = examine()
    if args.json:
        print(json.dumps({**facts, "warnings": warnings}, indent=2))
        return int(bool(warnings))
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        print(f"{name:<12} {value}")
    for warning in warnings:
        print(f"\nWARNING: {warning}")
    if not warnings:
        print("\nall is well")
    return int(bool(warnings))


def examine() -> tuple[dict[str, Any], list[str]]:
    """Facts by name, and warnings with their remedy."""
    import torch
    from PIL import features

    from pellucid import zoo
    from pellucid.checkpoints.download import cache_folder
    from pellucid.hardware import has_fast_bfloat16, resolve_device
    from pellucid.runtimes.choice import measured
    from pellucid.runtimes.run import ENGINES, installed

    device = resolve_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    cache = cache_folder()
    formats = {"JPEG PNG WebP TIFF BMP": "yes", "AVIF": "yes" if features.check("avif") else "no"}
    for module, what in OPTIONAL.items():
        formats[what] = "yes" if importlib.util.find_spec(module) else "no (pellucid[formats])"
    networks = {name: row.network for name, row in zoo.MODELS.items()}
    shipped = {n: f.path for n, f in networks.items() if isinstance(f, zoo.ShippedFile)}
    speeds = {f"{row['model']} {row['dtype']}": _speeds(row) for row in measured()}
    facts = {
        "pellucid": __version__,
        "python": f"{platform.python_version()} on {platform.system()}",
        "packages": {package: _version(package) for package in PACKAGES},
        "device": f"{device} ({name})",
        "threads": f"{torch.get_num_threads()} of {counted(os.cpu_count() or 1, 'core')}",
        "bfloat16": "in hardware" if has_fast_bfloat16(device) else "no faster here: float32",
        "engines": {n: "yes" if installed(n) else "not installed" for n in ENGINES},
        "measured": speeds or "no engine yet: pellucid restore --engine auto does",
        "formats": formats,
        "offline": {name: "yes" if path.exists() else "missing" for name, path in shipped.items()},
        "cache": f"{cache} ({_megabytes(cache):.0f} MB used, {_free(cache):.0f} GB free)",
    }
    warnings = [
        f"the weights of {n} are not in this installation: reinstall the package"
        for n, state in facts["offline"].items()
        if state == "missing"
    ]
    if trouble := _torchvision():
        warnings.append(trouble)
    return facts, warnings


def _speeds(row: dict[str, Any]) -> str:
    """What `restore --engine auto` has found, in seconds a megapixel."""
    speeds = sorted(row["seconds"].items(), key=lambda pair: pair[1])
    found = [f"{engine} {seconds:.2f} s/MP" for engine, seconds in speeds]
    return "; ".join([*found, *(f"{engine} wrong: {how}" for engine, how in row["wrong"].items())])


def _torchvision() -> str | None:
    """Torchvision is not used, but a copy that does not fit PyTorch breaks transformers."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    try:
        importlib.import_module("torchvision")
    except Exception as error:
        return (
            f"torchvision {_version('torchvision')} does not fit this PyTorch ({error}) and breaks "
            "other packages that import it, transformers among them. Pellucid does not need it: "
            "pip uninstall torchvision"
        )
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _megabytes(folder: os.PathLike) -> float:
    files = (os.path.join(here, f) for here, _, names in os.walk(folder) for f in names)
    return sum(os.path.getsize(f) for f in files if os.path.isfile(f)) / 1e6


def _free(folder: os.PathLike) -> float:
    here = os.path.abspath(folder)
    while not os.path.exists(here):
        here = os.path.dirname(here)
    return shutil.disk_usage(here).free / 1e9
