"""Run shards on a Ray cluster. The nodes' side is in `egide.auditing.executors.station`.

Ray carries calls and bytes, and no more: who reads what next, what is tried again and what is
written is decided here. The folder of the audit need not be shared: its files are written here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import signal
import socket
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from egide import errors
from egide.auditing.executors.base import Done, Tick
from egide.auditing.executors.station import FOLDERS, Station, versions
from egide.auditing.sources import is_local
from egide.errors import (
    ClusterDiffers,
    ClusterUnavailable,
    ClusterUnusable,
    OutputUnwritable,
    WorkerFailed,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import TracebackType

    from egide.auditing.executors.base import Job, Setup

LOCAL, AUTO = "local", "auto"
MAX_LOSSES = 3
"""The audit fails when this many workers were lost over one shard without a new part."""
START_S = 300.0
"""The audit fails when for so long no worker at all has started: a grown cluster takes minutes."""
_PIECE_BYTES = 16 * 1024 * 1024
_POLL_S = 0.2
_CLOSE_S = 5.0
_REACH_S = 10.0
_LOST_S = 5.0
_STORE_BYTES = 256 * 1024 * 1024
_FILE = re.compile(r"([0-9a-f]{32})\.[0-9]{1,9}\.(?:parquet|jsonl)")
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else it warns of a coming change
}


class Cluster:
    """A Ray cluster that this process has joined.

    Attributes:
        name: as the caller named it.
    """

    def __init__(self, ray: Any, name: str) -> None:
        self.ray = ray
        self.name = name

    @property
    def processors(self) -> int:
        """How many the cluster has at present."""
        return max(int(self.ray.cluster_resources().get("CPU", 1)), 1)

    def executor(self, setup: Setup) -> RayExecutor:
        """Make what runs an audit's shards there, for `egide.audit`."""
        return RayExecutor(self, setup)


@contextmanager
def joined(name: str, *, processes: int) -> Iterator[Cluster]:
    """Join a cluster, and leave it at the end.

    Args:
        name: `local` starts one of this machine alone, `auto` is the one that runs here, else the
            address `host:port` of one that this machine is a node of.
        processes: how many the local one may use.

    Raises:
        ClusterUnavailable: Ray is not installed.
        ClusterUnusable: there is no such cluster, or it does not start.
    """
    os.environ.update(_QUIET)
    try:
        import ray
    except ImportError as error:
        raise ClusterUnavailable from error
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    if name.startswith("ray://"):
        reason = "run the audit on a machine of the cluster, and name it auto or host:port"
        raise ClusterUnusable(name=name, reason=reason)
    if ":" in name:
        _check_reachable(name)
    options: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
    if name == LOCAL:
        options |= {
            "num_cpus": processes,
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
        }
    ending = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(name, **options)
    except Exception as error:
        raise ClusterUnusable(name=name, reason=_why(name, error)) from error
    signal.signal(signal.SIGTERM, ending)  # Ray's would end this process without a word
    # When a node is lost, it would write its daemon's log into what this process answers.
    ray._private.worker.print_to_stdstream = lambda *_, **__: None  # noqa: SLF001
    try:
        yield Cluster(ray, name)
    finally:
        ray.shutdown()


