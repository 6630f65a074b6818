"""A PostgreSQL server of the benchmark's own, with a copy of the prepared store in it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from egide.store.database.copying import restore_store
from postgres_server import PostgresServer, find_programs
from service.plan import BenchmarkFailed
from service.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def postgresql() -> Iterator[str]:
    """Start a server with PostgreSQL's own settings; yield the URL of an empty database.

    Raises:
        BenchmarkFailed: PostgreSQL is not installed.
    """
    programs = find_programs()
    if programs is None:
        raise BenchmarkFailed("PostgreSQL is not installed (apt install postgresql)")
    server = PostgresServer(programs, settings=())
    try:
        yield server.url(server.new_database("bench"))
    finally:
        server.remove()


def restored(path: Path, url: str) -> None:
    """Fill an empty database from the prepared store, as `egide store restore` does."""
    say("copying the store into PostgreSQL")
    restore_store(path, url)
