"""What costs every test and is the subject of few, made cheap in the process of the tests.

Programs that tests start pay in full, as do the tests of each of these things.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import chain
from subprocess import Popen
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from fastapi import applications
from fastapi.routing import _EffectiveRouteContext
from sqlalchemy.engine.default import DefaultDialect

from egide import compiled
from egide.domain.model import Limits
from egide.sandbox.decoding import DecodingPool
from egide.sandbox.decoding_process import DecodingProcess
from egide.security import passwords
from egide.server import service
from egide.store import copying
from egide.store.database import opening as lifecycle
from egide.store.database import sqlite

_FULL_COST = passwords.MEMORY_KIB, passwords.PASSES
# What a dump begins and ends with; tables are made within a transaction that has begun.
_BRACKETS = ("BEGIN TRANSACTION;", "COMMIT;")


@pytest.fixture(scope="session", autouse=True)
def argon2_of_a_millisecond() -> Iterator[None]:
    """Argon2id takes a millisecond, and half a second no longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "MEMORY_KIB", 64)
        patch.setattr(passwords, "PASSES", 1)
        yield


@pytest.fixture
def argon2_at_full_cost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2id as it is outside of tests."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", _FULL_COST[0])
    monkeypatch.setattr(passwords, "PASSES", _FULL_COST[1])
    forget_hashes()
    yield
    forget_hashes()


def forget_hashes() -> None:
    """Have Argon2's parameters be read anew."""
    passwords._hasher.cache_clear()
    passwords._nobodys_hash.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def nothing_compiled_in_passing() -> Iterator[None]:
    """However many pictures are fingerprinted, Numba takes its half minute where it is asked to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WORTH_COMPILING", 10**9)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Processes are killed here, machines are not: nothing needs to reach the disk."""
    set_up = sqlite._set_up

    def without_waiting(connection: Any, record: object) -> None:
        set_up(connection, record)
        connection.execute("PRAGMA synchronous=OFF").close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "_set_up", without_waiting)
        yield


@pytest.fixture(scope="session", autouse=True)
def statements_compiled_once() -> Iterator[None]:
    """What SQLAlchemy made of a statement for one store serves all of that kind of database.

    Compiling took a quarter of the time of a test that opens a store of its own.
    """
    create_engine = sa.create_engine
    first: dict[type, sa.Dialect] = {}
    compiled_for: dict[type, Any] = {}

    def sharing(*arguments: Any, **given: Any) -> sa.Engine:
        engine = create_engine(*arguments, query_cache_size=10_000, **given)
        kind = type(engine.dialect)
        engine.dialect._type_memos = first.setdefault(kind, engine.dialect)._type_memos
        engine._compiled_cache = compiled_for.setdefault(kind, engine._compiled_cache)
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa, "create_engine", sharing)
        patch.setattr(DefaultDialect, "__eq__", lambda one, other: type(one) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda one: hash(type(one)))
        yield


@pytest.fixture(scope="session", autouse=True)
def routes_analysed_once() -> Iterator[None]:
    """Applications share what FastAPI made of the functions of their routes, and the document.

    That is half a second less for each register that is served.
    """
    context, document = _EffectiveRouteContext.from_api_route, applications.get_openapi
    contexts: dict[object, _EffectiveRouteContext] = {}
    documents: dict[object, dict[str, Any]] = {}

    def from_api_route(*, original_route: Any, include_context: Any) -> _EffectiveRouteContext:
        added = [one.dependency for one in include_context.dependencies]
        key = (
            *(original_route.endpoint, type(original_route), *original_route.methods, *added),
            *(include_context.path_for(original_route), include_context.include_in_schema),
        )
        if key not in contexts:
            contexts[key] = context(original_route=original_route, include_context=include_context)
        return contexts[key]

    def get_openapi(**given: Any) -> dict[str, Any]:
        key = str(given["servers"]), len(given["routes"])
        if key not in documents:
            documents[key] = document(**given)
        return deepcopy(documents[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_EffectiveRouteContext, "from_api_route", from_api_route)
        patch.setattr(applications, "get_openapi", get_openapi)
        yield


@pytest.fixture(scope="session", autouse=True)
def tables_migrated_once() -> Iterator[None]:
    """The first new database of a kind gets its tables from the migrations, the others as it did.

    That is a tenth of a second less for each file, and half a second for each of PostgreSQL's.
    """
    migrate = lifecycle.make_tables
    made: dict[str, list[str]] = {}

    def make_tables(connection: sa.Connection) -> None:
        kind = connection.dialect.name
        driver: Any = connection.connection.driver_connection
        if sa.inspect(connection).get_table_names():
            migrate(connection)
        elif kind in made:
            for statement in made[kind]:
                driver.execute(statement)
        elif kind == "sqlite":
            migrate(connection)
            made[kind] = [line for line in driver.iterdump() if line not in _BRACKETS]
        else:
            with _heard(connection) as statements:
                migrate(connection)
            made[kind] = [";".join(statements)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lifecycle, "make_tables", make_tables)
        patch.setattr(copying, "make_tables", make_tables)
        yield


@contextmanager
def _heard(connection: sa.Connection) -> Iterator[list[str]]:
    """What is executed on PostgreSQL meanwhile, but for questions; values stand in their place."""
    from psycopg import ClientCursor

    heard: list[str] = []

    def hear(_: object, cursor: Any, statement: str, parameters: Any, *_rest: object) -> None:
        if not statement.lstrip().startswith("SELECT"):
            heard.append(ClientCursor(cursor.connection).mogrify(statement, parameters or None))

    sa.event.listen(connection, "before_cursor_execute", hear)
    yield heard
    sa.event.remove(connection, "before_cursor_execute", hear)


@pytest.fixture(scope="session", autouse=True)
def decoders_kept() -> Iterator[None]:
    """Registers that are served one after the other use the same decoders.

    One takes half a second to load. Those that did not answer, or died, are replaced as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "DecodingPool", _PoolOfKept)
        yield
    for process in chain.from_iterable(_KeptDecoder.spare.values()):
        process.kill()
        process.communicate()


class _KeptDecoder(DecodingProcess):
    """A decoder that, once it has loaded, goes on to the next pool with the same limits."""

    spare: ClassVar[dict[Limits, list[Popen[bytes]]]] = {}

    def start(self) -> None:
        super().end()
        spare = self.spare.get(self._limits, [])
        while spare:
            process = spare.pop()
            if process.poll() is None:
                assert process.stdin is not None
                assert process.stdout is not None
                self._requests, self._answers = process.stdin.fileno(), process.stdout.fileno()
                self._process, self._ready = process, True
                return
        super().start()

    def end(self) -> None:
        process = self._process
        if self._ready and process is not None and process.poll() is None:
            self.spare.setdefault(self._limits, []).append(process)
            self._process, self._ready = None, False
        super().end()


class _PoolOfKept(DecodingPool):
    def __init__(self, limits: Limits, workers: int, *, max_waiting: int) -> None:
        super().__init__(limits, workers, max_waiting=max_waiting)
        self._children = tuple(_KeptDecoder(limits) for _ in range(workers))