class RayExecutor:
    """Workers on the nodes of a cluster, each of which may be lost without harm to the others."""

    def __init__(self, cluster: Cluster, setup: Setup) -> None:
        self._cluster = cluster
        self._ray = cluster.ray
        self._setup = setup
        self._seats: list[_Seat] = []
        self._holders: dict[tuple[str, str], tuple[int, int]] = {}
        self._digests: dict[str, str] = {}
        self._losses: dict[str, int] = {}
        self._failed_starts = 0
        self._alone_since = 0.0

    def __enter__(self) -> Self:
        """Ask for the workers: they start while the caller plans."""
        for name, descriptor in self._files().items():
            with Path(f"/dev/fd/{descriptor}").open("rb") as stream:
                self._digests[name] = hashlib.file_digest(stream, "sha256").hexdigest()
        self._alone_since = time.monotonic()
        self._seats = [self._new_seat() for _ in range(self._setup.workers)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers; each first removes what it has on its node."""
        with suppress(Exception):  # of nodes that are gone
            if closing := [seat.actor.close.remote() for seat in self._seats if seat.ready]:
                self._ray.wait(closing, num_returns=len(closing), timeout=_CLOSE_S)
        for seat in self._seats:
            with suppress(Exception):
                self._ray.kill(seat.actor)
        self._seats = []

    def run(self, jobs: Iterator[Job]) -> Iterator[Done | Tick]:
        """Scan every job; yield each as it is done, and a tick several times a second.

        Raises:
            OutputUnwritable: a part could not be written.
            ClusterDiffers, ClusterUnusable: the cluster is not fit for the audit.
            SourceNotShared: a file that exists here does not exist on a node.
            WorkerFailed: workers are lost over and over, or a bug in Egide stopped one.
        """
        waiting: list[Job] = []
        while True:
            if not waiting and not any(seat.job for seat in self._seats):
                job = next(jobs, None)
                if job is None:
                    return
                waiting.append(job)
            for seat in self._seats:
                if seat.idle and (job := waiting.pop() if waiting else next(jobs, None)):
                    self._begin(seat, job)
            for seat in self._answered():
                if (done := self._go_on(seat)) is not None:
                    yield done
            self._replace_lost(waiting)
            yield Tick(
                sum(seat.bytes for seat in self._seats), sum(seat.items for seat in self._seats)
            )

    # --- workers -------------------------------------------------------------------------------

    def _new_seat(self) -> _Seat:
        options = {"num_cpus": 1, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
        try:
            actor = self._ray.remote(**options)(Station).remote()
        except Exception as error:
            raise ClusterUnusable(name=self._cluster.name, reason=type(error).__name__) from error
        seat = _Seat(actor)
        seat.talk = self._prepare(seat)
        seat.call = next(seat.talk)
        return seat

    def _answered(self) -> list[_Seat]:
        """Wait for a moment for answers; fail when no worker comes at all."""
        calling = {seat.call: seat for seat in self._seats if seat.call is not None}
        try:
            found, _ = self._ray.wait(list(calling), num_returns=len(calling), timeout=0)
            if not found:
                found, _ = self._ray.wait(list(calling), timeout=_POLL_S)
        except Exception as error:
            raise ClusterUnusable(name=self._cluster.name, reason=type(error).__name__) from error
        self._check_company()
        return [calling[call] for call in found]

    def _check_company(self) -> None:
        """Raise if no worker is there, and none will come."""
        if any(seat.ready for seat in self._seats):
            self._alone_since = time.monotonic()
            return
        alone_s = time.monotonic() - self._alone_since
        reason = None
        if alone_s > START_S:
            reason = "no worker starts there: `ray status` says what is free"
        elif alone_s > _LOST_S and not any(node["Alive"] for node in self._ray.nodes()):
            reason = "all its nodes are gone"
        if reason is not None:
            raise ClusterUnusable(name=self._cluster.name, reason=reason)

    def _begin(self, seat: _Seat, job: Job) -> None:
        seat.job = job
        seat.talk = self._scan(seat, job)
        seat.call = next(seat.talk)

    def _go_on(self, seat: _Seat) -> Done | None:
        """Take the answer to a call and make the next one; return the job, if it is done."""
        try:
            answer = self._ray.get(seat.call)
        except Exception as error:  # noqa: BLE001 - Ray has many words for a lost worker
            if not seat.ready:
                self._count_failed_start(error)
            seat.lost = True
            return None
        if isinstance(answer, dict) and "failed" in answer:
            kind: type[errors.EgideError] = getattr(errors, answer["failed"]["kind"])
            raise kind(**answer["failed"]["fields"])
        try:
            seat.call = seat.talk.send(answer)
        except StopIteration as ended:
            job, seat.job, seat.call = seat.job, None, None
            seat.bytes = seat.items = 0
            return Done(job, ended.value) if job else None
        return None

    def _replace_lost(self, waiting: list[Job]) -> None:
        for number, seat in enumerate(self._seats):
            if not seat.lost:
                continue
            with suppress(Exception):
                self._ray.kill(seat.actor)
            self._holders = {
                key: holder for key, holder in self._holders.items() if holder[0] != seat.pid
            }
            if seat.job is not None:
                self._count_loss(seat.job)
                waiting.append(seat.job)
            self._seats[number] = self._new_seat()

    def _count_loss(self, job: Job) -> None:
        losses = self._losses[job.id] = self._losses.get(job.id, 0) + 1
        if losses >= MAX_LOSSES:
            reason = "the cluster lost it over and over, without a new part"
            raise WorkerFailed(name=job.shard.name, reason=reason)

    def _count_failed_start(self, error: Exception) -> None:
        self._failed_starts += 1
        if "No module named 'egide" in str(error):
            reason = "a node does not have this version of Egide installed"
        elif self._failed_starts >= MAX_LOSSES * len(self._seats):
            reason = f"its workers end at their start ({type(error).__name__})"
        else:
            return
        raise ClusterUnusable(name=self._cluster.name, reason=reason) from error

    # --- what is said to a worker: each `yield` makes a call and receives its answer -----------

    def _prepare(self, seat: _Seat) -> Generator[Any, Any, None]:
        hello = yield seat.actor.hello.remote()
        theirs, ours = hello["versions"], versions()
        for name, value in ours.items():
            if theirs.get(name) != value:
                raise ClusterDiffers(
                    node=hello["node"],
                    theirs=f"{name} {theirs.get(name, 'of no version')}",
                    ours=f"{name} {value}",
                )
        seat.pid, node = hello["pid"], hello["node"]
        for name, descriptor in self._files().items():
            yield from self._send(seat, node, name, descriptor)
        setup = self._setup
        yield seat.actor.open.remote(
            setup.settings,
            setup.item_timeout_s,
            dict(setup.environment or {}),
            str(Path.cwd()),
            setup.module,
        )
        seat.ready = True
        self._failed_starts = 0

    def _send(
        self, seat: _Seat, node: str, name: str, descriptor: int
    ) -> Generator[Any, Any, None]:
        """Send a file to a node, once: other workers there take it over."""
        digest = self._digests[name]
        holder = self._holders.get((node, name))
        if holder is not None and (yield seat.actor.borrow.remote(name, *holder, digest)):
            return
        size, at = os.fstat(descriptor).st_size, 0
        while at < size:
            piece = os.pread(descriptor, _PIECE_BYTES, at)
            if not (yield seat.actor.take.remote(name, piece, in_memory=name == "patches")):
                reason = f"the node {node} has no room for the register's index"
                raise ClusterUnusable(name=self._cluster.name, reason=reason)
            at += len(piece)
        theirs = yield seat.actor.arrived.remote(name, digest)
        if theirs is None:
            reason = f"the register's index did not arrive whole on the node {node}"
            raise ClusterUnusable(name=self._cluster.name, reason=reason)
        self._holders[node, name] = (seat.pid, theirs)

    def _scan(self, seat: _Seat, job: Job) -> Generator[Any, Any, dict[str, Any]]:
        for folder, path in self._left_of(job):
            yield seat.actor.give.remote(folder, path.name, path.read_bytes())
        exists = is_local(job.shard.url) and Path(job.shard.url).exists()
        suspects = dict(job.suspects)
        answer = yield seat.actor.begin.remote(job.line(), suspects, exists=exists)
        while True:
            self._write(job, answer["files"])
            job.poisoned, job.stop_at = answer["poisoned"], answer["stop_at"]
            job.suspects = Counter(answer["suspects"])
            if answer["done"]:
                return dict(answer["reply"])
            seat.bytes = max(answer["bytes"] - job.kept.total("bytes"), 0)
            seat.items = max(answer["items"] - job.kept.position, 0)
            answer = yield seat.actor.go_on.remote()

    # --- files ---------------------------------------------------------------------------------

    def _files(self) -> dict[str, int]:
        """The register's files that workers need, with their descriptors here."""
        search = self._setup.settings["search"] or {}
        return {
            name: int(Path(search[name]).name)
            for name in ("snapshot", "patches")
            if search.get(name) is not None
        }

    def _left_of(self, job: Job) -> Iterator[tuple[str, Path]]:
        """What earlier runs left of a shard, in this audit's folders."""
        for name in FOLDERS:
            folder = self._setup.settings["work"][name]
            if folder is not None:
                known = [job.id] if name == "parts" else [job.kept_id, *job.borrowed]
                for one in known:
                    yield from ((name, path) for path in Path(folder).glob(f"{one}.*"))

    def _write(self, job: Job, files: list[tuple[str, str, bytes]]) -> None:
        for folder, name, content in files:
            found = _FILE.fullmatch(name)
            own = job.id if folder == "parts" else job.kept_id
            if folder not in FOLDERS or found is None or found[1] != own:
                raise WorkerFailed(name=job.shard.name, reason="it sent what it was not asked for")
            path = Path(self._setup.settings["work"][folder]) / name
            try:
                with written_whole(path) as stream:
                    stream.write(content)
            except OSError as error:
                raise OutputUnwritable(name=path.parents[1], reason=error.strerror) from error
            self._losses.pop(job.id, None)


class _Seat:
    """A worker, the call that it has not answered yet, and its job."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.talk: Generator[Any, Any, Any]
        self.call: Any = None
        self.job: Job | None = None
        self.pid = 0
        self.bytes = self.items = 0
        self.ready = self.lost = False

    @property
    def idle(self) -> bool:
        return self.call is None


def _check_reachable(name: str) -> None:
    """Ray itself tries for minutes.

    Raises:
        ClusterUnusable: nothing answers there.
    """
    host, _, port = name.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_S).close()
    except (OSError, ValueError, OverflowError) as error:
        reason = f"nothing answers at this address ({type(error).__name__})"
        raise ClusterUnusable(name=name, reason=reason) from error


def _why(name: str, error: Exception) -> str:
    if name == AUTO and isinstance(error, ConnectionError):
        return "none runs on this machine: join one with `ray start`, or say --ray local"
    if "ersion mismatch" in str(error):
        return "it has another version of Ray or Python than this machine"
    return f"it does not answer ({type(error).__name__})"
