"""Open, create and upgrade a store: which tables are there, and may this Egide use them?"""

from __future__ import annotations

import errno
import os
import secrets
import time
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import (
    StoreForeign,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
    StoreTooOld,
    StoreUnreadable,
)
from egide.store.connect import Database, parse_url
from egide.store.schema import SCHEMA_REVISIONS, store_meta

if TYPE_CHECKING:
    from collections.abc import Iterator

_IDENTITY_KEY_BYTES = 32
_alembic_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def open_database(url: str, *, create: bool, upgrade: bool, busy_timeout_s: float) -> Database:
    """Connect to the store at `url`, whose tables are then those of this Egide.

    Args:
        url: as for `Store.open`.
        create: make the store where there is none; two processes may do so at once.
        upgrade: bring older tables up to date instead of refusing them.
        busy_timeout_s: how long to wait for another process that writes.

    Raises:
        UsageError: the URL is none that a store can have.
        StoreError: StoreMissing, StoreForeign, StoreTooOld, StoreTooNew, or what the database
            reports.
    """
    database = Database(parse_url(url), busy_timeout_s=busy_timeout_s)
    try:
        _check_file(database, create=create)
        with database.read() as connection:
            found = _schema_revision(connection, database.shown)
        if found is None:
            if not create:
                raise StoreMissing(store=database.shown)
            _create(database, busy_timeout_s=busy_timeout_s)
        elif found != SCHEMA_REVISIONS[-1]:
            _refuse_newer(found, database.shown)
            if not upgrade:
                raise StoreTooOld(store=database.shown, found=found, expected=SCHEMA_REVISIONS[-1])
            with database.write() as connection:
                _migrate(connection)
    except BaseException:
        database.close()
        raise
    return database


def _check_file(database: Database, *, create: bool) -> None:
    path = database.path
    assert path is not None
    try:
        # For the owner only: the log and its index take over the mode of the database.
        if create and not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        elif not path.exists():
            raise StoreMissing(store=database.shown)
        elif path.is_dir():
            raise StoreUnreadable(store=database.shown, reason="it is a folder")
    except FileExistsError:
        return  # another process was quicker
    except FileNotFoundError as error:
        raise StoreUnreadable(store=database.shown, reason="its folder does not exist") from error
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise StoreReadOnly(store=database.shown) from error
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreFull(store=database.shown) from error
        raise StoreUnreadable(
            store=database.shown, reason=error.strerror or "the disk reports an error"
        ) from error


def _schema_revision(connection: sa.Connection, shown: str) -> str | None:
    tables = set(sa.inspect(connection).get_table_names())
    if not tables:
        return None
    if not {"store_meta", "alembic_version"} <= tables:
        raise StoreForeign(store=shown)
    found = connection.execute(sa.select(_alembic_version.c.version_num)).scalar()
    if found is None:
        raise StoreForeign(store=shown)
    return str(found)


def _refuse_newer(found: str, shown: str) -> None:
    if found not in SCHEMA_REVISIONS:
        raise StoreTooNew(store=shown, found=found)


def _create(database: Database, *, busy_timeout_s: float) -> None:
    for _ in _until(busy_timeout_s):
        try:
            # SQLite does not wait here when another process changes the mode at the same time.
            database.use_write_ahead_log()
            break
        except StoreLocked:
            continue
    with database.write() as connection:
        if _schema_revision(connection, database.shown) is not None:
            return  # another process was quicker
        _migrate(connection)
        connection.execute(
            sa.insert(store_meta).values(
                store_id=str(uuid.uuid4()),
                identity_key=secrets.token_bytes(_IDENTITY_KEY_BYTES),
                created=int(time.time()),
            )
        )


def _until(timeout_s: float) -> Iterator[None]:
    end = time.monotonic() + timeout_s
    yield
    while time.monotonic() < end:
        time.sleep(0.02)
        yield


def _migrate(connection: sa.Connection) -> None:
    # 0.7 s to import, and needed once in the life of a store.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "egide.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
