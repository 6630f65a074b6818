"""The interface of a store's database: transactions, our own errors, notice of changes.

`sqlite` and `postgresql` implement it; the statements are the same for both.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.errors import StoreLocked, StoreUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from egide.errors import EgideError

POLL_S = 0.1
# A follower checks the revision at least this often, in case a notification is lost.
_RECHECK_S = 5.0


class Database(ABC):
    """A pool of connections to one database, with a read and a write transaction.

    Attributes:
        shown: the URL for messages, without its password.
        path: of the database's file; None if it is not a file.
    """

    def __init__(self, engine: sa.Engine, *, shown: str, path: Path | None) -> None:
        self.shown = shown
        self.path = path
        self._engine = engine
        self._closed = Event()
        self._watching = Lock()

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the store and never waits for a writer.

        Args:
            long: its statements read a whole store and may take long.

        Raises:
            StoreError: of the kind that fits the database's error.
        """
        with self._translated(), self._reader() as connection, connection.begin():
            if long:
                self._allow_long(connection)
            yield connection

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that is the only writer from its first statement on.

        With one writer at a time revisions appear in order: a reader that has seen revision r has
        seen everything before it.

        Args:
            long: its statements write a whole store and may take long.

        Raises:
            StoreError: of the kind that fits the database's error; nothing was changed.
        """
        with self._translated(writes=True), self._writer() as connection, connection.begin():
            self._exclude_writers(connection)
            if long:
                self._allow_long(connection)
            yield connection

    def wait_for_change(
        self, current_revision: Callable[[], int], since: int, timeout_s: float
    ) -> int:
        """Wait for a later revision than `since`; see `Store.wait_for_change`.

        The database notifies one thread of changes; other waiting threads check the revision every
        tenth of a second.
        """
        end = time.monotonic() + timeout_s
        told = self._watching.acquire(blocking=False)
        try:
            while not self._closed.is_set():
                if told:
                    self._watch()  # before reading the revision, so that no change is missed
                revision = current_revision()
                left_s = end - time.monotonic()
                if revision > since or left_s <= 0:
                    return revision
                if told:
                    self._wait(min(left_s, _RECHECK_S))
                else:
                    self._closed.wait(min(left_s, POLL_S))
            return since
        finally:
            if told:
                self._watching.release()

    def close(self) -> None:
        """Close idle connections, and end waiting for changes."""
        self._closed.set()
        with self._watching:
            self._unwatch()
        self._engine.dispose()

    @abstractmethod
    def check_place(self, *, create: bool) -> None:
        """Check that there is a database to connect to.

        Args:
            create: make an empty database if possible.

        Raises:
            StoreMissing, StoreUnreadable, StoreReadOnly, StoreFull: there is no usable database.
        """

    @abstractmethod
    def prepare_new(self) -> None:
        """Apply the permanent settings of a new database."""

    @abstractmethod
    def prepare_when_written(self) -> None:
        """Let the first write do what `prepare_new` does, if that was left out.

        It is left out for a backup, which must be readable from a read-only disk.
        """

    @abstractmethod
    def announce(self, connection: sa.Connection) -> None:
        """Notify those who wait for changes when the transaction of `connection` commits."""

    @abstractmethod
    def notice_growth(self, connection: sa.Connection) -> None:
        """Adapt the database to the number of entries that this transaction has added."""

    @abstractmethod
    def forget_erased(self) -> bool:
        """Remove erased data from where the database still keeps it.

        Returns:
            whether it was done; False while somebody still reads an earlier state.
        """

    @abstractmethod
    def load(self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows unchanged, including their numbers; values in the order of the columns."""

    @abstractmethod
    def end_loading(self, connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
        """Continue the numbering of loaded tables after their last number."""

    @abstractmethod
    def _reader(self) -> sa.Connection:
        """A connection whose transactions only read."""

    @abstractmethod
    def _writer(self) -> sa.Connection:
        """A connection whose transactions write."""

    @abstractmethod
    def _allow_long(self, connection: sa.Connection) -> None:
        """Raise this transaction's time limit for work on a whole store."""

    @abstractmethod
    def _exclude_writers(self, connection: sa.Connection) -> None:
        """Make the transaction that has just begun the only writer."""

    @abstractmethod
    def _watch(self) -> None:
        """Let commits from now on end `_wait`; may be called repeatedly."""

    @abstractmethod
    def _wait(self, timeout_s: float) -> None:
        """Return after a commit or `close`, or sometimes without a reason."""

    @abstractmethod
    def _unwatch(self) -> None:
        """Release what `_watch` holds."""

    @abstractmethod
    def _known(self, error: BaseException | None, *, writes: bool) -> EgideError | None:
        """Our error for a driver's error, or None if the error is a defect."""

    @contextmanager
    def _translated(self, *, writes: bool = False) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:  # all connections of the pool are in use
            raise StoreLocked(store=self.shown) from error
        except sa.exc.PendingRollbackError as error:  # the caller continued after an error
            reason = "the connection to it broke"
            raise StoreUnreadable(store=self.shown, reason=reason) from error
        except Exception as error:
            # The driver's own error if it was called without SQLAlchemy.
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            known = self._known(cause, writes=writes)
            if known is None:
                raise
            raise known from error
