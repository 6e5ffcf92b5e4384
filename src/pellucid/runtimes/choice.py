"""The fastest engine that is right on this machine: measured once, remembered in the cache.

darktable's users met accelerators that gave garbage where the CPU was right. So an engine is not
chosen before its result has been compared with PyTorch's in float32, on this machine, with this
network.
"""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid.checkpoints.download import cache_folder
from pellucid.networks.contract import RestorationNetwork
from pellucid.runtimes.graph import digest
from pellucid.runtimes.run import ENGINES, Torch, installed

AUTO = "auto"
CANDIDATES = ("torch", "onnxruntime", "openvino")  # a compiler would need minutes first
SIDE = 256  # px, of the square that is tried
REPEATS = 3
WRONG = {torch.float32: 1e-4, torch.bfloat16: 2e-3, torch.float16: 2e-3}  # rms; a level is 4e-3
log = logging.getLogger(__name__)


def memory() -> Path:
    """The file with all measurements."""
    return cache_folder() / "engines.json"


def measured() -> list[dict[str, Any]]:
    """What was measured on this machine: one record a network and precision, oldest first.

    A record has `model`, `key`, `dtype`, `seconds` (a megapixel, by engine), `wrong` (engines whose
    result differs, or that failed, and how) and `chosen`.
    """
    try:
        found = json.loads(memory().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    here = _machine()
    return [row for row in found if isinstance(row, dict) and row.get("machine") == here]


def fastest(
    name: str,
    network: RestorationNetwork,
    device: torch.device,
    dtype: torch.dtype,
    pictures: Sequence[Tensor],
    condition: Any,
) -> str:
    """The engine to use for a network on this machine.

    Args:
        name: of the model, for people who read the record.
        network: in evaluation mode.
        device: PyTorch is chosen without a trial on all but the CPU.
        dtype: the precision that is wanted. An engine that lacks it is tried in float32.
        pictures: examples of what goes before the condition.
        condition: of one picture.
    """
    names = [engine for engine in CANDIDATES if installed(engine)]
    if device.type != "cpu" or names == ["torch"]:
        return "torch"
    key = f"{digest(network)[:16]} {device} {dtype}"
    known = [row for row in measured() if row["key"] == key]
    if known and set(known[-1]["seconds"]) | set(known[-1]["wrong"]) == set(names):
        return known[-1]["chosen"]
    log.warning("measuring the engines of %s, once on this machine", name)
    tried = _tried(pictures)
    right = Torch(network, device, torch.float32)(tried, condition)
    seconds: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for engine in names:
        precision = dtype if dtype in ENGINES[engine].dtypes else torch.float32
        try:
            call = ENGINES[engine](network, device, precision)
            result = call(tried, condition)  # and the first call, which prepares
        except Exception as error:  # whatever it is, this engine is not used
            wrong[engine] = str(error).splitlines()[0][:200] if str(error) else repr(error)
            continue
        difference = float((result - right).square().mean().sqrt())
        if not difference <= WRONG[precision]:
            wrong[engine] = f"its result differs by {difference:.2g} (rms)"
            continue
        seconds[engine] = _seconds(lambda call=call: call(tried, condition)) / (SIDE**2 / 1e6)
    # PyTorch is what the others are compared with; it cannot be left out
    chosen = min(seconds, key=seconds.__getitem__) if seconds else "torch"
    _remember(
        {
            "model": name,
            "key": key,
            "dtype": str(dtype).split(".")[-1],
            "machine": _machine(),
            "seconds": {engine: round(value, 4) for engine, value in seconds.items()},
            "wrong": wrong,
            "chosen": chosen,
        }
    )
    return chosen


def _tried(pictures: Sequence[Tensor]) -> list[Tensor]:
    """Pictures of the size that is tried: soft shapes with noise; times stay."""
    generator = torch.Generator().manual_seed(0)
    found = []
    for part in pictures:
        if part.ndim == 4:
            soft = torch.rand(1, part.shape[1], 8, 8, generator=generator)
            soft = torch.nn.functional.interpolate(soft, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
            part = (soft + 0.05 * torch.randn(soft.shape, generator=generator)).clamp(0, 1)
        found.append(part[:1])
    return found


def _seconds(call: Callable[[], object]) -> float:
    """Of one call, the best of a few."""
    best = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def _machine() -> str:
    """What a measurement holds for: the processor, threads and versions."""
    packages = ("torch", "onnxruntime", "openvino")
    versions = " ".join(f"{package} {_version(package)}" for package in packages)
    return f"{platform.node()} {platform.machine()} {torch.get_num_threads()} threads {versions}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _remember(row: dict[str, Any]) -> None:
    """Add a record in place of an older one of the same network."""
    file = memory()
    others = [r for r in measured() if r["key"] != row["key"]]
    unfinished = file.with_name(".unfinished-engines.json")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps([*others, row], indent=1), encoding="utf-8")
        unfinished.replace(file)
    except OSError as error:
        log.warning("the measurement of the engines is not kept: %s", error)
