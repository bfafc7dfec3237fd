"""What this process's allocator does with freed memory."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt`` (malloc.h)."""

KEPT = {M_MMAP_THRESHOLD: 2**25, M_TRIM_THRESHOLD: 10**9}
"""Blocks up to 32 MiB (the most that glibc takes) come from the heap; a gigabyte of it stays."""


def keep_freed_memory() -> None:
    """Have glibc keep freed memory, up to a gigabyte, for what is computed next.

    It would return it to the system and fault it in again page by page: a tenth of a screened
    topology's time. Of other C libraries nothing is asked.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for parameter, value in KEPT.items():
            libc.mallopt(parameter, value)
