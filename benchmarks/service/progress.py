"""What is going on, on standard error: the figures alone go to standard output."""

from __future__ import annotations

import sys
import time

_STARTED_S = time.monotonic()


def say(text: str) -> None:
    """Print a line with the time since the start."""
    print(f"[{time.monotonic() - _STARTED_S:6.1f} s] {text}", file=sys.stderr, flush=True)
