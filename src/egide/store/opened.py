"""A store that is open: its connections, its number of changes, and what erasing leaves to do."""

from __future__ import annotations

import time
from contextlib import contextmanager
from copy import copy
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from egide.errors import StoreError, UsageError
from egide.store.lifecycle import open_database
from egide.store.revisions import change, current_revision, find_revision
from egide.store.schema import store_meta

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.store.connect import Database
    from egide.store.records import Revision
    from egide.store.revisions import Change

DEFAULT_URL = "sqlite:///egide.db"
DEFAULT_BUSY_TIMEOUT_S = 10.0
_POLL_S = 0.1
LOCAL_ACTOR = "local"
"""Whoever uses the command line, or Python."""


class OpenedStore:
    """What `Store` is, apart from what it holds.

    Attributes:
        url: where the store is, without its password.
        path: of the SQLite file.
        id: a random UUID that tells this store from every other; a copy of the file has the same.
        actor: who changes it, as its log says.
    """

    def __init__(self, database: Database) -> None:
        """Take over an opened database; use `Store.open`."""
        self._database = database
        self.actor = LOCAL_ACTOR
        self.url = database.shown
        self.path: Path | None = database.path
        with database.read() as connection:
            row = connection.execute(
                sa.select(store_meta.c.store_id, store_meta.c.identity_key)
            ).one()
        self.id: str = row.store_id
        self._identity_key: bytes = row.identity_key

    @classmethod
    def open(
        cls,
        url: str = DEFAULT_URL,
        *,
        create: bool = False,
        busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S,
    ) -> Self:
        """Open the store at `url`, an SQLAlchemy URL such as `sqlite:///folder/egide.db`.

        Args:
            url: of the store.
            create: make it where there is none, readable by its owner only.
            busy_timeout_s: how long a write waits for another process that writes.

        Raises:
            UsageError: the URL is a path, in memory, or of a database that Egide cannot use.
            StoreMissing: there is none, and `create` is False.
            StoreForeign: the database belongs to something else.
            StoreTooOld: `Store.upgrade` it first.
            StoreTooNew: a newer Egide wrote it.
        """
        return cls._open(url, create=create, upgrade=False, busy_timeout_s=busy_timeout_s)

    @classmethod
    def upgrade(
        cls, url: str = DEFAULT_URL, *, busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S
    ) -> Self:
        """Open the store at `url` and bring the tables of an older Egide up to date.

        Raises:
            UsageError, StoreMissing, StoreForeign, StoreTooNew: as for `open`.
        """
        return cls._open(url, create=False, upgrade=True, busy_timeout_s=busy_timeout_s)

    @classmethod
    def _open(cls, url: str, *, create: bool, upgrade: bool, busy_timeout_s: float) -> Self:
        database = open_database(url, create=create, upgrade=upgrade, busy_timeout_s=busy_timeout_s)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the store; what was erased leaves the write-ahead log now at the latest."""
        if self._database.holds_erased:
            self._forget_erased()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def acting_as(self, actor: str) -> Self:
        """The same open store, in whose log another actor stands; close the first one only."""
        other = copy(self)
        other.actor = actor
        return other

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def revision(self) -> int:
        """The number of the last change, 0 for a new store."""
        with self._database.read() as connection:
            return current_revision(connection)

    def wait_for_change(self, since: int, timeout_s: float) -> int:
        """Wait until the store has a later revision than `since`, or until the time is up.

        Returns:
            the store's revision; `since` where nothing has changed.
        """
        end = time.monotonic() + timeout_s
        while (now := self.revision()) <= since and time.monotonic() < end:
            time.sleep(_POLL_S)
        return now

    def revision_info(self, revision: int) -> Revision:
        """When a change was made, and what it was.

        Raises:
            UsageError: there is no such revision.
        """
        with self._database.read() as connection:
            found = find_revision(connection, revision)
        if found is None:
            raise UsageError(reason=f"the store has no revision {revision}")
        return found

    @contextmanager
    def _changing(self, action: str) -> Iterator[Change]:
        """A change, after which nothing that it erased stays in the write-ahead log."""
        with change(
            self._database, action, actor=self.actor, identity_key=self._identity_key
        ) as made:
            yield made
        if made.erased:
            self._forget_erased()

    def _forget_erased(self) -> None:
        try:
            self._database.holds_erased = not self._database.truncate_log()
        except StoreError:
            self._database.holds_erased = True
