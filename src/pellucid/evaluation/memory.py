"""Peak memory of one piece of work, where the system can tell."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak() -> None:
    """Begin: the peak is counted from here."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    else:  # sets the high-water mark to what is used now (Linux, proc(5))
        with suppress(OSError):  # not everywhere allowed; then the peak is that of the process
            _RESET.write_text("5")


def peak_mib() -> float:
    """MiB at most since `reset_peak`: of the GPU if there is one, else resident; nan if unknown."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    if not _STATUS.exists():
        return float("nan")
    line = next(row for row in _STATUS.read_text().splitlines() if row.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10  # kB
