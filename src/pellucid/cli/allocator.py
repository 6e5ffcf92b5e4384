"""How a process of ours keeps its memory."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Have the C library hand freed memory to the next tensor instead of to the system.

    By default glibc asks the system for each large block and gives it back when it is freed: a
    network's every layer waits until fresh pages are cleared (docs/measurements/speed.md). It holds for the
    whole process, so the commands of `pellucid` call it, and importing the package does not.

    Returns:
        Whether it was done; other C libraries than glibc are left as they are.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
