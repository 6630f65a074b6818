"""What a store needs of its database: transactions, errors in our own words, word of changes.

`sqlite` and `postgresql` are the two that there are; the statements are the
same for both.
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
# A follower asks for the revision at least so often, should word of a change ever be lost.
_RECHECK_S = 5.0


class Database(ABC):
    """A pool of connections to one database, with a read and a write transaction.

    Attributes:
        shown: the URL for messages, without its password.
        path: of the file; None where the database is none.
    """

    def __init__(self, engine: sa.Engine, *, shown: str, path: Path | None) -> None:
        self.shown = shown
        self.path = path
        self._engine = engine
        self._closed = Event()
        self._watching = Lock()

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the store, and never waits for a writer.

        Args:
            long: its statements read a whole store, and may take their time.

        Raises:
            StoreError: of the kind that fits what the database reports.
        """
        with self._translated(), self._reader() as connection, connection.begin():
            if long:
                self._allow_long(connection)
            yield connection

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that is the only writer from its first statement on.

        One writer at a time is what makes revisions appear in order: whoever has seen revision r
        has seen everything before it.

        Args:
            long: its statements write a whole store, and may take their time.

        Raises:
            StoreError: of the kind that fits what the database reports; nothing was changed.
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

        One thread is told of changes by the database; others that wait at the same time ask for
        the revision every tenth of a second.
        """
        end = time.monotonic() + timeout_s
        told = self._watching.acquire(blocking=False)
        try:
            while not self._closed.is_set():
                if told:
                    self._watch()  # before the revision is read, so that none falls in between
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
        """Close the connections that are not in use, and end the waiting for changes."""
        self._closed.set()
        with self._watching:
            self._unwatch()
        self._engine.dispose()

    @abstractmethod
    def check_place(self, *, create: bool) -> None:
        """See that there is a database to connect to.

        Args:
            create: make an empty one where that is possible.

        Raises:
            StoreMissing, StoreUnreadable, StoreReadOnly, StoreFull: there is none.
        """

    @abstractmethod
    def prepare_new(self) -> None:
        """Set what lasts as long as the database does."""

    @abstractmethod
    def prepare_when_written(self) -> None:
        """Have the first write do what `prepare_new` does, where that was left out.

        A backup is left as it can be read from a disk that cannot be written to.
        """

    @abstractmethod
    def announce(self, connection: sa.Connection) -> None:
        """Tell who waits for changes, when the transaction of `connection` is committed."""

    @abstractmethod
    def notice_growth(self, connection: sa.Connection) -> None:
        """Have the database adapt to how many entries the transaction of `connection` has added."""

    @abstractmethod
    def forget_erased(self) -> bool:
        """Remove what was erased from where the database keeps it a while longer.

        Returns:
            whether it was done; False while somebody still reads an earlier state.
        """

    @abstractmethod
    def load(self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows as they are, numbers included; values in the order of the columns."""

    @abstractmethod
    def end_loading(self, connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
        """Have the numbering of loaded tables go on after their last number."""

    @abstractmethod
    def _reader(self) -> sa.Connection:
        """A connection whose transactions only read."""

    @abstractmethod
    def _writer(self) -> sa.Connection:
        """A connection whose transactions write."""

    @abstractmethod
    def _allow_long(self, connection: sa.Connection) -> None:
        """Let the statements of this transaction take as long as work on a whole store does."""

    @abstractmethod
    def _exclude_writers(self, connection: sa.Connection) -> None:
        """Have the transaction that has just begun be the only one that writes."""

    @abstractmethod
    def _watch(self) -> None:
        """Have commits from now on end `_wait`; called again where it is so already."""

    @abstractmethod
    def _wait(self, timeout_s: float) -> None:
        """Return when something was committed, perhaps without need; or at `close`."""

    @abstractmethod
    def _unwatch(self) -> None:
        """Let go of what `_watch` holds."""

    @abstractmethod
    def _known(self, error: BaseException | None, *, writes: bool) -> EgideError | None:
        """The error of ours for one of the driver, or None for one that would be a defect."""

    @contextmanager
    def _translated(self, *, writes: bool = False) -> Iterator[None]:
        try:
            yield
        except sa.exc.TimeoutError as error:  # of the pool: all connections are in use
            raise StoreLocked(store=self.shown) from error
        except sa.exc.PendingRollbackError as error:  # somebody went on after an error
            reason = "the connection to it broke"
            raise StoreUnreadable(store=self.shown, reason=reason) from error
        except Exception as error:
            # Of the driver itself where it was spoken to without SQLAlchemy.
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            known = self._known(cause, writes=writes)
            if known is None:
                raise
            raise known from error
