"""What is the same for each store and each application, made once a process in the tests.

A store of its own costs a test a fifth of what it did, and so does a register that is served.
"""

from __future__ import annotations

from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from fastapi import applications
from fastapi.routing import _EffectiveRouteContext
from sqlalchemy.engine.default import DefaultDialect

from egide.server.app import create_app, prepare
from egide.server.settings import ServerSettings
from egide.store import copying
from egide.store.changing import ChangingStore
from egide.store.database import opening

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

# What a dump begins and ends with; tables are made within a transaction that has begun.
_BRACKETS = ("BEGIN TRANSACTION;", "COMMIT;")
_STATEMENTS = 10_000


def share(patch: pytest.MonkeyPatch) -> None:
    """Let all stores and applications have what the first one made."""
    _share_statements(patch)
    _share_tables(patch)
    _share_routes(patch)


def warm_up() -> None:
    """Make what is shared, and load what `egide serve` loads, for processes that are forked."""
    import_module("egide.cli.main")
    import_module("egide.server.running")
    import_module("uvicorn.loops.uvloop")
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/egide.db"
        ChangingStore.open(url, create=True).close()
        prepare(create_app(ServerSettings(store=url, pages=True, hma_enabled=True)))


def _share_statements(patch: pytest.MonkeyPatch) -> None:
    """What SQLAlchemy made of a statement serves all stores in a kind of database."""
    create_engine = sa.create_engine
    memos: dict[type, Any] = {}
    compiled: dict[type, Any] = {}

    def sharing(*arguments: Any, **given: Any) -> sa.Engine:
        engine = create_engine(*arguments, query_cache_size=_STATEMENTS, **given)
        dialect: Any = engine.dialect
        dialect._type_memos = memos.setdefault(type(dialect), dialect._type_memos)
        engine._compiled_cache = compiled.setdefault(type(dialect), engine._compiled_cache)
        return engine

    patch.setattr(sa, "create_engine", sharing)
    patch.setattr(DefaultDialect, "__eq__", lambda one, other: type(one) is type(other))
    patch.setattr(DefaultDialect, "__hash__", lambda one: hash(type(one)))


def _share_routes(patch: pytest.MonkeyPatch) -> None:
    """What FastAPI made of routes serves all applications, and so does their document."""
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

    patch.setattr(_EffectiveRouteContext, "from_api_route", from_api_route)
    patch.setattr(applications, "get_openapi", get_openapi)


def _share_tables(patch: pytest.MonkeyPatch) -> None:
    """The first new database of a kind gets its tables from the migrations, the others as it did.

    That is a tenth of a second less for each file, and half a second for each of PostgreSQL's.
    """
    migrate = opening.make_tables
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

    patch.setattr(opening, "make_tables", make_tables)
    patch.setattr(copying, "make_tables", make_tables)


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
