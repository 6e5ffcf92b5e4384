"""What this machine can do: the device to compute on and the precision it is fast in."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from pellucid.errors import UsageError

DTYPES = {
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
    "float32": torch.float32,
    "fp32": torch.float32,
}

# The threads of OpenMP do not live on in a process that is forked: a child would wait for them for
# ever. It computes with one thread of its own.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """The device of a name; "auto" is CUDA where there is one, else Apple's GPU, else the CPU.

    Raises:
        UsageError: PyTorch does not know the name, or this machine has no such device.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        found = torch.device(device)
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {str(device)!r} cannot be used here: {reason}") from error
    return found


def resolve_dtype(dtype: str | torch.dtype, device: torch.device) -> torch.dtype:
    """The precision of a name; "auto" is bfloat16 where `device` is faster in it, else float32.

    Raises:
        UsageError: unknown name, or float16 on a CPU (most of its operations do not exist there).
    """
    if dtype == "auto":
        return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype
    if found is None or found not in DTYPES.values():
        raise UsageError(f"unknown dtype {str(dtype)!r}; known: bfloat16, float16, float32")
    if found == torch.float16 and device.type == "cpu":
        raise UsageError("float16 does not work on a CPU; choose bfloat16 or float32")
    return found


def _vendor() -> str:
    """Text that names the maker of an x86 processor, as far as the system tells it."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor()  # of Windows; on Linux often empty


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the hardware multiplies bfloat16 itself, and faster than float32."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type != "cpu":
        return False
    if getattr(torch.cpu, "_is_amx_tile_supported", bool)():
        return True
    if getattr(torch.cpu, "_is_avx512_bf16_supported", bool)():
        # Intel's cores without AMX multiply it at about 0.6 of the rate of float32.
        return "AuthenticAMD" in _vendor()
    try:  # ARM: oneDNN says so (on x86 it counts emulation)
        return (
            torch.backends.mkldnn.is_available()
            and not torch.cpu._is_avx2_supported()
            and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        )
    except (AttributeError, RuntimeError):
        return False
