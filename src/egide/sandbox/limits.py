"""Limits that a child process sets on itself: end with its parent, bound memory and files."""

from __future__ import annotations

import os
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_EVERY_S = 0.5
_END_AT_ONCE = partial(os._exit, 1)


def end_with_parent(parent: int, end: Callable[[], object] = _END_AT_ONCE) -> None:
    """Watch `parent` in a thread and end this process when it is gone, even in mid-work.

    Args:
        parent: its process id.
        end: ends the process; by default at once.

    Not `PR_SET_PDEATHSIG`: it acts when the *thread* that started the child ends.
    """
    threading.Thread(target=_watch, args=(parent, end), name="parent-watch", daemon=True).start()


def _watch(parent: int, end: Callable[[], object]) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    end()


def limit_memory(limit_bytes: int) -> None:
    """Bound private memory; mapped files do not count.

    Works on Linux only; 0 means no bound.
    """
    if limit_bytes and sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or hard > limit_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def write_no_files() -> None:
    """Prevent this process from writing any file, so no trace of a picture and no core dump."""
    if sys.platform != "win32":
        import resource

        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (0, 0))
