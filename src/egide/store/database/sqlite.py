"""A store in an SQLite file: settings, transactions, errors, the write-ahead log."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy import event

from egide.errors import (
    EgideError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    StoreUnreadable,
)
from egide.store.database.interface import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_WRITES = "egide_writes"
_CHECKPOINT_TIMEOUT_MS = 1000
# For each connection. A server has some ten of them, and changes touch pages all over the file:
# with the import's cache each connection would fill its whole cache.
_CACHE_KIB = 4 * 1024
# A million identities make an index of about 35 MB. A cache that holds it prevents a big import
# from writing the same pages repeatedly.
_IMPORT_CACHE_KIB = 64 * 1024
_IMPORTED = "egide_imported"
_LOG_LIMIT_BYTES = 64 * 1024 * 1024
# One check takes 4 µs.
_LOOK_EVERY_S = 0.05
# SQLite allocates 32 KiB at once for the index of its log.
_ROOM_BYTES = 64 * 1024
_BESIDE = ("-wal", "-shm", "-journal")
_NO_ROOM = {
    errno.ENOSPC: "its disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "this process may write no larger file, see ulimit -f",
}
_NO_WRITING = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class SqliteDatabase(Database):
    """An SQLite file; see `Database`."""

    def __init__(self, url: sa.URL, *, busy_timeout_s: float) -> None:
        path = sqlite_path(url)
        assert path is not None
        # An error's text quotes its statement; parameters would include fingerprints.
        engine = sa.create_engine(
            url, hide_parameters=True, connect_args={"timeout": busy_timeout_s}
        )
        event.listen(engine, "do_connect", self._connect)
        event.listen(engine, "connect", _set_up)
        event.listen(engine, "checkin", _end_import)
        event.listen(engine, "begin", _begin)
        super().__init__(engine, shown=url.render_as_string(hide_password=True), path=path)
        self._busy_timeout_s = busy_timeout_s
        self._looker: Any = None
        self._seen_version = 0
        self._still: _Still | None = None
        self._prepared = True

    def check_place(self, *, create: bool) -> None:
        """Check that there is a file; see `Database.check_place`."""
        path = self.path
        assert path is not None
        try:
            # For the owner only; SQLite's log and index inherit the mode.
            if create and not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            elif not path.exists():
                raise StoreMissing(store=self.shown)
            elif path.is_dir():
                raise StoreUnreadable(store=self.shown, reason="it is a folder")
        except FileExistsError:
            return  # another process was first
        except OSError as error:
            raise file_error(error, self.shown) from error
        self._still = self._look_for_still()

    def _look_for_still(self) -> _Still | None:
        """The file's state, if SQLite can read it only as an immutable file.

        In WAL mode SQLite creates two files beside a database even to read it. If it cannot, for
        example on a read-only disk, SQLite is told that the file is immutable; each transaction
        (`read`) then checks that the file has not changed.

        Raises:
            StoreUnreadable: the last commits are in a log beside the file, which cannot be read.
        """
        path = self.path
        assert path is not None
        if os.access(path.parent, os.W_OK) or not _in_wal_mode(path):
            return None
        if _beside(path, "-shm").exists():
            return None  # a writer may be active; SQLite can read beside it
        if _size(_beside(path, "-wal")):
            reason = "its last changes are in a log beside it that needs a disk that can be written"
            raise StoreUnreadable(store=self.shown, reason=f"{reason}: copy both files to one")
        return _Still.of(path)

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[sa.Connection]:
        """A transaction that sees one state; see `Database.read`.

        Raises:
            StoreUnreadable: a supposedly immutable file was changed meanwhile.
        """
        with super().read(long=long) as connection:
            yield connection
        if self._still is not None and self._still != _Still.of(self._still.path):
            reason = "it was changed while it was read, although its folder is read-only here"
            raise StoreUnreadable(store=self.shown, reason=reason)

    def _connect(
        self, _dialect: object, _record: object, _arguments: object, options: dict[str, Any]
    ) -> sqlite3.Connection | None:
        if self._still is None:
            return None
        uri = f"file:{quote(str(self._still.path))}?immutable=1"
        connection: sqlite3.Connection = sqlite3.connect(uri, **{**options, "uri": True})
        return connection

    def prepare_new(self) -> None:
        """Let readers read while a process writes; a permanent property of the file."""
        end = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                with self._translated(writes=True):
                    self._outside_transaction("PRAGMA journal_mode=WAL")
            except StoreLocked:
                # SQLite does not wait here while another process changes the mode.
                if time.monotonic() >= end:
                    raise
                time.sleep(0.02)
            else:
                self._prepared = True
                return

    def prepare_when_written(self) -> None:
        """Change the mode at the first write; see `Database.prepare_when_written`."""
        self._prepared = False

    def announce(self, connection: sa.Connection) -> None:
        """Do nothing: waiting threads notice that the file has changed."""

    def notice_growth(self, connection: sa.Connection) -> None:
        """Give an import a larger cache, until its connection is returned."""
        connection.info[_IMPORTED] = True
        connection.exec_driver_sql(f"PRAGMA cache_size=-{_IMPORT_CACHE_KIB}")

    def forget_erased(self) -> bool:
        """Empty the write-ahead log, which would otherwise keep erased fingerprints for a while."""
        with self._translated(writes=True):
            row = self._outside_transaction(
                "PRAGMA wal_checkpoint(TRUNCATE)", busy_timeout_ms=_CHECKPOINT_TIMEOUT_MS
            )
        return row is not None and row[0] == 0

    def load(self, connection: sa.Connection, table: sa.Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows as they are; see `Database.load`."""
        self.notice_growth(connection)
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        places = ", ".join("?" for _ in table.columns)
        connection.exec_driver_sql(
            f'INSERT INTO "{table.name}" ({columns}) VALUES ({places})',  # noqa: S608 - names of ours
            rows,
        )

    def end_loading(self, connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
        """Do nothing: SQLite continues the numbering by itself."""

    def _reader(self) -> sa.Connection:
        return self._engine.connect()

    def _writer(self) -> sa.Connection:
        if not self._prepared and self._still is None:
            self.prepare_new()
        return self._engine.connect().execution_options(**{_WRITES: True})

    def _exclude_writers(self, connection: sa.Connection) -> None:
        """Do nothing: `BEGIN IMMEDIATE` did it."""

    def _allow_long(self, connection: sa.Connection) -> None:
        """Do nothing: SQLite runs in this process and has no time limit."""

    def _watch(self) -> None:
        try:
            if self._looker is None:
                self._looker = self._engine.raw_connection()
                self._looker.detach()
            self._seen_version = self._version()
        except (sqlite3.Error, sa.exc.SQLAlchemyError):
            self._unwatch()

    def _wait(self, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while (left_s := end - time.monotonic()) > 0:
            if self._closed.wait(min(_LOOK_EVERY_S, left_s)) or self._looker is None:
                return
            try:
                if self._version() != self._seen_version:
                    return
            except sqlite3.Error:
                self._unwatch()
                return

    def _version(self) -> int:
        """A number that changes when another connection of any process commits."""
        version: int = self._looker.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _unwatch(self) -> None:
        if self._looker is not None:
            with suppress(sqlite3.Error):
                self._looker.close()
            self._looker = None

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

    def _known(self, error: BaseException | None, *, writes: bool) -> EgideError | None:
        """Our error for a driver's error; SQLite itself distinguishes reading and writing.

        Source: https://www.sqlite.org/rescode.html; the low byte is the primary code.
        """
        del writes
        if not isinstance(error, sqlite3.Error):
            return None
        # A pool that cannot connect reports no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN)
        primary = code & 0xFF
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}:
            return StoreLocked(store=self.shown)
        if code == sqlite3.SQLITE_READONLY_DBMOVED:
            return StoreUnreadable(store=self.shown, reason="its file was moved while in use")
        if primary == sqlite3.SQLITE_READONLY:
            return StoreReadOnly(store=self.shown)
        if primary in _PERHAPS_FULL:
            # SQLite reports a full disk, but not a quota or a lack of space for its log's index.
            assert self.path is not None
            why = _why_unwritable(self.path)
            if why in _NO_ROOM or primary == sqlite3.SQLITE_FULL:
                full = _NO_ROOM.get(why, _NO_ROOM[errno.ENOSPC])
                return StoreFull(store=self.shown, reason=full)
            if why in _NO_WRITING and os.access(self.path, os.R_OK):
                return StoreReadOnly(store=self.shown)
        reason = _UNREADABLE.get(primary)
        return StoreUnreadable(store=self.shown, reason=reason) if reason else None


_PERHAPS_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})
_UNREADABLE = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_AUTH: "permission denied",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "the database is damaged",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_NOMEM: "no memory is left",
    sqlite3.SQLITE_NOLFS: "the file is too large for this system",
}


