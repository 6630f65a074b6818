"""The worker that scans shards. Before each item it notes its number: see `serving`."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egide import errors
from egide.auditing.again import Recent, recent_owners
from egide.auditing.executors.serving import failed, serve
from egide.auditing.scan import Banks
from egide.auditing.shards import ShardWork
from egide.auditing.sources import Shard
from egide.compiled import count_codes
from egide.index.snapshot import Snapshot
from egide.matching import Matcher, ThoroughMatcher
from egide.sandbox.limits import limit_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.executors.serving import Note, Run


def main() -> None:
    """Serve jobs from standard input until it ends."""
    serve(_scanning)


@contextmanager
def _scanning(settings: dict[str, Any], note: Note) -> Iterator[Run]:
    work = ShardWork.from_json(settings["work"])
    limit_memory(work.limits.worker_memory_bytes)
    with searching(settings["search"], keypoints=work.keypoints) as opened:
        yield lambda job: run_job(job, work, opened, note)


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
    on_item: Note,
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
    except Exception as error:  # noqa: BLE001 - a bug must reach the parent as an error
        return failed(error, shard.name)
    return {"done": True}


if __name__ == "__main__":
    main()
