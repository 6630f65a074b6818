"""Open, create and upgrade a store, after checking whether this Egide can use its tables."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.errors import StoreForeign, StoreMissing, StoreTooNew, StoreTooOld, UsageError
from egide.settings import store_timeout_s
from egide.store.database.urls import is_sqlite, parse_url
from egide.store.tables.register import SCHEMA_REVISIONS, store_meta

if TYPE_CHECKING:
    from egide.store.database.interface import Database

_IDENTITY_KEY_BYTES = 32
_alembic_version = sa.table("alembic_version", sa.column("version_num", sa.String))


def open_database(
    url: str,
    *,
    create: bool,
    upgrade: bool,
    busy_timeout_s: float,
    timeout_s: float | None = None,
) -> Database:
    """Connect to the store at `url` and ensure that it has this Egide's tables.

    Args:
        url: as for `Store.open`.
        create: make the store if it is missing; two processes may do so at once.
        upgrade: bring older tables up to date instead of refusing them.
        busy_timeout_s: how long to wait for another process that writes.
        timeout_s: how long a statement may take, by default from the environment.

    Raises:
        UsageError: the URL is not valid for a store.
        StoreError: StoreMissing, StoreForeign, StoreTooOld, StoreTooNew, or the database's error.
    """
    database = connect(url, busy_timeout_s=busy_timeout_s, timeout_s=timeout_s)
    try:
        database.check_place(create=create)
        with database.read() as connection:
            found = _schema_revision(connection, database.shown)
        if found is None:
            if not create:
                raise StoreMissing(store=database.shown)
            _create(database)
        elif found != SCHEMA_REVISIONS[-1]:
            _refuse_newer(found, database.shown)
            if not upgrade:
                raise StoreTooOld(store=database.shown, found=found, expected=SCHEMA_REVISIONS[-1])
            with database.write(long=True) as connection:
                make_tables(connection)
        database.prepare_when_written()
    except BaseException:
        database.close()
        raise
    return database


def connect(url: str, *, busy_timeout_s: float, timeout_s: float | None = None) -> Database:
    """Prepare to connect to the database at `url`, whatever its content.

    Raises:
        UsageError: the URL is not valid for a store.
        PostgresqlUnavailable: the URL is for PostgreSQL, and psycopg is not installed.
    """
    parsed = parse_url(url)
    if is_sqlite(parsed):
        from egide.store.database.sqlite import SqliteDatabase

        try:
            return SqliteDatabase(parsed, busy_timeout_s=busy_timeout_s)
        except ValueError as error:  # the driver parses numbers in URLs
            reason = "a parameter in the store's URL cannot be understood"
            raise UsageError(reason=reason) from error
    from egide.store.database.postgresql import PostgresqlDatabase

    limit_s = store_timeout_s() if timeout_s is None else timeout_s
    return PostgresqlDatabase(parsed, busy_timeout_s=busy_timeout_s, timeout_s=limit_s)


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


def _create(database: Database) -> None:
    database.prepare_new()
    with database.write() as connection:
        if _schema_revision(connection, database.shown) is not None:
            return  # another process was first
        make_tables(connection)
        connection.execute(
            sa.insert(store_meta).values(
                store_id=str(uuid.uuid4()),
                identity_key=secrets.token_bytes(_IDENTITY_KEY_BYTES),
                created=int(time.time()),
            )
        )


def make_tables(connection: sa.Connection) -> None:
    """Make the tables, or bring them up to date, within a write transaction."""
    # Takes 0.7 s to import, and is needed only to make or upgrade a store.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "egide.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