def sqlite_path(url: sa.URL) -> Path | None:
    """The path of the SQLite file of `url`, or None for a database in memory."""
    database = url.database
    if not database or database == ":memory:" or url.query.get("mode") == "memory":
        return None
    if database.startswith("file:"):
        name = unquote(database.removeprefix("file:").removeprefix("//"))
        return Path(name) if name and name != ":memory:" else None
    return Path(database)


def file_error(error: OSError, shown: str) -> EgideError:
    """Our error for a file that cannot be made."""
    if isinstance(error, FileNotFoundError):
        return StoreUnreadable(store=shown, reason="its folder does not exist")
    if error.errno in _NO_WRITING:
        return StoreReadOnly(store=shown)
    if error.errno in _NO_ROOM:
        return StoreFull(store=shown, reason=_NO_ROOM[error.errno])
    return StoreUnreadable(store=shown, reason=error.strerror or "the disk reports an error")


@dataclass(frozen=True, slots=True)
class _Still:
    """The observed state of an immutable file; equal states mean that it did not change."""

    path: Path
    inode: int
    size: int
    changed_ns: int
    logged: bool

    @classmethod
    def of(cls, path: Path) -> _Still | None:
        """The present state; None if the file is gone."""
        try:
            found = path.stat()
        except OSError:
            return None
        logged = _size(_beside(path, "-wal")) > 0
        return cls(path, found.st_ino, found.st_size, found.st_mtime_ns, logged)


def _in_wal_mode(path: Path) -> bool:
    """Whether the header says WAL; source: https://www.sqlite.org/fileformat.html, 1.3.3."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except OSError:
        return False


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _why_unwritable(path: Path) -> int:
    """The system's error number for writing to a file or beside it, 0 if that succeeds.

    It really writes, since free space shows neither a quota nor a full inode table.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent, buffering=0) as tried:
            tried.write(bytes(_ROOM_BYTES))
            os.fsync(tried.fileno())
    except OSError as error:
        return error.errno or errno.EIO
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(_size(path), *(_size(_beside(path, end)) for end in _BESIDE))
    over = most != resource.RLIM_INFINITY and largest + _ROOM_BYTES > most
    return errno.EFBIG if over else 0


def _set_up(connection: Any, _record: object) -> None:
    # The driver begins its transactions too late; `_begin` begins ours.
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


def _end_import(connection: Any, record: Any) -> None:
    """Release the memory of an import's cache."""
    if record.info.pop(_IMPORTED, False) and connection is not None:
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}").close()
        connection.execute("PRAGMA shrink_memory").close()


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
