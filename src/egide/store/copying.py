"""Copy whole stores row by row: into a backup file, or from one into a new database.

A backup is itself an SQLite store, whatever database the original uses. So backup and restore also
move a register to another database.
"""

from __future__ import annotations

import os
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import (
    BackupExists,
    BackupIncomplete,
    BackupUnwritable,
    StoreError,
    StoreMissing,
    StoreNotEmpty,
)
from egide.files import written_whole
from egide.store.database.erasure import Erasure
from egide.store.database.opening import connect, make_tables, open_database
from egide.store.entries.revisions import current_revision
from egide.store.log import log
from egide.store.tables import cases as case_schema
from egide.store.tables import service as service_schema
from egide.store.tables.register import metadata, snapshot_files, store_meta, unfinished_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.store.database.interface import Database

    OnProgress = Callable[[int, int], None]
    """Called with the numbers of copied rows and of all rows."""

# `metadata` has the tables of a served register and of its pages only after their import.
_OF_THIS_MACHINE = {unfinished_files, snapshot_files}
_TABLES = tuple(table for table in metadata.sorted_tables if table not in _OF_THIS_MACHINE)
assert {service_schema.log, case_schema.cases} <= set(_TABLES)
_PAGE = 2000
_BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of copying a store.

    Attributes:
        store_id: of the original and of the copy.
        revision: the store's revision that was copied.
        rows: number of rows by table.
    """

    store_id: str
    revision: int
    rows: dict[str, int]


def back_up(
    database: Database, path: Path, *, actor: str, on_progress: OnProgress | None = None
) -> Copied:
    """Copy a store that is in use into a new file; see `Store.backup`."""
    shown = f"sqlite:///{path}"
    if os.path.lexists(path):
        raise BackupExists(name=str(path))
    # Logged first, so that the copy contains its own record.
    with database.write() as connection:
        _append_to_log(connection, actor=actor, action="backup")
    with (
        _new_file(path, Erasure(database)) as unfinished,
        closing(connect(f"sqlite:///{unfinished}", busy_timeout_s=_BUSY_TIMEOUT_S)) as target,
    ):
        try:
            with database.read(long=True) as source:
                copied = _fill(source, target, shown=shown, on_progress=on_progress)
        except StoreError as error:
            if error.fields.get("store") != target.shown:
                raise
            raise BackupUnwritable(name=str(path), reason=_reason(error)) from error
    return copied


def restore_store(
    path: Path, url: str, *, actor: str = "local", on_progress: OnProgress | None = None
) -> Copied:
    """Fill a new database from a backup in one transaction, completely or not at all.

    The restored store has the id, the entries, the keys and the log of the backup, and a record of
    the restore at the log's end. Entries withdrawn after the backup was made are in it again.

    Args:
        path: of a backup, which is any store in an SQLite file; it is not changed.
        url: of the new store: a file that does not exist, or an empty PostgreSQL database.
        actor: who restores, for the log.
        on_progress: called with the numbers of copied rows and of all rows.

    Raises:
        StoreMissing, StoreForeign, StoreTooOld, StoreTooNew: the file is no backup of this version.
        StoreNotEmpty: the new database has tables already.
        BackupIncomplete: rows are missing afterwards; nothing was restored.
        StoreError: of the kind that fits the database's error; nothing was restored.
    """
    if not path.is_file():
        raise StoreMissing(store=f"sqlite:///{path}")
    with (
        closing(
            open_database(
                f"sqlite:///{path}", create=False, upgrade=False, busy_timeout_s=_BUSY_TIMEOUT_S
            )
        ) as backup,
        closing(connect(url, busy_timeout_s=_BUSY_TIMEOUT_S)) as target,
    ):
        target.check_place(create=True)
        with target.read() as connection:
            _require_empty(connection, target)
        target.prepare_new()
        with backup.read(long=True) as source:
            return _fill(
                source, target, shown=target.shown, on_progress=on_progress, restorer=actor
            )


def _fill(
    source: sa.Connection,
    target: Database,
    *,
    shown: str,
    on_progress: OnProgress | None,
    restorer: str | None = None,
) -> Copied:
    """Copy all rows in one transaction; with a `restorer`, the target's log records it."""
    expected = {table.name: _count(source, table) for table in _TABLES}
    total, done = sum(expected.values()), 0
    with target.write(long=True) as connection:
        _require_empty(connection, target)  # nobody else can fill it now
        make_tables(connection)
        for table in _TABLES:
            query = sa.select(*table.columns).execution_options(yield_per=_PAGE)
            for page in source.execute(query).partitions():
                target.load(connection, table, [tuple(row) for row in page])
                done += len(page)
                if on_progress is not None:
                    on_progress(done, total)
        target.end_loading(connection, _TABLES)
        for table in _TABLES:
            found = _count(connection, table)
            if found != expected[table.name]:
                reason = f"{found} of {expected[table.name]} rows of {table.name}"
                raise BackupIncomplete(store=shown, reason=reason)
        store_id: str = connection.execute(sa.select(store_meta.c.store_id)).scalar_one()
        revision = current_revision(connection)
        # The new files hold nothing erased, but an existing snapshot here may.
        connection.execute(
            sa.update(store_meta).values(erased_revision=revision, erasure_pending_since=None)
        )
        if restorer is not None:
            _append_to_log(connection, actor=restorer, action="restore")
        return Copied(store_id, revision, expected)


def _require_empty(connection: sa.Connection, database: Database) -> None:
    if sa.inspect(connection).get_table_names():
        raise StoreNotEmpty(store=database.shown)


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _append_to_log(connection: sa.Connection, *, actor: str, action: str) -> None:
    log.append(
        connection,
        at=int(time.time()),
        actor=actor,
        action=action,
        # In `detail`: a record's own `revision` is one that it made, and this makes none.
        detail={"revision": current_revision(connection)},
    )


@contextmanager
def _new_file(path: Path, erasure: Erasure) -> Iterator[Path]:
    """A new private file, which gets its name at the end and never replaces a file.

    If this process is killed, the next one that opens the store removes the file.

    Raises:
        BackupExists: a file got that name meanwhile.
        BackupUnwritable: the file cannot be made.
    """
    try:
        with written_whole(path, replacing=False, noted=erasure.writing) as stream:
            unfinished = Path(stream.name)
            try:
                yield unfinished
            finally:
                for suffix in ("-wal", "-shm", "-journal"):
                    Path(f"{unfinished}{suffix}").unlink(missing_ok=True)
    except FileExistsError as error:
        raise BackupExists(name=str(path)) from error
    except OSError as error:
        raise BackupUnwritable(name=str(path), reason=error.strerror or "unknown") from error


def _reason(error: StoreError) -> str:
    reason = error.fields.get("reason")
    return str(reason) if reason else "no space left" if error.code == "store-full" else error.code
