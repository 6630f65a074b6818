"""The C library's allocator, told to give large blocks back to the system."""

from __future__ import annotations

import ctypes
import os
import sys

_M_MMAP_THRESHOLD = -3
"""Of glibc's malloc.h."""
_LARGE_BYTES = 256 * 1024
_VARIABLE = "MALLOC_MMAP_THRESHOLD_"


def return_large_blocks() -> None:
    """Have blocks from 256 KiB on stand alone, so that the system has them back once freed.

    By itself glibc raises that limit with each large block that is freed, up to 32 MiB. The arrays
    of the live index, which replace each other as it grows, then leave holes behind: 6,000 changes
    left 22 MiB, and with this 6 MiB, which is what they hold. Where the C library is another one,
    or the environment sets the limit, nothing happens.
    """
    if not sys.platform.startswith("linux") or _VARIABLE in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
