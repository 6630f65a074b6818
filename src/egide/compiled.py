"""Modules compiled by Numba, once they are ready: nothing that NumPy can do waits for them.

Importing Numba takes most of a second, and compiling on the first run of an installation much
longer. So a program that works for long asks for the modules at its start. A thread of its own
prepares them while NumPy does the work. The machine code is kept beside the installed module, or in
the user's cache if that folder is not writable, and is as trustworthy as the module's own bytecode.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from threading import Lock, Thread
from typing import Any

INDEX = "egide.index.numba_kernel"
ANCHORED = "egide.hashing.anchored_compiled"

log = logging.getLogger(__name__)

_lock = Lock()
_thread: Thread | None = None
_ready: dict[str, Any] = {}


def compiled_module(name: str) -> Any:
    """The compiled module of that name, or None as long as it is not compiled."""
    return _ready.get(name)


def prepare_compiled() -> Thread | None:
    """Prepare the modules in the background; once in a process, however often this is called.

    Returns:
        the thread, which ends when they are ready or cannot be had; None without Numba.
    """
    global _thread  # noqa: PLW0603 - one for the process
    with _lock:
        if _thread is None and find_spec("numba") is not None:
            # Not a daemon: ending the interpreter under the compiler could crash it.
            _thread = Thread(target=_prepare, name="egide-compiler")
            _thread.start()
        return _thread


def _prepare() -> None:
    for name in (INDEX, ANCHORED):
        try:
            _ready[name] = import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a compiler may raise, NumPy goes on
            log.warning("working without %s: %s", name, type(error).__name__)
