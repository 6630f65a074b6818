"""The compiled search kernel, once it is ready: no search waits for it.

Importing Numba takes most of a second, and compiling on the first run of an installation several.
So a program that searches for long asks for the kernel at its start. A thread prepares it while
NumPy answers, and only if there is enough to search. The machine code is kept beside the installed
module, or in the user's cache if that folder is not writable. It is as trustworthy as the module's
own bytecode in the same place.
"""

from __future__ import annotations

import logging
from importlib.util import find_spec
from threading import Lock, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)

MIN_CODES = 50_000
"""NumPy answers the 320 codes of a picture among as many in 10 ms."""

_lock = Lock()
_thread: Thread | None = None
_kernel: ModuleType | None = None


def kernel() -> ModuleType | None:
    """`egide.index.numba_kernel`, or None as long as it is not compiled."""
    return _kernel


def prepare(codes: int = MIN_CODES) -> Thread | None:
    """Prepare the kernel in the background; once in a process, however often this is called.

    Args:
        codes: how many are to be searched; with fewer than `MIN_CODES` nothing is prepared.

    Returns:
        the thread, which ends when the kernel is ready or cannot be had; None without Numba.
    """
    global _thread  # noqa: PLW0603 - one kernel for the process
    with _lock:
        if _thread is None and codes >= MIN_CODES and find_spec("numba") is not None:
            # Not a daemon: ending the interpreter under the compiler could crash it.
            _thread = Thread(target=_prepare, name="egide-kernel")
            _thread.start()
        return _thread


def _prepare() -> None:
    global _kernel  # noqa: PLW0603 - see above
    try:
        from egide.index import numba_kernel
    except Exception as error:  # noqa: BLE001 - whatever a compiler may raise, NumPy goes on
        log.warning("searching without the compiled kernel: %s", type(error).__name__)
        return
    _kernel = numba_kernel
