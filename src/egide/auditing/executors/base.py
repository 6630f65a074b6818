"""What all executors share: a job, what they report of it, and their protocol."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from egide.auditing.parts import Kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from egide.auditing.sources import Shard

MAX_CRASHES = 5
"""After this many crashing items, a shard is read no further; what was read is kept."""
MAX_DEATHS = 20
"""After this many worker deaths in one shard, an item is blamed at its first death."""


@dataclass(slots=True)
class Job:
    """A shard to scan, its parts already on disk, and its failures so far; or other work on one.

    Attributes:
        id, kept_id: name the files of its parts and of its kept fingerprints.
        before_id: names its parts in the last audit, if they may be carried over.
        at_hand: items that need not be read, since their fingerprints are kept.
        borrowed: kept fingerprints, by their ids, that the job reads and does not make.
        told: to a worker of another kind than the one that scans: plain values.
    """

    id: str
    shard: Shard
    kept: Kept = field(default_factory=lambda: Kept(()))
    kept_id: str = ""
    before_id: str = ""
    at_hand: int = 0
    borrowed: tuple[str, ...] = ()
    told: dict[str, Any] | None = None
    poisoned: dict[int, str] = field(default_factory=dict)
    stop_at: int | None = None
    suspects: Counter[int] = field(default_factory=Counter)
    unexplained: int = 0

    def line(self) -> str:
        """Return the job as a JSON line for the worker."""
        values = {
            "id": self.id,
            "kept_id": self.kept_id,
            "before_id": self.before_id,
            "shard": self.shard.to_json(),
            "poisoned": {str(number): kind for number, kind in self.poisoned.items()},
            "stop_at": self.stop_at,
            "told": self.told,
        }
        return json.dumps(values) + "\n"

    def blame(self, number: int, kind: str) -> None:
        """Record that a worker died, or was killed as stuck, at item `number`.

        The first death proves nothing: the worker may have been killed or stopped from outside, or
        memory ran out, and a sound picture must not be skipped for that. After the second, the item
        is not decoded again. After the third, reading it is the cause: the shard ends before it.
        """
        self.suspects[number] += 1
        if self.suspects[number] == 1 and self.suspects.total() <= MAX_DEATHS:
            return
        if number in self.poisoned or len(self.poisoned) >= MAX_CRASHES:
            self.stop_at = number
        self.poisoned[number] = kind


@dataclass(frozen=True, slots=True)
class Done:
    """A job whose parts are all on disk.

    Attributes:
        reply: the worker's, as plain values.
    """

    job: Job
    reply: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tick:
    """Progress in between: bytes and items read so far of unfinished shards."""

    bytes: int
    items: int


@dataclass(frozen=True, slots=True)
class Setup:
    """What an executor needs to know, whatever it is.

    Attributes:
        settings: for the worker, plain values.
        workers: how many shards to scan at once, at least 1.
        item_timeout_s: after which a worker stuck on an item is killed and replaced.
        inherit: file descriptors for workers on this machine.
        environment: variables for the workers, besides what Python needs.
        module: of the worker; None for `egide.auditing.executors.worker`.
    """

    settings: dict[str, Any]
    workers: int
    item_timeout_s: float
    inherit: tuple[int, ...] = ()
    environment: Mapping[str, str] | None = None
    module: str | None = None


class Executor(Protocol):
    """Runs jobs somewhere. It is entered before it is given any."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def run(self, jobs: Iterator[Job]) -> Iterator[Done | Tick]:
        """Scan every job; yield each as it is done, and a tick several times a second.

        Raises:
            OutputUnwritable: a part could not be written.
            WorkerFailed: a worker cannot start, or a bug in Egide stopped it.
        """
        ...
