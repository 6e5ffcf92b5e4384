"""The memory allocator of the process."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's <malloc.h>


def keep_freed_memory() -> bool:
    """Let the C library reuse freed memory instead of returning it to the system.

    By default glibc requests every large block from the system and returns it when freed, so each
    layer of a network waits for fresh pages (docs/measurements/speed.md). The setting holds for the
    whole process: the commands of `pellucid` make it, importing the package does not.

    Returns:
        Whether the setting was made; C libraries other than glibc are left as they are.
    """
    if sys.platform != "linux":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl has none
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1))
