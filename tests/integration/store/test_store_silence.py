"""PostgreSQL that does not answer: stopped, cut off, locked, full. No waiting is without end."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from egide.domain.model import Fingerprint, Pdq
from egide.errors import StoreError, StoreFull, StoreLocked, StoreUnreadable
from egide.live.register import LiveRegister
from egide.store.changing import ChangingStore as Store
from store_samples import code, picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from egide.domain.model import Registration
    from postgres import PostgresServer

LIMIT_S = 1.0
GENEROUS_S = 45.0


class Proxy(threading.Thread):
    """Passes on what comes on its port, until it is told to swallow it all."""

    def __init__(self, to_port: int) -> None:
        super().__init__(daemon=True)
        self._to = ("127.0.0.1", to_port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(self._listening, selectors.EVENT_READ)
        self.passing = threading.Event()
        self.passing.set()
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.is_set():
            self.passing.wait(0.05)
            if self.passing.is_set():
                for key, _ in self._waiting.select(0.05):
                    self._pass_on(key)
        for key in list(self._waiting.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._waiting.close()

    def end(self) -> None:
        self._ended.set()
        self.join()

    def _pass_on(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self._listening:
            pair = self._listening.accept()[0], socket.create_connection(self._to)
            for one, other in (pair, pair[::-1]):
                self._waiting.register(one, selectors.EVENT_READ, other)
            return
        one, other = key.fileobj, key.data
        assert isinstance(one, socket.socket)
        if one.fileno() < 0:
            return  # both ends closed at once
        try:
            data = one.recv(65536)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for side in (one, other):
                self._waiting.unregister(side)
                side.close()


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[Proxy]:
    made = Proxy(postgres_server.port)
    made.start()
    yield made
    made.end()


@pytest.fixture
def url(postgres_url: Callable[..., str]) -> str:
    """Of a store with one entry in the bank `helpline`."""
    url = postgres_url()
    with Store.open(url, create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", [picture(0)])
    return url


def opened(url: str) -> Store:
    return Store.open(url, busy_timeout_s=LIMIT_S / 2, timeout_s=LIMIT_S)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + GENEROUS_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def backends(server: PostgresServer, url: str) -> list[int]:
    query = f"SELECT pid FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}'"
    return [int(str(row[0])) for row in server.execute(query)]


@contextmanager
def stopped(processes: list[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


@contextmanager
def following(url: str, store: Store) -> Iterator[LiveRegister]:
    live = LiveRegister(store, url=url, rules=None)
    live.start()
    try:
        assert live.wait_until_ready(GENEROUS_S)
        yield live
    finally:
        live.close()


def matched(live: LiveRegister, number: int) -> bool:
    return live.search([Fingerprint((Pdq(code(number), 100),))]).matches != [[]]


def test_a_server_that_is_cut_off_is_noticed_in_time_and_followed_again_when_it_is_back(
    url: str, proxy: Proxy, postgres_server: PostgresServer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    through = url.replace(f":{postgres_server.port}/", f":{proxy.port}/")
    with ExitStack() as stack:
        store = stack.enter_context(closing(opened(through)))
        live = stack.enter_context(following(through, store))
        stack.callback(proxy.passing.set)
        until(lambda: live.age_s < 1)
        proxy.passing.clear()
        acts: tuple[Callable[[], object], ...] = (
            store.revision,
            lambda: store.entries.register("helpline", [picture(7)]),
            lambda: list(store.entries.changes(0)),
        )
        for act in acts:
            begun = time.monotonic()
            with pytest.raises(StoreUnreadable, match="answer"):
                act()
            # An idle connection is asked, a new one is tried, each for some seconds at most.
            assert time.monotonic() - begun < 15
        until(lambda: live.failure == "store-unreadable" and live.age_s > 3)
        assert matched(live, 0)
        with Store.open(url) as other:
            other.entries.register("helpline", [picture(1)])
        proxy.passing.set()
        until(lambda: matched(live, 1) and live.failure is None and live.age_s < 2)
        store.entries.register("helpline", [picture(2)])
        until(lambda: matched(live, 2))


def test_processes_of_the_server_that_hang_are_left_and_others_are_asked(
    url: str, postgres_server: PostgresServer
) -> None:
    """The listening one too: what is changed meanwhile is told of over another."""
    with closing(opened(url)) as store:
        assert store.wait_for_change(2, 0.1) == 2
        with stopped(backends(postgres_server, url)):
            assert store.revision() == 2
            assert store.entries.register("helpline", [picture(1)]).revision == 3
            assert store.wait_for_change(2, 1) == 3
        assert store.revision() == 3


def test_a_write_whose_process_hangs_is_given_up_and_nothing_of_it_stays(
    url: str, postgres_server: PostgresServer
) -> None:
    with closing(opened(url)) as store, ExitStack() as hanging:

        def pictures() -> Iterator[Registration]:
            for number in range(1, 2500):
                if number == 2400:  # the first part is written
                    hanging.enter_context(stopped(backends(postgres_server, url)))
                yield picture(number)

        with pytest.raises(StoreUnreadable, match="does not answer"):
            store.entries.register("helpline", pictures())
        with pytest.raises(StoreLocked):  # its lock is held as long as it hangs
            store.entries.register("helpline", [picture(1)])
        assert store.revision() == 2
        hanging.close()
        until(lambda: not lingering(postgres_server, url))
        assert store.entries.register("helpline", [picture(1)]).added == 1
        assert store.banks.counts("helpline").total == 2


def lingering(server: PostgresServer, url: str) -> bool:
    """Whether a transaction has been begun and not ended."""
    database = url.rpartition("/")[2]
    query = "SELECT 1 FROM pg_stat_activity WHERE xact_start IS NOT NULL AND datname = "
    return bool(server.execute(f"{query}'{database}'"))


def test_a_lock_that_is_held_for_ever_ends_in_an_error(
    url: str, postgres_server: PostgresServer
) -> None:
    import psycopg

    with (
        psycopg.connect(url.replace("+psycopg", "")) as holder,
        closing(opened(url)) as store,
    ):
        holder.execute("LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreLocked):
            list(store.entries.list("helpline"))
        with pytest.raises(StoreLocked):
            store.entries.register("helpline", [picture(1)])
        holder.rollback()
        assert len(list(store.entries.list("helpline"))) == 1


def test_only_work_on_a_whole_store_may_take_long(url: str) -> None:
    sleep = sa.text(f"SELECT pg_sleep({LIMIT_S + 1.2})")
    with closing(opened(url)) as store:
        database = store._database
        with pytest.raises(StoreUnreadable, match="took too long"), database.read() as connection:
            connection.execute(sleep)
        for long in (database.read, database.write):
            with long(long=True) as connection:
                connection.execute(sleep)
        # What was allowed once is not allowed for good.
        with pytest.raises(StoreUnreadable, match="took too long"), database.write() as connection:
            connection.execute(sleep)


@pytest.mark.parametrize(
    ("state", "words", "kind", "said"),
    [
        ("53100", "could not extend file", StoreFull, "disk of its server is full"),
        ("58030", "could not write: No space left on device", StoreFull, "disk of its server"),
        ("XX000", "could not write: Disk quota exceeded", StoreFull, "quota"),
        ("58030", "could not read block", StoreUnreadable, "disk reports an error"),
        ("XX000", "unexpected chunk", StoreUnreadable, "defect"),
        ("53400", "configuration limit exceeded", StoreUnreadable, "short of"),
        ("57P04", "database dropped", StoreUnreadable, "stopping"),
        ("55P03", "lock", StoreLocked, "locked"),
        ("25P03", "idle", StoreUnreadable, "did nothing"),
    ],
)
def test_whatever_the_server_reports_is_an_error_of_the_store(
    url: str, state: str, words: str, kind: type[StoreError], said: str
) -> None:
    report = f"DO $$ BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '{state}'; END $$"
    with closing(opened(url)) as store:
        for begin in (store._database.read, store._database.write):
            with pytest.raises(StoreError, match=said) as caught, begin() as connection:
                connection.exec_driver_sql(report)
            assert type(caught.value) is kind
            # Not only of what goes through SQLAlchemy.
            with pytest.raises(StoreError, match=said), begin() as connection:
                connection.connection.cursor().execute(report)
        assert store.revision() == 2
