"""A store in PostgreSQL: transactions, errors, notifications, vacuuming."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event

from egide.errors import (
    PostgresqlUnavailable,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnreadable,
)
from egide.store.database.interface import POLL_S, Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egide.errors import EgideError


_CHANNEL = "egide_revision"
_LOCK = 0x45676964
_CURSORS = "egide_cursors"
_SECRETS = frozenset({"password", "sslpassword"})
# Sixteen for the threads of a server, and some for bursts; a server takes a hundred by default.
_POOL_SIZE = 8
_POOL_OVERFLOW = 8
_READERS_TIMEOUT_S = 1.0
# How long a listener may take to notice that its store was closed.
_SLICE_S = 0.2
_RECONNECT_EVERY_S = 0.5
_ASK_EVERY_S = 5.0
_NETWORK = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""A peer that has vanished is noticed within a minute; libpq's own is two hours."""
_NETWORK_THERE = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""The same for the server, which otherwise keeps the lock of a writer that has vanished."""
_LONG_FACTOR = 120
"""How many times longer a statement over a whole store may take than others."""
_GRACE_S = 1.0
"""The server ends slow statements; a client that is not told gives up this much later."""
_PING_S = 5.0
"""An idle connection must answer within this time, or it is not used."""


class PostgresqlDatabase(Database):
    """A PostgreSQL database, or a schema of one; see `Database`."""

    def __init__(self, url: sa.URL, *, busy_timeout_s: float, timeout_s: float) -> None:
        """Prepare to connect.

        Args:
            url: of the database.
            busy_timeout_s: how long a write waits for another.
            timeout_s: how long one statement may take, except for work on a whole store.

        Raises:
            PostgresqlUnavailable: psycopg is not installed.
        """
        secrets = dict.fromkeys(_SECRETS & set(url.query), "***")
        shown = url.update_query_dict(secrets).render_as_string(hide_password=True)
        arguments: dict[str, Any] = {
            "connect_timeout": max(2, math.ceil(busy_timeout_s)),
            "application_name": "egide",
            **_NETWORK,
        }
        try:
            engine = sa.create_engine(
                url,
                # An error's text quotes its statement; parameters would include fingerprints.
                hide_parameters=True,
                connect_args={
                    name: value for name, value in arguments.items() if name not in url.query
                },
                # Replaces connections that a restart of the server broke.
                pool_pre_ping=True,
                pool_size=_POOL_SIZE,
                max_overflow=_POOL_OVERFLOW,
                pool_timeout=busy_timeout_s,
            )
        except ImportError as error:  # or psycopg lacks its library
            raise PostgresqlUnavailable from error
        self._lock_timeout_ms = max(1, round(busy_timeout_s * 1000))
        # A write that waits for another is one statement.
        self._limit_s = max(timeout_s, busy_timeout_s + _GRACE_S)
        self._ping_s = min(_PING_S, self._limit_s)
        event.listen(engine, "do_connect", _connect)
        event.listen(engine, "connect", self._set_up)
        event.listen(engine, "checkin", self._expect_ping)
        event.listen(engine, "checkout", self._expect_statements)
        event.listen(engine, "after_cursor_execute", _note_cursor)
        super().__init__(engine, shown=shown, path=None)
        self._readers = engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._listener: Any = None
        self._ask_listener_at = 0.0

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that sees one state; see `Database.read`.

        Rows read in pages need a server-side cursor, which must not outlive the transaction.
        """
        import psycopg

        with super().read(long=long) as connection:
            # Read now: `info` of a connection that breaks later raises another error.
            info = connection.info
            try:
                yield connection
            finally:
                for cursor in info.pop(_CURSORS, ()):
                    with suppress(psycopg.Error):
                        cursor.close()

    def check_place(self, *, create: bool) -> None:
        """Do nothing: connecting checks it."""

    def prepare_new(self) -> None:
        """Do nothing."""

    def prepare_when_written(self) -> None:
        """Do nothing."""

    def announce(self, connection: sa.Connection) -> None:
        """Notify listeners."""
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")

    def notice_growth(self, connection: sa.Connection) -> None:
        """Update the statistics: a plan for an empty bank reads the whole bank for each chunk.

        Without this, 100,000 entries took six minutes to import.
        """
        self._limit(connection, self._limit_s * _LONG_FACTOR)
        connection.exec_driver_sql("ANALYZE entries")
        self._limit(connection, self._limit_s)

    def forget_erased(self) -> bool:
        """Vacuum the tables with erased rows, which keep dead rows until then.

        Waits at most a second for readers of an earlier state.
        """
        with self._translated(writes=True), self._engine.connect() as plain:
            connection = plain.execution_options(isolation_level="AUTOCOMMIT")
            began = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
            end = time.monotonic() + _READERS_TIMEOUT_S
            while (older := _older_readers(connection, began)) and time.monotonic() < end:
                time.sleep(POLL_S / 2)
            self._limit(connection, self._limit_s * _LONG_FACTOR, local=False)
            connection.exec_driver_sql("VACUUM entries, anchored, videos, patches")
            self._limit(connection, self._limit_s, local=False)
        return not older

    def load(self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows as they are; see `Database.load`."""
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        raw = connection.connection.cursor()
        try:
            with raw.copy(f'COPY "{table.name}" ({columns}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        finally:
            raw.close()

    def end_loading(self, connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
        """Advance the sequences, which rows with given numbers did not advance."""
        for table in tables:
            if table.autoincrement_column is None:
                continue
            number = table.autoincrement_column
            sequence = sa.func.pg_get_serial_sequence(table.name, number.name)
            last = sa.select(sa.func.max(number)).scalar_subquery()
            connection.execute(
                sa.select(
                    sa.func.setval(
                        sa.cast(sequence, sa.Text).op("::")(sa.text("regclass")),
                        sa.func.coalesce(last, 1),
                        last.is_not(None),
                    )
                )
            )

    def _reader(self) -> sa.Connection:
        return self._readers.connect()

    def _writer(self) -> sa.Connection:
        return self._engine.connect()

    def _exclude_writers(self, connection: sa.Connection) -> None:
        # Not a table lock: a new store has no tables. Each schema has its own lock.
        connection.exec_driver_sql(
            "SELECT pg_advisory_xact_lock(%s::int, hashtext(coalesce(current_schema(), '')))",
            (_LOCK,),
        )

    def _allow_long(self, connection: sa.Connection) -> None:
        self._limit(connection, self._limit_s * _LONG_FACTOR)

    def _limit(self, connection: sa.Connection, limit_s: float, *, local: bool = True) -> None:
        """Limit the time of statements, until the transaction ends if `local`."""
        connection.exec_driver_sql(
            f"SET {'LOCAL' if local else 'SESSION'} statement_timeout = {round(limit_s * 1000)}"
        )
        raw: Any = connection.connection.driver_connection
        raw.limit_s = limit_s + _GRACE_S

    def _watch(self) -> None:
        import psycopg

        with suppress(psycopg.Error, sa.exc.SQLAlchemyError):
            if self._listener is not None:
                # A silent listener may be disconnected and would notice changes late.
                if time.monotonic() >= self._ask_listener_at:
                    self._listener.execute("")
                    self._ask_listener_at = time.monotonic() + _ASK_EVERY_S
                return
            pooled = self._engine.raw_connection()
            listener: Any = pooled.driver_connection  # after `detach` there is none
            pooled.detach()
            listener.autocommit = True
            listener.limit_s = self._ping_s
            self._listener = listener
            self._listener.execute(f"LISTEN {_CHANNEL}")
            self._ask_listener_at = time.monotonic() + _ASK_EVERY_S
            return
        self._unwatch()

    def _wait(self, timeout_s: float) -> None:
        import psycopg

        if self._listener is None:
            self._closed.wait(min(timeout_s, _RECONNECT_EVERY_S))
            return
        end = time.monotonic() + timeout_s
        try:
            while (left_s := end - time.monotonic()) > 0 and not self._closed.is_set():
                for _ in self._listener.notifies(timeout=min(left_s, _SLICE_S), stop_after=1):
                    return
        except psycopg.Error:
            self._unwatch()

    def _unwatch(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _set_up(self, connection: Any, _record: object) -> None:
        connection.limit_s = self._limit_s + _GRACE_S
        settings = {
            **_NETWORK_THERE,
            "lock_timeout": str(self._lock_timeout_ms),
            "statement_timeout": str(round(self._limit_s * 1000)),
        }
        connection.execute("; ".join(f"SET {name} = '{to}'" for name, to in settings.items()))
        connection.commit()

    def _expect_ping(self, connection: Any, _record: object) -> None:
        if connection is not None:
            connection.limit_s = self._ping_s

    def _expect_statements(self, connection: Any, _record: object, _proxy: object) -> None:
        connection.limit_s = self._limit_s + _GRACE_S

    def _known(self, error: BaseException | None, *, writes: bool) -> EgideError | None:
        """Our error for a driver's error.

        Source: https://www.postgresql.org/docs/current/errcodes-appendix.html.
        """
        import psycopg

        from egide.store.database.postgresql_connection import NoAnswer

        if not isinstance(error, psycopg.Error):
            return None
        unconnected = psycopg.OperationalError | psycopg.InterfaceError
        state = error.sqlstate or ""
        if state in _LOCKED:
            return StoreLocked(store=self.shown)
        if full := _why_full(state, str(error)):
            return StoreFull(store=self.shown, reason=full)
        # 0A000: a standby refuses a transaction that writes.
        if state == "25006" or (state in {"42501", "0A000"} and writes):
            return StoreReadOnly(store=self.shown)
        reason = _UNREADABLE.get(state) or _UNREADABLE.get(state[:2])
        if isinstance(error, NoAnswer):
            reason = "its server does not answer"
        elif reason is None and not state and isinstance(error, unconnected):
            reason = _not_connected(str(error))
        return StoreUnreadable(store=self.shown, reason=reason) if reason else None


_LOCKED = frozenset({"55P03", "40001", "40P01"})
_UNREADABLE = {
    "08": "the connection to its server broke",
    "28": "the server refuses the user or the password",
    "25P03": "the server ended a transaction that did nothing for too long",
    "3D": "the server has no such database: make an empty one with createdb",
    "3F": "there is no such schema",
    "42501": "permission denied",
    "53": "the server is short of what it needs",
    "53200": "the server is out of memory",
    "53300": "the server takes no more connections",
    "57": "its server is stopping",
    "57P01": "its server is stopping",
    "57P02": "its server has stopped",
    "57P03": "its server is starting or stopping",
    "57014": "the server cancelled a statement, or it took too long",
    "58": "the server's disk reports an error",
    "XX": "the server reports a defect",
    "XX001": "the database is damaged",
    "XX002": "the database is damaged",
}
# For a failed connection libpq gives no code, only text.
_WORDS = (
    ("authentication failed", "the server refuses the user or the password"),
    ("no password supplied", "the server asks for a password"),
    ("does not exist", "the server has no such database or user"),
    ("starting up", "its server is starting"),
    ("shutting down", "its server is stopping"),
    ("too many clients", "the server takes no more connections"),
    ("refused", "no server answers there"),
    ("timeout", "no server answers there in time"),
)


# Only a full disk has its own code, and not everywhere in the server. These are the system's
# English messages, which the server's errors quote.
_FULL_STATES = ("53100", "58", "XX")
_FULL_WORDS = (
    ("No space left", "the disk of its server is full"),
    ("Disk quota exceeded", "the disk quota of its server is used up"),
    ("File too large", "its server may write no larger file"),
)


def _why_full(state: str, words: str) -> str | None:
    if not state.startswith(_FULL_STATES):
        return None
    found = next((reason for word, reason in _FULL_WORDS if word in words), None)
    return found or ("the disk of its server is full" if state == "53100" else None)


def _connect(_dialect: object, _record: object, arguments: Any, options: dict[str, Any]) -> Any:
    from egide.store.database.postgresql_connection import BoundedConnection

    return BoundedConnection.connect(*arguments, **options)


def _note_cursor(connection: sa.Connection, cursor: Any, *_: object) -> None:
    if getattr(cursor, "name", None):
        connection.info.setdefault(_CURSORS, []).append(cursor)


def _not_connected(words: str) -> str:
    for word, reason in _WORDS:
        if word in words:
            return reason
    return "there is no connection to its server"


def _older_readers(connection: sa.Connection, began: object) -> bool:
    """Whether any transaction still sees the database as it was before `began`."""
    rows: Sequence[Any] = connection.exec_driver_sql(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        " AND xact_start < %s AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) LIMIT 1",
        (began,),
    ).all()
    return bool(rows)
