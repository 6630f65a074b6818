"""Stores on PostgreSQL: made, refused, erased for good, and back after the server was killed."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from egide.errors import (
    PostgresqlUnavailable,
    StoreError,
    StoreForeign,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
    StoreTooOld,
    StoreUnreadable,
    UsageError,
)
from egide.store.changing import ChangingStore as Store
from egide.store.tables import register as schema
from postgres import PostgresServer, find_programs
from store_samples import code, picture

GENEROUS_S = 30.0


@pytest.fixture
def own_server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that a test may kill."""
    programs = find_programs()
    assert programs is not None
    server = PostgresServer(programs)
    yield server
    server.remove()


# --- opening --------------------------------------------------------------------------------


def test_a_missing_store_is_not_made_by_looking(postgres_url: Callable[..., str]) -> None:
    url = postgres_url()
    with pytest.raises(StoreMissing):
        Store.open(url)
    short = url.replace("postgresql+psycopg:", "postgresql:")
    with Store.open(short, create=True) as store:
        assert (store.revision(), store.path) == (0, None)
        assert store.url == url
    with Store.open(short) as again:
        assert again.id == store.id


def test_many_make_the_store_at_once_and_it_is_one(postgres_url: Callable[..., str]) -> None:
    url = postgres_url()

    def make() -> str:
        with Store.open(url, create=True) as store:
            return store.id

    with ThreadPoolExecutor(4) as pool:
        made = {future.result() for future in [pool.submit(make) for _ in range(4)]}
    assert len(made) == 1


def test_the_database_of_something_else_is_left_alone(
    postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    url = postgres_url()
    database = url.rpartition("/")[2]
    postgres_server.execute("CREATE TABLE shopping (item text)", database)
    with pytest.raises(StoreForeign):
        Store.open(url, create=True)
    assert postgres_server.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", database
    ) == [("shopping",)]


def test_two_schemas_of_one_database_are_two_stores(
    postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    url = postgres_url()
    for name in ("one", "two"):
        postgres_server.execute(f"CREATE SCHEMA {name}", url.rpartition("/")[2])
    first = Store.open(f"{url}?options=-csearch_path%3Done", create=True)
    second = Store.open(f"{url}?options=-csearch_path%3Dtwo", create=True)
    assert first.id != second.id
    first.banks.create("helpline")
    assert (first.revision(), second.revision()) == (1, 0)
    first.close()
    second.close()


def test_other_versions_are_refused_and_an_older_one_is_upgraded(
    postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    from alembic import command
    from alembic.config import Config

    url = postgres_url()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", "egide.store:migrations")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.exec_driver_sql("INSERT INTO store_meta VALUES ('an id', 'key', 1)")
        connection.exec_driver_sql("INSERT INTO banks VALUES (1, 'helpline', 31, '', true, 1, 1)")
        connection.exec_driver_sql("INSERT INTO revisions VALUES (1, 1, 'create-bank', 1, 0)")
    engine.dispose()
    with pytest.raises(StoreTooOld):
        Store.open(url)
    with Store.upgrade(url) as store:
        assert store.entries.register("helpline", [picture(1)]).revision == 2
    database = url.rpartition("/")[2]
    postgres_server.execute("UPDATE alembic_version SET version_num = '9999'", database)
    with pytest.raises(StoreTooNew):
        Store.open(url)


def test_the_migrations_make_the_tables_that_the_code_uses(
    postgres_url: Callable[..., str],
) -> None:
    urls = postgres_url(), postgres_url()
    Store.open(urls[0], create=True).close()
    engines = [sa.create_engine(url) for url in urls]
    schema.metadata.create_all(engines[1])
    migrated, declared = (described(engine) for engine in engines)
    for engine in engines:
        engine.dispose()
    assert len(declared) >= 16
    assert migrated == declared


def described(engine: sa.Engine) -> dict[str, object]:
    inspector = sa.inspect(engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(map(str, inspector.get_foreign_keys(table))),
            "checks": sorted(map(str, inspector.get_check_constraints(table))),
            "indexes": sorted(map(str, inspector.get_indexes(table))),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("egide@", "nobody:secret@"), "no such database or user"),
        (("/{database}", "/none"), "no such database or user"),
        ((":{port}/", ":1/"), "no server answers there"),
        (("egide@", "egide:secret@"), "No store at"),
    ],
)
def test_what_cannot_be_reached_is_told_without_the_password(
    postgres_url: Callable[..., str],
    postgres_server: PostgresServer,
    change: tuple[str, str],
    reason: str,
) -> None:
    url = postgres_url()
    old, new = (
        part.format(database=url.rpartition("/")[2], port=postgres_server.port) for part in change
    )
    with pytest.raises(StoreError, match=reason) as caught:
        Store.open(url.replace(old, new))
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError) as caught:
        Store.open(url.replace(old, new) + "?password=secret&connect_timeout=3")
    assert "secret" not in str(caught.value)


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(UsageError, match="names no database"):
        Store.open("postgresql://localhost", create=True)


