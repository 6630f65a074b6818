"""What a child process does to itself: end with its parent, and stay within its means."""

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
    """Watch in a thread, and end this process when `parent` is gone, also in the midst of work.

    Args:
        parent: its process id.
        end: how; by default at once.

    Not `PR_SET_PDEATHSIG`: that acts when the parent's *thread* ends which started the child.
    """
    threading.Thread(target=_watch, args=(parent, end), name="parent-watch", daemon=True).start()


def _watch(parent: int, end: Callable[[], object]) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    end()


def limit_memory(limit_bytes: int) -> None:
    """Bound private memory; what is mapped from files is not counted.

    Linux only, elsewhere there is no bound; 0 means none.
    """
    if limit_bytes and sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if hard == resource.RLIM_INFINITY or hard > limit_bytes:
            resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))


def write_no_files() -> None:
    """Let this process write to no file: no trace of a picture, also in no core dump."""
    if sys.platform != "win32":
        import resource

        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (0, 0))
