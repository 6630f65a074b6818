"""Silence Pillow's warnings while a file is decoded, in any number of threads."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()
_open: list[warnings.catch_warnings[None]] = []
_depth = 0


@contextmanager
def quiet() -> Iterator[None]:
    """Ignore warnings raised inside PIL: Egide has its own limits and error messages.

    `warnings.catch_warnings` alone would restore the wrong filters if two threads overlap. Here the
    first thread to enter saves them and the last to leave restores them.
    """
    global _depth  # noqa: PLW0603
    with _lock:
        if _depth == 0:
            saved = warnings.catch_warnings()
            saved.__enter__()
            _open.append(saved)
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _open.pop().__exit__(None, None, None)
