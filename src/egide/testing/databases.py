"""What every database of a store must do: one writer, whole changes, word of them, and oblivion."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from egide.errors import StoreLocked
from egide.store.tables.register import banks, entries, metadata, revisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.store.database.interface import Database

    Another = Callable[..., Database]

GENEROUS_S = 20.0
"""No test waits so long, unless what it waits for never comes."""
_SHORT_S = 0.2
_CHANGE = {"at": 0, "action": "register", "bank_id": None, "entries": 0}


class DatabaseContract(ABC):
    """Subclass it as `TestYours`, say how to connect, and where erased bytes could be left.

    Each test has a new instance, which connects to one database with nothing in it.
    """

    @abstractmethod
    def connect(self, busy_timeout_s: float) -> Database:
        """Make ready to connect to the test's database, each time as another process would.

        Args:
            busy_timeout_s: how long a write waits for another.
        """

    @abstractmethod
    def copies_of(self, value: bytes) -> int:
        """Return how often a value of `entries` stands in the database's files, old rows included.

        It has 32 bytes that stand nowhere else.
        """

    @pytest.fixture
    def another(self) -> Iterator[Another]:
        """Connect once more, by default with much patience; the first time makes the tables."""
        opened: list[Database] = []

        def connect(busy_timeout_s: float = GENEROUS_S) -> Database:
            database = self.connect(busy_timeout_s)
            opened.append(database)
            database.check_place(create=True)
            if len(opened) == 1:
                database.prepare_new()
                with database.write() as connection:
                    metadata.create_all(connection)
            return database

        yield connect
        for database in opened:
            database.close()

    @pytest.fixture
    def database(self, another: Another) -> Database:
        """The test's first connection."""
        return another()

    # --- transactions -----------------------------------------------------------------------

    def test_a_read_sees_one_moment(self, database: Database, another: Another) -> None:
        other = another()
        _change(other)
        with database.read() as connection:
            assert _newest(connection) == 1
            _change(other)
            assert _newest(connection) == 1
        assert _revision(database) == 2

    def test_a_change_is_undone_whole_on_an_error(
        self, database: Database, another: Another
    ) -> None:
        with pytest.raises(ZeroDivisionError):
            _change(database, then=lambda: 1 // 0)
        assert _revision(database) == 0
        _change(another())

    def test_while_one_writes_others_read_what_was_before(
        self, database: Database, another: Another
    ) -> None:
        other = another()
        with database.write() as connection:
            connection.execute(sa.insert(revisions).values(_CHANGE))
            assert _revision(other) == 0
        assert _revision(other) == 1

    def test_a_second_writer_is_refused_in_time(self, database: Database, another: Another) -> None:
        other = another(_SHORT_S)
        with database.write() as connection:
            connection.execute(sa.insert(revisions).values(_CHANGE))
            began = time.monotonic()
            with pytest.raises(StoreLocked):
                _change(other)
            assert time.monotonic() - began < GENEROUS_S / 2
        _change(other)
        assert _revision(database) == 2

    def test_a_second_writer_waits_and_sees_what_the_first_wrote(
        self, database: Database, another: Another
    ) -> None:
        other = another()
        seen: list[int] = []

        def write() -> None:
            with other.write() as connection:
                seen.append(_newest(connection))

        with database.write() as connection, _thread(write) as thread:
            connection.execute(sa.insert(revisions).values(_CHANGE))
            thread.join(_SHORT_S)
            assert seen == []
            connection.commit()
        assert seen == [1]

    def test_numbering_goes_on_after_rows_that_were_loaded(self, database: Database) -> None:
        with database.write() as connection:
            database.load(connection, revisions, [(n, 0, "register", None, 0) for n in (3, 7)])
            database.end_loading(connection, [revisions])
        _change(database)
        with database.read() as connection:
            assert list(connection.scalars(sa.select(revisions.c.id).order_by(revisions.c.id))) == [
                3,
                7,
                8,
            ]

    # --- word of changes --------------------------------------------------------------------

    def test_a_wait_ends_with_the_change_and_not_with_its_time(
        self, database: Database, another: Another
    ) -> None:
        seen: list[int] = []
        with _thread(lambda: seen.append(_wait(database, 0, 3600))) as thread:
            thread.join(_SHORT_S)
            assert seen == []
            _change(another())
        assert seen == [1]

    def test_no_change_is_missed_whoever_makes_it(
        self, database: Database, another: Another
    ) -> None:
        others = [another(), another()]
        seen = [0]

        def follow() -> None:
            while seen[-1] < 20:
                seen.append(_wait(database, seen[-1], GENEROUS_S))

        with _thread(follow):
            for number in range(20):
                _change(others[number % 2])
        assert seen[-1] == 20
        assert seen == sorted(set(seen))

    def test_a_change_made_before_is_told_at_once(self, database: Database) -> None:
        _change(database)
        assert _wait(database, 0, 3600) == 1

    def test_without_a_change_the_time_runs_out(self, database: Database, another: Another) -> None:
        assert _wait(database, 0, 0) == 0
        with pytest.raises(ZeroDivisionError):
            _change(another(), then=lambda: 1 // 0)
        assert _wait(database, 0, _SHORT_S) == 0

    def test_several_threads_may_wait_at_once(self, database: Database, another: Another) -> None:
        seen: list[int] = []

        def wait() -> None:
            seen.append(_wait(database, 0, 3600))

        with _thread(wait), _thread(wait), _thread(wait):
            _change(another())
        assert seen == [1, 1, 1]

    def test_closing_ends_the_wait(self, database: Database) -> None:
        seen: list[int] = []
        with _thread(lambda: seen.append(_wait(database, 0, 3600))) as thread:
            thread.join(_SHORT_S)
            database.close()
        assert seen == [0]
        assert _wait(database, 0, 3600) == 0

    def test_waiting_leaks_no_connection(self, database: Database) -> None:
        for _ in range(50):
            _wait(database, 0, 0.001)
        pool = database._engine.pool  # noqa: SLF001 - every `Database` has one
        assert isinstance(pool, sa.QueuePool)
        assert pool.checkedout() == 0
        assert pool.checkedin() <= 2

    # --- erasing ----------------------------------------------------------------------------

    def test_nothing_of_an_erased_row_is_left(self, database: Database) -> None:
        kept, erased = _register(database, 200)[100:102]
        assert self.copies_of(erased) > 0
        _erase(database, erased)
        assert database.forget_erased()
        assert self.copies_of(erased) == 0
        assert self.copies_of(kept) > 0

    def test_what_somebody_still_reads_is_not_forgotten_yet(self, another: Another) -> None:
        database = another(_SHORT_S)
        erased, *_ = _register(database, 10)
        with another().read() as connection:
            assert connection.scalar(sa.select(sa.func.count(entries.c.pdqs))) == 10
            _erase(database, erased)
            assert not database.forget_erased()
            assert connection.scalar(sa.select(sa.func.count(entries.c.pdqs))) == 10
        assert database.forget_erased()
        assert self.copies_of(erased) == 0


def _change(database: Database, then: Callable[[], object] = lambda: None) -> None:
    with database.write() as connection:
        connection.execute(sa.insert(revisions).values(_CHANGE))
        database.announce(connection)
        then()


def _newest(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.coalesce(sa.func.max(revisions.c.id), 0))) or 0


def _revision(database: Database) -> int:
    with database.read() as connection:
        return _newest(connection)


def _wait(database: Database, since: int, timeout_s: float) -> int:
    return database.wait_for_change(lambda: _revision(database), since, timeout_s)


def _register(database: Database, count: int) -> list[bytes]:
    """Write so many entries; return the fingerprint of each."""
    values = [b"fingerprint %20d" % number for number in range(count)]
    with database.write() as connection:
        bank = {"id": 1, "name": "b", "radius_bits": 31, "description": "", "enabled": True}
        connection.execute(sa.insert(banks).values(**bank, created=0, revision=0))
        columns = {
            "bank_id": 1,
            "trust": "unverified",
            "state": "active",
            "source": "",
            "note": "",
            "added": 0,
            "changed": 0,
            "revision": 0,
        }
        connection.execute(
            sa.insert(entries),
            [{**columns, "identity": value[-20:], "pdqs": value} for value in values],
        )
    return values


def _erase(database: Database, value: bytes) -> None:
    with database.write() as connection:
        gone = sa.update(entries).where(entries.c.pdqs == value)
        connection.execute(gone.values(state="withdrawn", pdqs=None))


@contextmanager
def _thread(run: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run something beside the block, and see that it ends soon after it."""
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(GENEROUS_S)
    assert not thread.is_alive()
