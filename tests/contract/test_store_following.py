"""Waiting for changes, from threads and from other processes' connections."""

import threading
import time
from collections.abc import Callable

import pytest

from egide.store.changing import ChangingStore as Store
from store_samples import picture

GENEROUS_S = 20.0


def follow(store: Store, seen: list[int], until: int) -> threading.Thread:
    def run() -> None:
        at = 0
        while at < until:
            at = store.wait_for_change(at, GENEROUS_S)
            seen.append(at)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_a_follower_sees_every_process_change_in_order(
    store: Store, open_store: Callable[[], Store]
) -> None:
    seen: list[int] = []
    others = [open_store(), open_store()]
    thread = follow(open_store(), seen, 21)
    for number in range(20):
        others[number % 2].entries.register("helpline", [picture(number)])
    thread.join(GENEROUS_S)
    assert seen[-1] == 21
    assert seen == sorted(set(seen))


def test_a_wait_ends_with_the_change_and_not_with_its_time(
    store: Store, open_store: Callable[[], Store]
) -> None:
    follower = open_store()
    at = follower.revision()
    ended = threading.Event()

    def run() -> None:
        assert follower.wait_for_change(at, 3600) == at + 1
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    time.sleep(0.3)
    assert not ended.is_set()
    store.entries.register("helpline", [picture(1)])
    assert ended.wait(GENEROUS_S)


def test_a_change_made_before_is_told_at_once(store: Store) -> None:
    assert store.wait_for_change(0, 3600) == 1


def test_without_a_change_the_time_runs_out(store: Store) -> None:
    assert store.wait_for_change(1, 0.3) == 1
    assert store.wait_for_change(1, 0) == 1


def test_a_change_that_was_undone_is_not_told(
    store: Store, open_store: Callable[[], Store]
) -> None:
    follower = open_store()
    with pytest.raises(ZeroDivisionError):
        store.entries.register("helpline", (picture(1 // (1 - number)) for number in range(2)))
    assert follower.wait_for_change(1, 0.3) == 1
    store.entries.register("helpline", [picture(5)])
    assert follower.wait_for_change(1, 3600) == 2


def test_several_threads_may_wait_at_once(store: Store, open_store: Callable[[], Store]) -> None:
    follower = open_store()
    seen: list[list[int]] = [[], [], []]
    threads = [follow(follower, one, 2) for one in seen]
    store.entries.register("helpline", [picture(1)])
    for thread in threads:
        thread.join(GENEROUS_S)
    assert [one[-1] for one in seen] == [2, 2, 2]


def test_closing_ends_the_wait(store: Store, open_store: Callable[[], Store]) -> None:
    follower = open_store()
    answers: list[int] = []
    thread = threading.Thread(
        target=lambda: answers.append(follower.wait_for_change(1, 3600)), daemon=True
    )
    thread.start()
    time.sleep(0.3)
    follower.close()
    thread.join(GENEROUS_S)
    assert answers == [1]
    assert follower.wait_for_change(1, 3600) == 1


def test_waiting_for_ever_leaks_no_connection(store: Store) -> None:
    for _ in range(50):
        store.wait_for_change(1, 0.001)
    pool = store._database._engine.pool
    assert pool.checkedout() == 0  # type: ignore[attr-defined]
    assert pool.checkedin() <= 2  # type: ignore[attr-defined]


def test_erasing_can_be_left_for_later(store_url: str) -> None:
    store = Store.open(store_url, create=True, forget_at_once=False)
    store.banks.create("helpline")
    store.entries.register("helpline", [picture(number) for number in range(10)])
    assert store.forget_erased()
    store.entries.withdraw("helpline", [1, 2])
    store._database.close()
    # Killed here, any other process would know of it.
    with Store.open(store_url, forget_at_once=False) as other:
        assert other.erasure.get().pending_since is not None
        assert other.forget_erased()
        assert other.erasure.get().pending_since is None


def test_what_somebody_still_reads_is_not_forgotten_yet(
    store: Store, open_store: Callable[[], Store]
) -> None:
    reader = open_store()
    store.entries.register("helpline", [picture(number) for number in range(10)])
    with reader.entries.active() as view:
        store.entries.withdraw("helpline", [1])
        assert not store.forget_erased()
        assert len(list(view.entries)) == 10
    assert store.forget_erased()
