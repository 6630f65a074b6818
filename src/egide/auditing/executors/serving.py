"""One worker process, driven by JSON lines, whatever its work is.

It is a plain child process instead of `multiprocessing`: nothing is pickled, the caller's
`__main__` is not imported again, and a crashing decoder ends only one shard's worker. A worker that
reads items writes the number of each to a slot file shared with the parent, before it reads it. So
the parent sees progress, an item that hangs, and the item that crashed the worker.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

from egide.errors import EgideError, WorkerFailed
from egide.sandbox.limits import end_with_parent

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

SLOT = struct.Struct("<qqd")
"""Item number (-1: none), bytes read of the shard, `time.monotonic()` at the item's start."""
Note = Callable[[int, int], None]
"""Told the number of an item, and the bytes read so far, before the item is read."""
Run = Callable[[dict[str, Any]], dict[str, Any]]
"""Does a job, given as `Job.line` writes it, and returns the reply: `done`, or as `failed`."""


def serve(opened: Callable[[dict[str, Any], Note], AbstractContextManager[Run]]) -> None:
    """Serve jobs from standard input until it ends.

    Args:
        opened: opens, with the settings, what does the jobs.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like a reply
    settings = json.loads(sys.stdin.readline())
    end_with_parent(settings["parent"])  # the next run resumes its shard
    with opened(settings, _note(settings["slot"])) as run:
        _reply(replies, {"ready": True})
        for line in sys.stdin:
            _reply(replies, run(json.loads(line)))


def failed(error: Exception, name: str) -> dict[str, Any]:
    """An error as plain values; one that Egide does not know is a bug, and tells only its kind.

    Args:
        error: of the work.
        name: of the shard.
    """
    known = error if isinstance(error, EgideError) else None
    if known is None:
        known = WorkerFailed(name=name, reason=type(error).__name__)
    fields = {name: str(value) for name, value in known.fields.items()}
    return {"failed": {"kind": type(known).__name__, "fields": fields}}


def _note(slot: int) -> Note:
    def note(number: int, bytes_read: int) -> None:
        os.pwrite(slot, SLOT.pack(number, bytes_read, time.monotonic()), 0)

    return note


def _reply(stream: IO[str], values: dict[str, Any]) -> None:
    stream.write(json.dumps(values) + "\n")
    stream.flush()
