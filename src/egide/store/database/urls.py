"""Parse and check the URL of a store."""

from __future__ import annotations

import sqlalchemy as sa

from egide.errors import UsageError
from egide.store.database.sqlite import sqlite_path

_SQLITE = {"sqlite", "sqlite+pysqlite"}
_POSTGRESQL = {"postgresql", "postgres", "postgresql+psycopg"}


def parse_url(text: str) -> sa.URL:
    """Parse the URL of a store and check that Egide can use it.

    Returns:
        the URL; for PostgreSQL, with the driver that Egide uses.

    Raises:
        UsageError: it is a path, another kind of database, SQLite in memory, or PostgreSQL
            without a database name.
    """
    if "://" not in text:
        file = "egide.db" if "@" in text else text  # a mistyped URL may hold a password
        raise UsageError(reason=f"a store is named by a URL; for a file write sqlite:///{file}")
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError) as error:
        # The text may hold a password, so it is not repeated.
        raise UsageError(
            reason="the store's URL cannot be understood; write sqlite:///egide.db"
        ) from error
    if url.drivername in _POSTGRESQL:
        return _checked_postgresql(url)
    if url.drivername not in _SQLITE:
        raise UsageError(
            reason=f"a store on {url.drivername} is not possible; write sqlite:///egide.db "
            "or postgresql://host/database"
        )
    if sqlite_path(url) is None:
        raise UsageError(
            reason="a store in memory cannot be shared by processes; write sqlite:///egide.db"
        )
    return url


def is_sqlite(url: sa.URL) -> bool:
    """Whether a parsed URL names an SQLite file."""
    return url.drivername in _SQLITE


def _checked_postgresql(url: sa.URL) -> sa.URL:
    # Without a database name the server uses the user's, so a typing error would create a store
    # elsewhere.
    if not (url.database or "dbname" in url.query or "service" in url.query):
        raise UsageError(
            reason="the store's URL names no database; write postgresql://host/database"
        )
    return url.set(drivername="postgresql+psycopg")
