"""Modules compiled by Numba, once they are ready: nothing that NumPy can do waits for them.

Importing Numba takes most of a second, and compiling on the first run of an installation half a
minute. So a program that has done some work, and will do more, asks for a module; a thread prepares
it while NumPy goes on. The machine code is kept beside the installed module, or in the user's cache
if that folder is not writable. It is as trustworthy as the module's own bytecode in the same place.
"""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from threading import Lock, Thread
from typing import Any

SEARCH = "egide.index.numba_kernel"
MIN_CODES = 50_000
"""Fewer codes to search are not worth it: NumPy finds a picture's 320 among them in 10 ms."""
ANCHORED = "egide.hashing.anchored_compiled"
WORTH_COMPILING = 500
"""After so many pictures a process asks for `ANCHORED`: so many take as long as compiling it."""

log = logging.getLogger(__name__)

_lock = Lock()
_threads: dict[str, Thread] = {}
_ready: dict[str, Any] = {}
_pictures = count(1)


def compiled_module(name: str) -> Any:
    """The compiled module of that name, or None as long as it is not compiled."""
    return _ready.get(name)


def prepare_compiled(name: str) -> Thread | None:
    """Prepare a module in the background; once in a process, however often this is called.

    Returns:
        the thread, which ends when it is ready or cannot be had; None without Numba.
    """
    with _lock:
        if name not in _threads and find_spec("numba") is not None:
            # Not a daemon: ending the interpreter under the compiler could crash it.
            _threads[name] = Thread(target=_prepare, args=(name,), name="egide-compiler")
            _threads[name].start()
        return _threads.get(name)


def count_codes(codes: int) -> None:
    """Say how many codes are to be searched, and compile the search when it is worth it."""
    if codes >= MIN_CODES:
        prepare_compiled(SEARCH)


def count_picture() -> None:
    """Count a picture whose anchored hashes are wanted, and compile when it is worth it."""
    if next(_pictures) == WORTH_COMPILING:
        prepare_compiled(ANCHORED)


def _prepare(name: str) -> None:
    try:
        _ready[name] = import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever a compiler may raise, NumPy goes on
        log.warning("working without %s: %s", name, type(error).__name__)
