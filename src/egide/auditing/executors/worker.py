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
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide import errors
from egide.auditing.again import Recent, recent_owners
from egide.auditing.scan import Banks
from egide.auditing.shards import ShardWork
from egide.auditing.sources import Shard
from egide.compiled import count_codes
from egide.index.snapshot import Snapshot
from egide.matching import Matcher, ThoroughMatcher
from egide.sandbox.limits import end_with_parent, limit_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOT = struct.Struct("<qqd")
"""Item number (-1: none), bytes read of the shard, `time.monotonic()` at the item's start."""


def main() -> None:
    """Serve jobs from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not look like a reply
    settings = json.loads(sys.stdin.readline())
    end_with_parent(settings["parent"])  # the next run resumes its shard
    work = ShardWork.from_json(settings["work"])
    limit_memory(work.limits.worker_memory_bytes)
    with searching(settings["search"], keypoints=work.keypoints) as opened:
        _reply(replies, {"ready": True})
        for line in sys.stdin:
            _reply(replies, run_job(json.loads(line), work, opened, _note(settings["slot"])))


@dataclass(frozen=True, slots=True)
class Searching:
    """What rows are compared with.

    Attributes:
        banks: of the snapshot; None if rows are compared elsewhere.
        recent: what of them has changed since the last audit, if that can be told.
    """

    banks: Banks | None
    recent: Recent | None = None


@contextmanager
def searching(search: dict[str, Any] | None, *, keypoints: bool) -> Iterator[Searching]:
    """Open what rows are compared with, as `OpenRegister.worker_settings` tells."""
    if search is None:
        yield Searching(None)
        return
    with Snapshot.open(Path(search["snapshot"])) as snapshot:
        count_codes(snapshot.code_count)
        matcher = Matcher(
            snapshot,
            banks=search["banks"],
            radius_bits=search["radius_bits"],
            now=datetime.fromisoformat(search["as_of"]),
        )
        recent = None
        if search["recent"] is not None:
            some = snapshot.some(recent_owners(snapshot, search["recent"]))
            recent = Recent(some, matcher.radius_bits)
        yield Searching(
            Banks(
                _thorough(matcher, Path(search["patches"])) if keypoints else matcher,
                snapshot.signals_held(matcher.banks),
            ),
            recent,
        )


def _thorough(matcher: Matcher, keypoints: Path) -> ThoroughMatcher:
    from egide.index.keypoints import KeypointIndex

    return ThoroughMatcher(matcher, KeypointIndex.open(keypoints))


def run_job(
    job: dict[str, Any],
    work: ShardWork,
    opened: Searching,
    on_item: Callable[[int, int], None],
) -> dict[str, Any]:
    """Do a job, given as `Job.line` writes it, and return the reply to it."""
    shard = Shard.from_json(job["shard"])
    poisoned = {int(number): getattr(errors, kind) for number, kind in job["poisoned"].items()}
    try:
        if (
            opened.banks
            and opened.recent
            and job["before_id"]
            and work.carry_over(
                job["before_id"], job["id"], shard, job["kept_id"], opened.banks, opened.recent
            )
        ):
            return {"done": True}
        work.scan(
            job["id"],
            shard,
            job["kept_id"],
            opened.banks,
            on_item=on_item,
            poisoned=poisoned,
            stop_at=job["stop_at"],
        )
    except errors.EgideError as error:
        fields = {name: str(value) for name, value in error.fields.items()}
        return {"failed": {"kind": type(error).__name__, "fields": fields}}
    except Exception as error:  # noqa: BLE001 - a bug must reach the parent as an error
        fields = {"name": shard.name, "reason": type(error).__name__}
        return {"failed": {"kind": "WorkerFailed", "fields": fields}}
    return {"done": True}


def _note(slot: int) -> Callable[[int, int], None]:
    def note(number: int, bytes_read: int) -> None:
        os.pwrite(slot, SLOT.pack(number, bytes_read, time.monotonic()), 0)

    return note


def _reply(stream: IO[str], values: dict[str, Any]) -> None:
    stream.write(json.dumps(values) + "\n")
    stream.flush()


if __name__ == "__main__":
    main()
