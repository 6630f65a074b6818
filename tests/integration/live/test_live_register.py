"""A register that is searched while other processes change it, its snapshot, and its database."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import time
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from egide.domain.model import Fingerprint, Pdq, Registration, Trust
from egide.errors import BankMissing, NotReady
from egide.index.live import LiveIndex
from egide.live import rebuilding
from egide.live import register as live_module
from egide.live.rebuilding import Rebuilder, RebuildRules
from egide.live.register import LiveRegister
from egide.live.snapshots import building, forget_snapshot, snapshot_path
from egide.matching import Matcher
from egide.store.changing import ChangingStore as Store
from egide.testing.kernels import random_codes
from egide.usecases.check import match
from store_processes import registration, withdraw_later

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from postgres_fixtures import PostgresServer

spawn = multiprocessing.get_context("spawn")
CODES = random_codes(200, seed=31)
NEVER = RebuildRules(min_changes=10**9, forget_after_s=1e9)


def register(store: Store, *numbers: int, source: str = "local") -> None:
    store.entries.register(
        "helpline",
        [Registration(pdqs=(CODES[number].tobytes(),), source=source) for number in numbers],
    )


def asked(number: int) -> Fingerprint:
    return Fingerprint((Pdq(CODES[number].tobytes(), 100),))


def found(live: LiveRegister, number: int) -> list[int]:
    return [each.entry for each in live.search([asked(number)]).matches[0]]


def until(condition: Callable[[], bool], what: str, timeout_s: float = 45.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.01)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/egide.db"
    new: Callable[[], str] = request.getfixturevalue("postgres_url")
    return new()


@contextmanager
def following(url: str, rules: RebuildRules | None = NEVER) -> Iterator[LiveRegister]:
    with Store.open(url) as store:
        register = LiveRegister(store, url=url, rules=rules)
        register.start()
        try:
            assert register.wait_until_ready(45)
            yield register
        finally:
            register.close()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """As another process would have it open: a bank `helpline` with entries 1 to 3."""
    with Store.open(url, create=True) as opened:
        opened.banks.create("helpline")
        register(opened, 0, 1, 2)
        yield opened


def test_every_change_takes_effect_in_every_register_that_follows(url: str, store: Store) -> None:
    with following(url) as one, following(url) as other:
        assert [found(one, number) for number in range(4)] == [[1], [2], [3], []]
        register(store, 3)
        store.entries.withdraw("helpline", [1])
        store.entries.confirm("helpline", [2])
        store.entries.tombstone("helpline", [3])
        for live in (one, other):
            until(lambda live=live: live.revision == store.revision(), "the changes")  # type: ignore[misc]
            assert [found(live, number) for number in range(4)] == [[], [2], [], [4]]
            assert live.search([asked(1)]).matches[0][0].trust is Trust.CONFIRMED
            assert live.entry_count == 2
        store.banks.update("helpline", enabled=False)
        until(lambda: found(one, 1) == [], "the bank to be off")
        named = one.search([asked(1)], banks=["helpline"])
        assert (named.matches, named.disabled, named.compared) == ([[]], ("helpline",), False)
        store.banks.create("new")
        until(lambda: one.revision == store.revision(), "the new bank")
        assert one.search([asked(1)], banks=["new"]).compared is False
        with pytest.raises(BankMissing):
            one.search([asked(1)], banks=["elsewhere"])


def test_a_withdrawal_by_another_process_takes_effect(url: str, store: Store) -> None:
    with following(url) as live:
        go = spawn.Event()
        other = spawn.Process(target=withdraw_later, args=(url, "helpline", 1, go))
        other.start()
        assert found(live, 0) == [1]
        go.set()
        until(lambda: found(live, 0) == [], "the withdrawal")
        other.join(30)
        assert other.exitcode == 0


def test_a_register_that_starts_catches_up_with_an_older_snapshot(url: str, store: Store) -> None:
    match(store, [asked(0)])
    before = snapshot_path(store).stat().st_ino
    register(store, 3)
    with following(url) as live:
        assert [found(live, number) for number in (0, 3)] == [[1], [4]]
        assert live.held_changes == 1
    assert snapshot_path(store).stat().st_ino == before


def test_a_register_that_starts_lets_go_of_a_snapshot_that_holds_what_was_erased(
    url: str, store: Store
) -> None:
    match(store, [asked(0)])
    held = snapshot_path(store).read_bytes()
    code = store.entries.get("helpline", 1).pdqs[0]
    assert code in held
    store.entries.withdraw("helpline", [1])
    with following(url) as live:
        assert [found(live, number) for number in (0, 1)] == [[], [2]]
        until(snapshot_path(store).exists, "a new snapshot")
        assert code not in snapshot_path(store).read_bytes()


def test_too_many_changes_since_are_no_reason_to_hold_them_in_memory(
    url: str, store: Store
) -> None:
    match(store, [asked(0)])
    register(store, *range(3, 60))
    with following(url, RebuildRules(min_changes=20)) as live:
        assert [found(live, number) for number in (0, 59)] == [[1], [60]]
        assert live.held_changes == 0


def test_nothing_can_be_searched_before_it_is_loaded(url: str, store: Store) -> None:
    live = LiveRegister(store)
    assert not live.ready
    with pytest.raises(NotReady, match="loading"):
        live.search([asked(0)])
    live.close()


def test_many_changes_lead_to_a_new_snapshot_and_the_answers_stay(url: str, store: Store) -> None:
    with following(url, RebuildRules(min_changes=20, changes_share=0.0)) as live:
        first = snapshot_path(store).stat().st_ino
        wrong: list[int] = []
        stop = False

        def ask() -> None:
            while not stop:
                wrong.extend(number for number in (0, 2) if found(live, number) != [number + 1])

        asking = Thread(target=ask)
        asking.start()
        register(store, *range(3, 100))
        until(lambda: live.held_changes == 0 and live.entry_count == 100, "a new snapshot")
        stop = True
        asking.join(30)
        assert not wrong
        assert snapshot_path(store).stat().st_ino != first
        assert [found(live, number) for number in (0, 50, 99)] == [[1], [51], [100]]
        assert live.failure is None


def test_what_was_erased_leaves_the_snapshot_file_too(url: str, store: Store) -> None:
    with following(url, RebuildRules(forget_after_s=0.2)) as live:
        path = snapshot_path(store)
        assert CODES[1].tobytes() in path.read_bytes()
        store.entries.withdraw("helpline", [2])
        until(lambda: CODES[1].tobytes() not in path.read_bytes(), "the erased one to be gone")
        until(lambda: live.held_changes == 0, "the new snapshot to be in use")
        assert [found(live, number) for number in range(3)] == [[1], [], [3]]


def test_a_snapshot_that_was_removed_is_built_anew(url: str, store: Store) -> None:
    with following(url, RebuildRules()) as live:
        forget_snapshot(store)
        assert found(live, 0) == [1]
        until(snapshot_path(store).exists, "the snapshot")
        register(store, 3)
        until(lambda: found(live, 3) == [4], "the next change")


def test_a_damaged_snapshot_is_replaced_and_never_used(url: str, store: Store) -> None:
    with following(url, RebuildRules()) as live:
        path = snapshot_path(store)
        broken = path.with_name("broken")
        broken.write_bytes(b"nonsense" * 100)
        inode = broken.stat().st_ino
        broken.replace(path)
        until(lambda: path.stat().st_ino != inode, "a sound snapshot")
        assert [found(live, number) for number in range(3)] == [[1], [2], [3]]


def copy_database(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


def test_a_store_restored_to_an_earlier_state_is_loaded_anew(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    with Store.open(url, create=True) as store:
        store.banks.create("helpline")
        register(store, 0)
    copy_database(tmp_path / "egide.db", tmp_path / "backup")
    with Store.open(url) as store, following(url) as live:
        register(store, 1)
        register(store, 2)
        until(lambda: found(live, 2) == [3], "what is lost later")
        copy_database(tmp_path / "backup", tmp_path / "egide.db")
        until(lambda: live.revision == 2, "the earlier state")
        assert [found(live, number) for number in range(3)] == [[1], [], []]
        register(store, 5)
        until(lambda: found(live, 5) == [2], "a change after it")


def test_while_the_database_is_down_matching_goes_on_and_then_catches_up(
    postgres_server: PostgresServer,
    postgres_url: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    url = postgres_url()
    with Store.open(url, create=True) as store:
        store.banks.create("helpline")
        register(store, 0)
    with following(url) as live:
        postgres_server.execute("CHECKPOINT")  # it runs without flushing
        postgres_server.stop(signal.SIGKILL)
        try:
            until(lambda: live.age_s > 1.5, "the age to rise")
            assert found(live, 0) == [1]
            until(lambda: live.failure is not None, "the failure to be told")
        finally:
            postgres_server.start()
        with Store.open(url) as store:
            register(store, 1)
            until(lambda: found(live, 1) == [2], "the change after the outage")
        until(lambda: live.failure is None and live.age_s < 1.5, "to be current again")


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"sqlite:///{tmp_path}/egide.db", create=True) as opened:
        opened.banks.create("helpline")
        register(opened, 0)
        yield opened


def child_of(rebuilder: Rebuilder) -> int:
    assert rebuilder._child is not None
    return rebuilder._child.pid


def test_a_build_that_is_killed_is_tried_again_later(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "_FIRST_PAUSE_S", 0.1)
    path = snapshot_path(sqlite_store)
    left = path.with_name(f".{path.name}.left.part")
    left.write_bytes(b"")
    os.utime(left, (0, 0))
    rebuilder = Rebuilder(sqlite_store.url, path)

    def ended() -> bool:
        rebuilder.poll()
        return not rebuilder.running

    try:
        rebuilder.start()
        os.kill(child_of(rebuilder), signal.SIGKILL)
        until(ended, "the child to be dead")
        assert rebuilder.failure == "status -9"
        rebuilder.start()
        assert not rebuilder.running, "it was tried again without a pause"
        until(lambda: rebuilder.start() or rebuilder.running, "the next try")  # type: ignore[func-returns-value]
        until(ended, "the build")
        assert rebuilder.failure is None
        assert path.exists()
        assert not left.exists()
    finally:
        rebuilder.close()


def test_closing_ends_a_build_and_the_url_is_on_no_command_line(
    sqlite_store: Store,
) -> None:
    rebuilder = Rebuilder(sqlite_store.url, snapshot_path(sqlite_store))
    rebuilder.start()
    process = Path(f"/proc/{child_of(rebuilder)}")
    assert sqlite_store.url.encode() not in (process / "cmdline").read_bytes()
    rebuilder.close()
    assert not process.exists()
    assert not list(snapshot_path(sqlite_store).parent.glob(".*.part"))


def test_what_goes_wrong_in_a_build_is_told_by_its_code(tmp_path: Path) -> None:
    rebuilder = Rebuilder(f"sqlite:///{tmp_path}/none.db", tmp_path / "none.snapshot")

    def ended() -> bool:
        rebuilder.poll()
        return not rebuilder.running

    rebuilder.start()
    until(ended, "the child to end")
    assert rebuilder.failure == "store-missing"


def test_one_process_builds_at_a_time(sqlite_store: Store) -> None:
    path = snapshot_path(sqlite_store)
    rebuilder = Rebuilder(sqlite_store.url, path)
    with building(path, wait=False) as first:
        assert first
        with building(path, wait=False) as second:
            assert not second
        rebuilder.start()
        assert not rebuilder.running
    with building(path, wait=False) as third:
        assert third


def test_an_immense_change_takes_effect_in_parts_and_then_whole(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_CHANGES_PER_VIEW", 10)
    monkeypatch.setattr(live_module, "_MAX_CHANGES_PER_VIEW", 25)
    with following(sqlite_store.url) as live:
        sqlite_store.entries.register("helpline", [registration(number) for number in range(95)])
        for number in range(1, 30):
            register(sqlite_store, number)
        until(lambda: live.revision == sqlite_store.revision(), "all of it")
        assert live.entry_count == 1 + 95 + 29
        stored = [each.pdqs[0] for each in sqlite_store.entries.list("helpline")]
        codes = np.frombuffer(b"".join(stored), np.uint8).reshape(-1, 32)
        asked_all = [Fingerprint((Pdq(code.tobytes(), 100),)) for code in codes]
        answers = live.search(asked_all, radius_bits=0).matches
        assert [[match.entry for match in each] for each in answers] == [
            [number + 1] for number in range(len(codes))
        ]


def test_a_withdrawal_does_not_wait_for_a_long_import(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_CHANGES_PER_VIEW", 10)
    monkeypatch.setattr(live_module, "_MAX_CHANGES_PER_VIEW", 10)
    match(sqlite_store, [asked(0)])
    sqlite_store.entries.register("helpline", [registration(number) for number in range(95)])
    sqlite_store.entries.withdraw("helpline", [1])
    seen: list[tuple[int, bool]] = []
    apply = LiveIndex.apply

    def noting(index: LiveIndex, *given: Any, **named: Any) -> None:
        apply(index, *given, **named)
        gone = not Matcher(index.view).match([asked(0)])[0]
        seen.append((index.entry_count, gone))

    monkeypatch.setattr(LiveIndex, "apply", noting)
    with following(sqlite_store.url) as live:
        assert live.entry_count == 95
    assert [gone for count, gone in seen if count < 40].count(True) >= 2
