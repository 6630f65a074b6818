"""A PostgreSQL server of the tests' own, on loopback, and empty databases in it.

It is started when the first test asks for it, one for each process of pytest, and stopped by its
own process id at the end; should pytest be killed, the kernel stops it.
"""

import os
from collections.abc import Callable, Iterator

import pytest

from postgres_server import PostgresServer, find_programs

__all__ = ["PostgresServer", "find_programs"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that the tests of this process share."""
    programs = find_programs()
    if programs is None:
        reason = "PostgreSQL is not installed: nothing was tested on it (apt install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    pytest.importorskip("psycopg", reason="psycopg is not installed: PostgreSQL was not tested")
    server = PostgresServer(programs)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(
    postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> Iterator[Callable[..., str]]:
    """Give the URL of a new, empty database each time it is called; all go after the test."""
    made: list[str] = []

    def new(name: str = "") -> str:
        made.append(postgres_server.new_database(name or request.node.name))
        return postgres_server.url(made[-1])

    yield new
    for database in made:
        postgres_server.drop(database)


@pytest.fixture(scope="session")
def shared_postgres_store(postgres_server: PostgresServer) -> str:
    """The database of a store that tests use one after the other, each emptying it at its end."""
    from egide.store.changing import ChangingStore as Store

    database = postgres_server.new_database("shared")
    Store.open(postgres_server.url(database), create=True).close()
    return database


@pytest.fixture
def postgres_store_url(
    postgres_server: PostgresServer, shared_postgres_store: str
) -> Iterator[str]:
    """The URL of a store without anything in it; its id is the same in each test."""
    yield postgres_server.url(shared_postgres_store)
    postgres_server.empty_store(shared_postgres_store)
