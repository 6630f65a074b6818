"""Track erased data and the files that may still hold it, in the store, so it survives a kill.

A change that erases records this in its own transaction; `Erasure.settled` records that the
database's files no longer hold the data. A search snapshot's revision tells whether it may hold it.
"""

from __future__ import annotations

import fcntl
import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import StoreFull, StoreLocked, StoreReadOnly
from egide.store.tables.register import snapshot_files, store_meta, unfinished_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.store.database.interface import Database

# SQLite's own files beside a database that is being written.
_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Erased:
    """The progress of erasure.

    Attributes:
        revision: the last revision that erased a fingerprint; 0 if none did.
        pending_since: Unix seconds, since when the database's files may hold erased data; None if
            they hold none.
        erasures: number of erasures so far.
    """

    revision: int
    pending_since: int | None
    erasures: int


class Erasure:
    """The erasures of a store; see `Store.erasure`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self) -> Erased:
        """The progress of erasure."""
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(
                    store_meta.c.erased_revision,
                    store_meta.c.erasure_pending_since,
                    store_meta.c.erasures,
                )
            ).one()
        return Erased(*row)

    def settled(self, seen: Erased) -> None:
        """Record that the files no longer hold what was erased before `seen` was read."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(store_meta)
                .where(store_meta.c.erasures == seen.erasures)
                .values(erasure_pending_since=None)
            )

    def note_snapshot(self, path: Path) -> None:
        """Record the path of a snapshot for all processes that erase, whatever their settings.

        A store that is locked, full or read-only does not stop the search: the next process that
        opens the snapshot records it.

        Raises:
            StoreError: the store cannot be read, or reports something else.
        """
        if path.resolve() in self.snapshots():
            return
        cannot_write = suppress(StoreFull, StoreLocked, StoreReadOnly)
        with cannot_write, self._database.write() as connection:
            connection.execute(sa.insert(snapshot_files).values(path=str(path.resolve())))

    def snapshots(self) -> list[Path]:
        """Paths of possible snapshots, on this machine or another."""
        query = sa.select(snapshot_files.c.path).distinct()
        with self._database.read() as connection:
            return [Path(path) for path in connection.execute(query).scalars()]

    @contextmanager
    def writing(self, path: Path) -> Iterator[None]:
        """Ensure that an existing empty file is removed later if this process is killed.

        Otherwise the caller, who writes fingerprints to it, removes it or gives it its final name.

        Raises:
            OSError: the file cannot be locked.
            StoreError: the store cannot record the file; nothing may be written to it then.
        """
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            number = self._begin_file(path.resolve())
            try:
                yield
            finally:
                self._end_file(number)
        finally:
            os.close(descriptor)

    def remove_abandoned(self) -> None:
        """Remove the reachable files whose writers were killed."""
        with self._database.read() as connection:
            left = connection.execute(
                sa.select(unfinished_files).order_by(unfinished_files.c.id)
            ).all()
        for number, host, path in left:
            # A restarted container has another host name but the same volume. A missing file may
            # still exist on another machine.
            known = host == socket.gethostname() or Path(path).is_file()
            if _removed(Path(path)) and known:
                self._end_file(number)

    def _begin_file(self, path: Path) -> int:
        with self._database.write() as connection:
            made = connection.execute(
                sa.insert(unfinished_files).values(host=socket.gethostname(), path=str(path))
            ).inserted_primary_key
        assert made is not None
        return int(made[0])

    def _end_file(self, number: int) -> None:
        with self._database.write() as connection:
            connection.execute(sa.delete(unfinished_files).where(unfinished_files.c.id == number))


def _removed(path: Path) -> bool:
    """Remove a file whose writer has ended; return whether the file is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return _removed_beside(path)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The name may belong to another file meanwhile.
        if not os.path.samestat(os.fstat(descriptor), path.stat()):
            return True
        # The file itself last: while it exists it is locked, and the rest will be cleaned up.
        if not _removed_beside(path):
            return False
        path.unlink()
    except OSError:  # it is being written or cannot be removed
        return False
    finally:
        os.close(descriptor)
    return True


def _removed_beside(path: Path) -> bool:
    try:
        for suffix in _BESIDE:
            Path(f"{path}{suffix}").unlink(missing_ok=True)
    except OSError:
        return False
    return True


def note_erasure(connection: sa.Connection, *, at: int, revision: int | None = None) -> None:
    """Record that a transaction erases.

    Args:
        connection: of the transaction.
        at: Unix seconds.
        revision: of the change, if it erases a fingerprint that a snapshot may hold.
    """
    values: dict[str, object] = {
        "erasure_pending_since": sa.func.coalesce(store_meta.c.erasure_pending_since, at),
        "erasures": store_meta.c.erasures + 1,
    }
    if revision is not None:
        values["erased_revision"] = revision
    connection.execute(sa.update(store_meta).values(values))
