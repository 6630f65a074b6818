"""SQLite stores as files: created, refused, damaged, full, and erased for good."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from egide.domain.model import Registration, State, Trust
from egide.errors import (
    EgideError,
    StoreForeign,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreTooNew,
    StoreTooOld,
    StoreUnreadable,
    UsageError,
)
from egide.store.changing import ChangingStore as Store
from egide.store.entries.registering import identity_of
from egide.store.tables import register as schema
from store_processes import registration
from store_samples import migrated_to

PAST = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a store with the bank `helpline` and 50 entries."""
    path = tmp_path / "egide.db"
    with Store.open(f"sqlite:///{path}", create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", (registration(number) for number in range(50)))
    return path


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_the_cache_of_an_import_is_given_back_after_it(path: Path) -> None:
    sizes: list[int] = []

    def numbered(connection: sa.Connection, *_: object) -> None:
        sizes.append(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())

    with Store.open(url_of(path)) as store:
        database = store._database
        with database.read() as connection:
            numbered(connection)
        engine = database._engine
        sa.event.listen(engine, "commit", numbered)
        store.entries.register("helpline", (registration(number) for number in range(100, 5000)))
        sa.event.remove(engine, "commit", numbered)
        with database.read() as connection:
            numbered(connection)
    usual, importing, afterwards = sizes[0], max(sizes, key=abs), sizes[-1]
    assert abs(importing) > abs(usual)
    assert afterwards == usual


# --- opening --------------------------------------------------------------------------------


def test_a_new_store_belongs_to_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new é.db"
    with Store.open(url_of(path), create=True) as store:
        store.banks.create("helpline")
        for file in tmp_path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert store.path == path
        identity, url = store.id, store.url
    assert [file.name for file in tmp_path.iterdir()] == ["new é.db"]
    with Store.open(url) as store:
        assert (store.id, store.path) == (identity, path)


def test_a_relative_url_is_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Store.open("sqlite:///here.db", create=True).close()
    assert (tmp_path / "here.db").is_file()


def test_a_missing_store_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match="egide bank create"):
        Store.open(url_of(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_a_store_that_was_not_finished(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(StoreMissing):
        Store.open(url_of(path))
    with Store.open(url_of(path), create=True) as store:
        assert store.revision() == 0


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("egide.db", "sqlite:///egide.db"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file::memory:?uri=true", "in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ("sqlite:///secret.db?timeout=soon", "parameter"),
        ("mysql://me:secret@host/db", "mysql is not possible"),
        ("://", "cannot be understood"),
        ("x://a:secret@[", "not possible"),
        ("postgresql:/me:secret@host/db", "write sqlite:///egide.db"),
    ],
)
def test_a_url_that_cannot_be_a_store_is_refused_with_a_remedy(url: str, remedy: str) -> None:
    with pytest.raises(UsageError, match=remedy) as caught:
        Store.open(url, create=True)
    assert "secret" not in str(caught.value)


def test_a_folder_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    for create in (False, True):
        with pytest.raises(StoreUnreadable, match="it is a folder"):
            Store.open(url_of(tmp_path), create=create)
    with pytest.raises(StoreUnreadable, match="its folder does not exist"):
        Store.open(url_of(tmp_path / "no" / "egide.db"), create=True)


def test_a_text_file_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "egide.db"
    path.write_text("a shopping list, longer than the header of a database " * 20)
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(StoreUnreadable, match="no SQLite database"):
            Store.open(url_of(path), create=create)
    assert path.read_bytes() == before


def test_a_damaged_store_is_told(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    path.write_bytes(raw)

    def use() -> None:
        with Store.open(url_of(path)) as store:
            list(store.entries.list("helpline"))

    with pytest.raises(StoreUnreadable, match="damaged"):
        use()


def test_a_store_cut_in_the_middle_is_told(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])

    def use() -> None:
        with Store.open(url_of(path)) as store:
            list(store.entries.list("helpline"))

    with pytest.raises(StoreUnreadable, match=r"damaged|disk"):
        use()


def test_the_database_of_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    execute(path, "CREATE TABLE alembic_version (version_num TEXT)", "CREATE TABLE t (x)")
    for create in (False, True):
        with pytest.raises(StoreForeign, match="other tables"):
            Store.open(url_of(path), create=create)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (2,)
    connection.close()


def test_a_newer_store_is_refused(path: Path) -> None:
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    for open_it in (Store.open, Store.upgrade):
        with pytest.raises(StoreTooNew, match=r"newer Egide \(schema 9999\)"):
            open_it(url_of(path))


def first_schema(path: Path) -> None:
    """Make a store as the first version did, with three entries, one of them withdrawn."""
    migrated_to(url_of(path), "0001")
    execute(
        path,
        "PRAGMA journal_mode=WAL",
        f"INSERT INTO store_meta VALUES ('an id', x'{bytes(32).hex()}', 1)",
        "INSERT INTO banks VALUES (1, 'helpline', 31, '', 1, 1, 1)",
        "INSERT INTO revisions VALUES (1, 1, 'create-bank', 1, 0), (2, 2, 'register', 1, 3)",
    )
    for number in range(3):
        one = registration(number)
        identity = identity_of(one, bytes(32)).hex()
        execute(
            path,
            "INSERT INTO entries VALUES"
            f" ({number + 1}, 1, x'{identity}', x'{b''.join(one.pdqs).hex()}',"
            f" x'{(one.sha256 or b'').hex()}', NULL, 80, 'confirmed', 'active',"
            f" '{one.source}', 'kept', 2, 2, NULL, 2)",
        )
    execute(
        path,
        "UPDATE entries SET state = 'withdrawn', pdqs = NULL, sha256 = NULL, note = ''"
        " WHERE id = 3",
    )


def test_an_older_store_is_refused_until_it_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    first_schema(path)
    with pytest.raises(
        StoreTooOld, match=f"schema 0001; this Egide needs {schema.SCHEMA_REVISIONS[-1]}"
    ):
        Store.open(url_of(path))
    Store.upgrade(url_of(path)).close()
    with Store.upgrade(url_of(path)) as store:
        assert (store.id, store.revision()) == ("an id", 2)
        found = list(store.entries.list("helpline"))
        assert [entry.pdqs for entry in found] == [registration(0).pdqs, registration(1).pdqs, ()]
        assert {(entry.trimmed_pdqs, entry.has_keypoints) for entry in found} == {((), False)}
        assert (found[0].note, found[0].trust) == ("kept", Trust.CONFIRMED)
        done = store.entries.register("helpline", (registration(number) for number in range(4)))
        assert (done.known, done.refused, done.added) == (2, 1, 1)


def test_an_upgraded_store_is_like_a_new_one(path: Path, tmp_path: Path) -> None:
    first_schema(tmp_path / "old.db")
    Store.upgrade(url_of(tmp_path / "old.db")).close()
    new, upgraded = sa.create_engine(url_of(path)), sa.create_engine(url_of(tmp_path / "old.db"))
    with new.connect() as wanted, upgraded.connect() as made:
        assert described(made) == described(wanted)
    new.dispose()
    upgraded.dispose()


def test_a_read_only_store_can_be_read(path: Path) -> None:
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    with Store.open(url) as store:
        assert store.path == path
        assert len(list(store.entries.list("helpline"))) == 50
        with pytest.raises(StoreReadOnly, match="read-only"):
            store.entries.withdraw("helpline", [1])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere: nothing was tested")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    with pytest.raises(StoreReadOnly):
        Store.open(url_of(folder / "egide.db"), create=True)


def test_a_full_disk_changes_nothing(path: Path) -> None:
    def fill(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 5}").close()

    with Store.open(url_of(path)) as store:
        before = store.revision()
        store._database.close()  # the next connection is the first with the limit
        sa.event.listen(store._database._engine, "connect", fill)
        with pytest.raises(StoreFull, match="nothing was changed"):
            store.entries.register(
                "helpline", (registration(number) for number in range(100, 5000))
            )
        assert store.revision() == before
        assert store.banks.counts("helpline").total == 50


def test_an_error_never_quotes_a_fingerprint(path: Path) -> None:
    execute(path, "DROP TABLE revisions")
    secret = registration(1000)
    with Store.open(url_of(path)) as store, pytest.raises(Exception) as caught:  # noqa: PT011
        store.entries.register("helpline", [secret])
    error: BaseException | None = caught.value
    while error is not None:
        for value in (*secret.pdqs, secret.sha256):
            assert value is not None
            assert value.hex() not in str(error)
            assert repr(value)[2:-1] not in str(error)
        error = error.__cause__ or error.__context__
    assert not isinstance(caught.value, EgideError)


# --- schema ---------------------------------------------------------------------------------


def described(connection: sa.Connection) -> dict[str, object]:
    """All that the database knows of its tables, in an order that does not matter."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": inspector.get_foreign_keys(table),
            "checks": sorted(
                (str(check["name"]), check["sqltext"])
                for check in inspector.get_check_constraints(table)
            ),
            "indexes": sorted(
                (
                    str(index["name"]),
                    index["column_names"],
                    index["unique"],
                    str(index.get("dialect_options", {}).get("sqlite_where")),
                )
                for index in inspector.get_indexes(table)
            ),
            "numbered": "AUTOINCREMENT"
            in connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
            ).scalar_one(),
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_the_migrations_make_the_tables_that_the_code_uses(path: Path, tmp_path: Path) -> None:
    declared = sa.create_engine(f"sqlite:///{tmp_path}/declared.db")
    schema.metadata.create_all(declared)
    migrated = sa.create_engine(url_of(path))
    with declared.connect() as wanted, migrated.connect() as made:
        assert described(made) == described(wanted)
        assert len(described(made)) == 29
    declared.dispose()
    migrated.dispose()


def test_the_known_versions_are_the_migrations() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "egide.store:migrations")
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(script.revision for script in reversed(scripts)) == schema.SCHEMA_REVISIONS
    assert not [script for script in scripts if hasattr(script.module, "downgrade")]


# --- erasing --------------------------------------------------------------------------------


def crowd() -> Iterator[Registration]:
    for number in range(1500):
        one = registration(number, "her" if number % 3 else "them")
        # Codes of many frames overflow a page, which is freed in another way.
        frames = tuple((one.sha256 or b"")[:30] + bytes([k, 1]) for k in range(number % 40))
        expires = PAST if number % 5 == 0 else None
        yield Registration(
            one.pdqs + frames, one.sha256, None, 80, one.source, one.note, expires=expires
        )


@pytest.mark.parametrize("reader_is_busy", [False, True])
def test_what_is_withdrawn_or_expired_is_gone_from_the_files(
    tmp_path: Path, reader_is_busy: bool
) -> None:
    path = tmp_path / "egide.db"

    def found() -> set[int]:
        raw = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.suffix != ".db-shm")
        return {
            number
            for number in range(1500)
            if any(code in raw for code in registration(number).pdqs)
            or (registration(number).sha256 or b"")[:30] in raw
            or f"note of {number}\0".encode() in raw
        }

    with Store.open(url_of(path), create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", crowd())
        assert found() == set(range(1500))
        if reader_is_busy:
            with store.entries.active():
                store.entries.withdraw_source("helpline", "her")
            assert found() == set(range(1500))  # the reader may still need the old pages
        store.entries.withdraw(
            "helpline", [entry.id for entry in store.entries.list("helpline", limit=9)]
        )
        store.entries.withdraw_source("helpline", "her")
        store.entries.expire()
        kept = {
            int(entry.note.rpartition(" ")[2])
            for entry in store.entries.list("helpline", state=State.ACTIVE)
        }
        assert len(kept) > 300
        assert found() == kept
    assert found() == kept


def test_erasing_while_another_reads_is_made_up_for_when_the_store_is_closed(
    path: Path, tmp_path: Path
) -> None:
    reader = Store.open(url_of(path))
    store = Store.open(url_of(path))
    with reader.entries.active():
        store.entries.withdraw("helpline", [1])
        secret = registration(0).pdqs[0]
        assert secret in path.read_bytes()
    store.close()
    assert secret not in path.read_bytes()
    log = tmp_path / "egide.db-wal"
    assert not log.exists() or secret not in log.read_bytes()
    reader.close()
