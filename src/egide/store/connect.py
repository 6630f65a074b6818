"""Connections to the database of a store: transactions, SQLite settings, errors in our own words.

The only module that knows which database it talks to. PostgreSQL needs a branch here (a table lock
for `write`, REPEATABLE READ for `read`), and nothing elsewhere.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy import event

from egide.errors import (
    EgideError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreadable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITES = "egide_writes"
_CHECKPOINT_TIMEOUT_MS = 1000
# A million identities make an index of about 35 MB; a cache that holds it keeps a big import from
# writing the same pages again and again.
_CACHE_KIB = 64 * 1024
_LOG_LIMIT_BYTES = 64 * 1024 * 1024


class Database:
    """A pool of connections to one database, with a read and a write transaction.

    Attributes:
        shown: the URL for messages, without its password.
        path: of the SQLite file.
        holds_erased: whether what was erased may still stand in the write-ahead log.
    """

    def __init__(self, url: sa.URL, *, busy_timeout_s: float) -> None:
        self.shown = url.render_as_string(hide_password=True)
        self.path = sqlite_path(url)
        self.holds_erased = False
        # An error's text quotes its statement; with its parameters it would quote fingerprints.
        self._engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": busy_timeout_s}
        )
        event.listen(self._engine, "connect", _set_up_sqlite)
        event.listen(self._engine, "begin", _begin_sqlite)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the store, and never waits for a writer.

        Raises:
            StoreError: of the kind that fits what the database reports.
        """
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is the only writer from its first statement on.

        One writer at a time is what makes revisions appear in order: whoever has seen revision r
        has seen everything before it.

        Raises:
            StoreError: of the kind that fits what the database reports; nothing was changed.
        """
        with self._translated(), self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                yield connection

    def use_write_ahead_log(self) -> None:
        """Let readers read while a process writes; a lasting property of the file."""
        with self._translated():
            self._outside_transaction("PRAGMA journal_mode=WAL")

    def truncate_log(self) -> bool:
        """Empty the write-ahead log, where erased fingerprints would otherwise stay a while.

        Returns:
            whether it was done; False while another process reads.
        """
        with self._translated():
            row = self._outside_transaction(
                "PRAGMA wal_checkpoint(TRUNCATE)", busy_timeout_ms=_CHECKPOINT_TIMEOUT_MS
            )
        return row is not None and row[0] == 0

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._engine.dispose()

    def _outside_transaction(
        self, statement: str, busy_timeout_ms: int | None = None
    ) -> tuple[Any, ...] | None:
        raw = self._engine.raw_connection()
        try:
            cursor = raw.cursor()
            if busy_timeout_ms is None:
                cursor.execute(statement)
                return cursor.fetchone()
            usual_ms = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
            cursor.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")
            try:
                cursor.execute(statement)
                return cursor.fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout={usual_ms}")
        finally:
            raw.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            known = translate(error.orig, self.shown)
            if known is None:
                raise
            raise known from error
        except sqlite3.Error as error:
            known = translate(error, self.shown)
            if known is None:
                raise
            raise known from error


def parse_url(text: str) -> sa.URL:
    """The URL of a store, checked for what Egide can use.

    Raises:
        UsageError: it is a path, another database, or SQLite in memory.
    """
    if "://" not in text:
        raise UsageError(
            reason=f"a store is named by a URL, and {text!r} is none; "
            f"for a file write sqlite:///{text}"
        )
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not repeated.
        raise UsageError(
            reason="the store's URL cannot be understood; write sqlite:///egide.db"
        ) from error
    if url.drivername not in {"sqlite", "sqlite+pysqlite"}:
        raise UsageError(
            reason=f"a store on {url.drivername} is not possible; write sqlite:///egide.db"
        )
    if sqlite_path(url) is None:
        raise UsageError(
            reason="a store in memory cannot be shared by processes; write sqlite:///egide.db"
        )
    return url


def sqlite_path(url: sa.URL) -> Path | None:
    """Where the SQLite file of `url` is, or None for a database in memory."""
    database = url.database
    if not database or database == ":memory:" or url.query.get("mode") == "memory":
        return None
    if database.startswith("file:"):
        name = unquote(database.removeprefix("file:").removeprefix("//"))
        return Path(name) if name and name != ":memory:" else None
    return Path(database)


def translate(error: BaseException | None, shown: str) -> EgideError | None:
    """The error of ours for an error of the database, or None for one that would be a defect.

    Source: https://www.sqlite.org/rescode.html; the low byte is the primary code.
    """
    if not isinstance(error, sqlite3.Error):
        return None
    # A pool that cannot connect reports no code.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}:
        return StoreLocked(store=shown)
    if code == sqlite3.SQLITE_READONLY:
        return StoreReadOnly(store=shown)
    if code == sqlite3.SQLITE_FULL:
        return StoreFull(store=shown)
    reason = _UNREADABLE.get(code)
    return StoreUnreadable(store=shown, reason=reason) if reason else None


_UNREADABLE = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_AUTH: "permission denied",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
}


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late; ours begin where `_begin_sqlite` says.
    connection.isolation_level = None
    for pragma in (
        "foreign_keys=ON",
        "secure_delete=ON",
        "temp_store=MEMORY",
        "synchronous=FULL",
        f"cache_size=-{_CACHE_KIB}",
        f"journal_size_limit={_LOG_LIMIT_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
