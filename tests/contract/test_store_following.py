"""Waiting for changes, from threads and from other processes' connections."""

import threading
from collections.abc import Callable

from egide.store.changing import ChangingStore as Store
from store_samples import picture

GENEROUS_S = 20.0


def test_a_follower_sees_every_process_change_in_order(
    store: Store, open_store: Callable[[], Store]
) -> None:
    follower, *others = open_store(), open_store(), open_store()
    seen = [0]

    def follow() -> None:
        while seen[-1] < 21:
            seen.append(follower.wait_for_change(seen[-1], GENEROUS_S))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    for number in range(20):
        others[number % 2].entries.register("helpline", [picture(number)])
    thread.join(GENEROUS_S)
    assert seen[-1] == 21
    assert seen == sorted(set(seen))


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
