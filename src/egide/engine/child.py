"""What every child process of Egide does: end with its parent, and stay within its means.

Children are plain processes that decode hostile files: nothing is pickled, nothing of the parent
is imported again, and one that crashes takes down nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from egide.sealing import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

_LOOK_EVERY_S = 0.5
ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)
"""There are as many children as the caller wants processors busy."""
_NEEDED = (
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "VIRTUAL_ENV",
)


def without_patch_key(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a child that has no keypoints to unseal."""
    return {name: value for name, value in environment.items() if name != KEY_VARIABLE}


def bare_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a child needs to find Python and Egide: no setting, no password, no key."""
    kept = {name: environment[name] for name in _NEEDED if name in environment}
    return {**kept, **ONE_THREAD}


def end_with_parent(parent: int) -> None:
    """Watch in a thread, and end this process when `parent` is gone, also in the midst of work.

    Not `PR_SET_PDEATHSIG`: that acts when the parent's *thread* ends which started the child.
    """
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)


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
