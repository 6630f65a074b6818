"""The side of a cluster's node: one worker process, and what it needs, behind one Ray actor.

Shards are scanned as they are on one machine, by a child process of `LocalExecutor`. So a crashing
or hanging decoder costs one item here as there. What the child writes goes to whoever runs the
audit, and stays on the node no longer than its shard takes.

No method raises: Ray would write the error into its logs, with the names that stand in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.executors.base import Done, Job, Setup, Tick
from egide.auditing.executors.local import LocalExecutor
from egide.auditing.executors.serving import failed
from egide.auditing.sources import Shard, is_local
from egide.errors import ClusterUnusable, EgideError, SourceNotShared

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Values = dict[str, Any]
FOLDERS = ("fingerprints", "parts")
"""In the order in which they are kept: a part that exists is done."""
SPOOL = "spool"
"""A folder for what is read once: a worker that needs one has the station's."""
_REPLY_S = 0.5
_PREFIX, _UNLOCKED = "egide-station-", ".egide-station-"
_COMPARED = ("numpy", "pillow", "pyarrow")


def versions() -> dict[str, str]:
    """What has to be the same on all nodes, for the same results."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"egide": __version__, "Python": python} | {name: version(name) for name in _COMPARED}


class Station:
    """One worker of an audit, on a node. Its methods are called one after another."""

    def __init__(self) -> None:
        self._resources = ExitStack()
        self._files: dict[str, IO[bytes]] = {}
        self._digests: dict[str, Any] = {}
        self._folder = Path()
        self._executor: LocalExecutor | None = None
        self._job: Job | None = None
        self._events: Iterator[Done | Tick] = iter(())
        self._sent: dict[Path, int] = {}

    def hello(self) -> Values:
        """Say who this is."""
        return {"versions": versions(), "node": platform.node(), "pid": os.getpid()}

    def borrow(self, name: str, pid: int, descriptor: int, digest: str) -> bool:
        """Take a file over from another station of this node; return whether that was possible."""
        try:
            stream = Path(f"/proc/{pid}/fd/{descriptor}").open("rb")  # noqa: SIM115 - kept open
        except OSError:
            return False
        if hashlib.file_digest(stream, "sha256").hexdigest() != digest:
            stream.close()
            return False
        self._keep(name, stream)
        return True

    def take(self, name: str, piece: bytes, *, in_memory: bool) -> bool:
        """Add a piece to a file that has no name here; return whether there was room for it."""
        try:
            if name not in self._files:
                self._digests[name] = hashlib.sha256()
                self._keep(name, _nameless(name, in_memory=in_memory))
            self._files[name].write(piece)
            self._files[name].flush()
        except OSError:
            return False
        self._digests[name].update(piece)
        return True

    def arrived(self, name: str, digest: str) -> int | None:
        """Return the descriptor of a file that came whole; else None."""
        if self._digests[name].hexdigest() != digest:
            return None
        return self._files[name].fileno()

    def open(
        self,
        settings: Values,
        item_timeout_s: float,
        environment: Mapping[str, str],
        working_folder: str,
        module: str | None,
    ) -> Values:
        """Start the worker process; return `failed` if it does not start.

        Args:
            settings: for the worker; folders and files are replaced by this station's.
            item_timeout_s: see `Setup`.
            environment: see there.
            working_folder: where the audit is run, and relative paths lead from.
            module: see `Setup`.
        """
        with suppress(OSError):  # of a source that is not there each shard says it
            os.chdir(working_folder)
        try:
            self._open(settings, item_timeout_s, environment, module)
        except EgideError as error:
            return failed(error, "")
        except Exception as error:  # noqa: BLE001 - see above
            return failed(ClusterUnusable(name=platform.node(), reason=type(error).__name__), "")
        return {}

    def give(self, folder: str, name: str, content: bytes) -> None:
        """Take what an earlier run left of the next shard."""
        path = self._folder / folder / name
        path.write_bytes(content)
        self._sent[path] = path.stat().st_ino

    def begin(self, line: str, suspects: Mapping[str, int], *, exists: bool) -> Values:
        """Begin a shard.

        Args:
            line: of the job, see `Job.line`.
            suspects: how often workers died at an item.
            exists: whether the shard's file exists where the audit is run.

        Returns:
            as `go_on`.
        """
        values = json.loads(line)
        shard = Shard.from_json(values["shard"])
        if exists and is_local(shard.url) and not os.path.exists(shard.url):  # noqa: PTH110 - a name
            return failed(SourceNotShared(name=shard.name, node=platform.node()), shard.name)
        poisoned = {int(number): kind for number, kind in values["poisoned"].items()}
        self._job = Job(
            values["id"],
            shard,
            kept_id=values["kept_id"],
            poisoned=poisoned,
            stop_at=values["stop_at"],
            told=values["told"],
            suspects=Counter({int(number): count for number, count in suspects.items()}),
        )
        assert self._executor is not None  # it is open
        self._events = self._executor.run(iter([self._job]))
        return self.go_on()

    def go_on(self) -> Values:
        """Work on the shard until there is something to tell, for half a second at most.

        Returns:
            `files` with folder, name and content of each that is new; `done`; `bytes` and `items`
            that are read; what is known of crashes; once it is done, the worker's `reply`. Or
            `failed`.
        """
        done, tick, until = None, Tick(0, 0), time.monotonic() + _REPLY_S
        files: list[tuple[str, str, bytes]] = []
        job = self._job
        assert job is not None  # it was begun
        try:
            for event in self._events:
                done = event if isinstance(event, Done) else None
                tick = event if isinstance(event, Tick) else tick
                files = self._new_files(job)
                if done or files or time.monotonic() > until:
                    break
            if done:
                for _ in self._events:  # it lets go of the job only then
                    pass
        except Exception as error:  # noqa: BLE001 - see above
            return failed(error, job.shard.name)
        if done:
            self._forget()
        return {
            "done": done is not None,
            "reply": done.reply if done else {},
            "files": files,
            "bytes": tick.bytes,
            "items": tick.items,
            "poisoned": job.poisoned,
            "stop_at": job.stop_at,
            "suspects": dict(job.suspects),
        }

    def close(self) -> None:
        """End the worker, and leave nothing."""
        self._resources.close()

    def _open(
        self,
        settings: Values,
        item_timeout_s: float,
        environment: Mapping[str, str],
        module: str | None,
    ) -> None:
        self._folder = self._own_folder()
        for name in (*FOLDERS, SPOOL):
            (self._folder / name).mkdir(0o700)
        given = {name for name, path in settings["work"].items() if path is not None}
        paths = {name: str(self._folder / name) for name in given & {*FOLDERS, SPOOL}}
        search = settings["search"]
        if search is not None:
            own = {name: f"/dev/fd/{stream.fileno()}" for name, stream in self._files.items()}
            search = {**search, **own}
        setup = Setup(
            {
                **settings,
                "work": {**settings["work"], **paths},
                "search": search,
            },
            workers=1,
            item_timeout_s=item_timeout_s,
            inherit=tuple(stream.fileno() for stream in self._files.values()),
            environment=environment,
            module=module,
        )
        self._executor = self._resources.enter_context(LocalExecutor(setup))

    def _keep(self, name: str, stream: IO[bytes]) -> None:
        self._files[name] = self._resources.enter_context(stream)

    def _new_files(self, job: Job) -> list[tuple[str, str, bytes]]:
        # Of a part that is seen the fingerprints are on the disk: they are looked for after it.
        found = {name: sorted(self._ready(name, job), key=_number) for name in reversed(FOLDERS)}
        new: list[tuple[str, str, bytes]] = []
        for folder in FOLDERS:
            for path in found[folder]:
                inode = path.stat().st_ino  # another where a damaged file was written again
                if self._sent.get(path) != inode:
                    new.append((folder, path.name, path.read_bytes()))
                    self._sent[path] = inode
        return new

    def _ready(self, folder: str, job: Job) -> Iterator[Path]:
        prefix = job.id if folder == "parts" else job.kept_id
        return (self._folder / folder).glob(f"{prefix}.*")

    def _forget(self) -> None:
        for path in self._sent:
            path.unlink(missing_ok=True)
        self._sent.clear()

    def _own_folder(self) -> Path:
        """Make a private folder, and remove those of stations of this user that were killed."""
        parent = Path(tempfile.gettempdir())
        for left in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError), _locked(left) as found:
                if found.st_uid == os.getuid():
                    shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=_UNLOCKED))
        self._resources.enter_context(_locked(made))
        folder = made.rename(parent / made.name.replace(_UNLOCKED, _PREFIX, 1))
        self._resources.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder


@contextmanager
def _locked(folder: Path) -> Iterator[os.stat_result]:
    """Hold a folder's lock; an OSError says that another process does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _number(path: Path) -> int:
    return int(path.name.split(".")[1])


def _nameless(name: str, *, in_memory: bool) -> IO[bytes]:
    if in_memory and sys.platform == "linux":
        return os.fdopen(os.memfd_create(f"egide-{name}"), "w+b")
    return tempfile.TemporaryFile()
