"""What a purge remembers beside the audit: which purge it is, what is done, what is being done.

It stands in the subfolder `.purge/`, readable by its owner alone, as the audit's own work does: it
names items.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.summary import PURGE
from egide.errors import PurgeBusy, TargetUnwritable
from egide.files import make_private_folder, open_private, written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORK = ".purge"
_ENDING_S = 2.0
"""Workers of a purge that was killed end within half a second."""


class Journal:
    """The memory of one purge.

    Attributes:
        spool: a private folder for what is fetched or unpacked, and removed again.
    """

    def __init__(self, audit: Path) -> None:
        self.audit = audit
        self.path = audit / WORK
        self.spool = self.path / "spool"
        self._done = self.path / "done"
        self._doing = self.path / "doing"
        self._lock: IO[bytes] | None = None

    @contextmanager
    def opened(self) -> Iterator[Journal]:
        """Make the folder and hold its lock.

        Raises:
            PurgeBusy: another process holds it.
            TargetUnwritable: it cannot be written.
        """
        with writing(self.path):
            for folder in (self.path, self._done, self._doing, self.spool):
                make_private_folder(folder, own=True)
            self._lock = open_private(self.path / "lock")
        with self._lock:
            self._take_lock(self._lock)
            for left in self.spool.iterdir():  # by a purge that was killed
                left.unlink()
            yield self

    @property
    def lock(self) -> int:
        """The descriptor of the lock. A worker inherits it: it is held until the last has ended."""
        assert self._lock is not None  # it is opened
        return self._lock.fileno()

    def _take_lock(self, lock: IO[bytes]) -> None:
        until = time.monotonic() + _ENDING_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise PurgeBusy(name=self.audit) from error
                time.sleep(0.1)
            else:
                return

    @property
    def state(self) -> dict[str, Any] | None:
        """Which purge this is; None if none was begun."""
        return _read(self.path / "state.json")

    def begin(self, state: dict[str, Any]) -> None:
        """Remember which purge this is; forget another one."""
        for folder in (self._done, self._doing):
            for path in folder.iterdir():
                path.unlink()
        (self.audit / PURGE).unlink(missing_ok=True)
        _write(self.path / "state.json", state)

    def end(self, state: dict[str, Any]) -> None:
        """Remember that it is complete."""
        _write(self.path / "state.json", {**state, "complete": True})

    def forget(self) -> None:
        """Forget all of it."""
        (self.audit / PURGE).unlink(missing_ok=True)
        (self.path / "state.json").unlink(missing_ok=True)
        for folder in (self._done, self._doing, self.spool):
            shutil.rmtree(folder, ignore_errors=True)

    def done(self, work_id: str) -> dict[str, Any] | None:
        """Return the record of a container that is done."""
        return _read(self._done / f"{work_id}.json")

    def doing(self, work_id: str) -> dict[str, Any] | None:
        """Return the record of a container whose place is being changed."""
        return _read(self._doing / f"{work_id}.json")

    def intend(self, work_id: str, record: dict[str, Any]) -> None:
        """Write down what is about to be changed."""
        _write(self._doing / f"{work_id}.json", record)

    def finish(self, work_id: str, record: dict[str, Any]) -> None:
        """Write down that a container is done."""
        _write(self._done / f"{work_id}.json", record)
        (self._doing / f"{work_id}.json").unlink(missing_ok=True)

    def drop(self, work_id: str) -> None:
        """Forget a container."""
        for folder in (self._done, self._doing):
            (folder / f"{work_id}.json").unlink(missing_ok=True)

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield every record of a container, done or begun."""
        for folder in (self._doing, self._done):
            for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
                record = _read(path)
                if record is not None:
                    yield path.stem, record


def _read(path: Path) -> dict[str, Any] | None:
    try:
        values: dict[str, Any] = json.loads(path.read_text("ascii"))
    except FileNotFoundError:
        return None
    return values


def _write(path: Path, values: dict[str, Any]) -> None:
    with writing(path), written_whole(path) as stream:
        stream.write(json.dumps(values).encode("ascii"))


@contextmanager
def spooled(spool: Path) -> Iterator[IO[bytes]]:
    """Yield a private file without a name.

    Raises:
        TargetUnwritable: there is no room for it.
    """
    with writing(spool):
        stream = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115 - closed below
    try:
        yield stream
    finally:
        with suppress(OSError):  # on a full disk, of what could not be written before
            stream.close()


@contextmanager
def writing(place: object) -> Iterator[None]:
    """Turn an OSError into an error that names the place."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise TargetUnwritable(name=place, reason=reason) from error
