"""One worker process, driven by JSON lines.

It is a plain child process instead of `multiprocessing`: nothing is pickled, the caller's
`__main__` is not imported again, and a crashing decoder ends only one shard's worker. Before each
item the worker writes its number to a slot file shared with the parent. So the parent sees
progress, an item that hangs, and the item that crashed the worker.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide import errors
from egide.auditing.parts import read_kept, write_part
from egide.auditing.scan import Scanner
from egide.auditing.sources import Shard
from egide.compiled import count_codes
from egide.domain.model import Limits, Mode
from egide.index.snapshot import Snapshot
from egide.matching import Matcher, ThoroughMatcher
from egide.sandbox.limits import end_with_parent, limit_memory

if TYPE_CHECKING:
    from collections.abc import Callable

SLOT = struct.Struct("<qqd")
"""Item number (-1: none), bytes read of the shard, `time.monotonic()` at the item's start."""


def main() -> None:
    """Serve jobs from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like a reply
    settings = json.loads(sys.stdin.readline())
    end_with_parent(settings["parent"])  # the next run resumes its shard
    limits = Limits(**settings["limits"])
    limit_memory(limits.worker_memory_bytes)
    folder = Path(settings["parts"])
    with Snapshot.open(Path(settings["snapshot"])) as snapshot:
        count_codes(snapshot.code_count)
        matcher = Matcher(
            snapshot,
            banks=settings["banks"],
            radius_bits=settings["radius_bits"],
            now=_moment(settings["as_of"]),
        )
        keypoints = settings["patches"] is not None
        scanner = Scanner(
            matcher=_thorough(matcher, Path(settings["patches"])) if keypoints else matcher,
            mode=Mode(settings["mode"]),
            limits=limits,
            held=snapshot.signals_held(matcher.banks),
            anchored=settings["anchored"],
            keypoints=keypoints,
            on_item=_note(settings["slot"]),
        )
        _reply(replies, {"ready": True})
        for line in sys.stdin:
            _reply(replies, _run(json.loads(line), scanner, folder))


def _thorough(matcher: Matcher, keypoints: Path) -> ThoroughMatcher:
    from egide.index.keypoints import KeypointIndex

    return ThoroughMatcher(matcher, KeypointIndex.open(keypoints))


def _run(job: dict[str, Any], scanner: Scanner, folder: Path) -> dict[str, Any]:
    poisoned = {int(number): getattr(errors, kind) for number, kind in job["poisoned"].items()}
    shard, kept = Shard.from_json(job["shard"]), read_kept(folder, job["id"])
    try:
        parts = scanner.scan(shard, poisoned, job["stop_at"], kept.position)
        for number, part in enumerate(parts, len(kept.parts)):
            write_part(folder, job["id"], number, part)
    except errors.EgideError as error:
        fields = {name: str(value) for name, value in error.fields.items()}
        return {"failed": {"kind": type(error).__name__, "fields": fields}}
    except Exception as error:  # noqa: BLE001 - a bug must reach the parent as an error
        name, reason = job["shard"]["name"], type(error).__name__
        return {"failed": {"kind": "WorkerFailed", "fields": {"name": name, "reason": reason}}}
    return {"done": True}


def _note(slot: int) -> Callable[[int, int], None]:
    def note(number: int, bytes_read: int) -> None:
        os.pwrite(slot, SLOT.pack(number, bytes_read, time.monotonic()), 0)

    return note


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _reply(stream: IO[str], values: dict[str, Any]) -> None:
    stream.write(json.dumps(values) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