def test_without_psycopg_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(PostgresqlUnavailable, match=r"egide\[postgresql\]"):
        Store.open("postgresql://localhost/egide")


def test_who_may_only_read_is_told_when_writing(
    postgres_url: Callable[..., str], postgres_server: PostgresServer
) -> None:
    url = postgres_url()
    with Store.open(url, create=True) as store:
        store.banks.create("helpline")
    database = url.rpartition("/")[2]
    postgres_server.execute("CREATE ROLE reader LOGIN", database)
    postgres_server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", database)
    with Store.open(url.replace("egide@", "reader@")) as store:
        assert store.revision() == 1
        with pytest.raises(StoreReadOnly):
            store.entries.register("helpline", [picture(1)])
    postgres_server.execute("DROP OWNED BY reader", database)
    postgres_server.execute("DROP ROLE reader")


# --- erasing --------------------------------------------------------------------------------


def test_a_large_import_is_planned_for_what_it_has_added(postgres_url: Callable[..., str]) -> None:
    """Else each chunk reads all that went in before it: six minutes for 100,000 entries."""
    with Store.open(postgres_url(), create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", [picture(number) for number in range(4100)])
        with store._database.read() as connection:
            planned_for = connection.scalar(
                sa.text("SELECT reltuples FROM pg_class WHERE oid = 'entries'::regclass")
            )
        assert planned_for >= 4000


def test_erased_rows_are_no_longer_in_the_pages_as_rows(
    postgres_store_url: str, postgres_server: PostgresServer
) -> None:
    """Row versions by way of pageinspect; the unused middle of a page is not promised."""
    database = postgres_store_url.rpartition("/")[2]
    postgres_server.execute("CREATE EXTENSION IF NOT EXISTS pageinspect", database)

    def versions(number: int) -> int:
        query = (
            "SELECT count(*)"
            " FROM generate_series(0, pg_relation_size('entries') / 8192 - 1) AS page,"
            " heap_page_items(get_raw_page('entries', page::int)) AS item"
            f" WHERE position('\\x{code(number).hex()}'::bytea in item.t_data) > 0"
        )
        (found,) = postgres_server.execute(query, database)[0]
        assert isinstance(found, int)
        return found

    with Store.open(postgres_store_url, forget_at_once=False) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", [picture(number) for number in range(200)])
        store.entries.withdraw("helpline", [11, 150])
        assert (versions(10), versions(149), versions(12)) == (1, 1, 1)
        assert store.forget_erased()
        assert (versions(10), versions(149), versions(12)) == (0, 0, 1)


# --- a server that is killed ----------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_open_store_goes_on_after_its_server_was_gone(
    own_server: PostgresServer, number: signal.Signals
) -> None:
    url = own_server.url(own_server.new_database("killed"))
    with Store.open(url, create=True, busy_timeout_s=2) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", [picture(1)])
        seen: list[int] = []
        failures: list[StoreUnreadable] = []
        stop = threading.Event()

        def follow() -> None:
            at = 2
            while not stop.is_set():
                try:
                    at = store.wait_for_change(at, 1)
                    seen.append(at)
                except StoreUnreadable as error:
                    failures.append(error)
                    stop.wait(0.05)

        thread = threading.Thread(target=follow)
        thread.start()
        own_server.stop(number)
        try:
            with pytest.raises(StoreUnreadable):
                store.entries.register("helpline", [picture(2)])
            with pytest.raises(StoreUnreadable):
                store.revision()
            own_server.start()
            store.entries.register("helpline", [picture(3)])
            assert [entry.pdqs for entry in store.entries.list("helpline")] == [
                picture(1).pdqs,
                picture(3).pdqs,
            ]
            wait_until(lambda: 3 in seen)
            assert failures
        finally:
            stop.set()
            thread.join(GENEROUS_S)


def wait_until(reached: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(int(GENEROUS_S * 20)):
        if reached():
            return
        done.wait(0.05)
    raise AssertionError("never reached")
