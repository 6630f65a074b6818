"""What every store does with anchored hashes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from egide.domain.model import AnchoredHashes, Registration
from egide.errors import BankMissing
from egide.store import OutcomeKind
from egide.store.changing import ChangingStore as Store
from egide.store.entries import anchored as anchored_rows
from store_samples import anchored, picture

FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def register(store: Store, *registrations: Registration) -> list[OutcomeKind]:
    done = store.entries.register("helpline", registrations, outcomes=True)
    return [outcome.kind for outcome in done.outcomes]


def active(store: Store, *banks: str, now: datetime | None = None) -> dict[int, AnchoredHashes]:
    with store.anchored.active(banks or None, now=now) as view:
        assert view.revision == store.revision()
        found = list(view)
    assert [entry for entry, _ in found] == sorted(entry for entry, _ in found)
    return dict(found)


def test_they_are_read_as_they_were_registered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anchored_rows, "_CHUNK", 2)
    register(store, picture(1, anchored=None), *map(picture, range(2, 7)))
    expected = {number: anchored(number) for number in range(2, 7)}
    assert active(store) == expected
    assert store.anchored.of(range(1, 100)) == expected
    assert store.anchored.of([1, 3]) == {3: anchored(3)}
    assert store.anchored.count("helpline") == 5
    counts = [entry.anchored_count for entry in store.entries.list("helpline")]
    assert counts == [0, 3, 3, 3, 3, 3]


def test_banks_are_read_by_name(store: Store) -> None:
    store.banks.create("other")
    store.entries.register("other", [picture(1)])
    register(store, picture(1), picture(2))
    assert set(active(store, "helpline")) == {2, 3}
    assert set(active(store, "other")) == {1}
    assert set(active(store)) == {1, 2, 3}
    assert store.anchored.count("other") == 1
    with pytest.raises(BankMissing), store.anchored.active(["none"]):
        pass
    with pytest.raises(BankMissing):
        store.anchored.count("none")


def test_what_is_read_is_of_one_moment(store: Store, open_store: Callable[[], Store]) -> None:
    register(store, picture(1), picture(2))
    with store.anchored.active() as view:
        other = open_store()
        other.entries.withdraw("helpline", [2])
        other.entries.register("helpline", [picture(3)])
        assert set(dict(view)) == {1, 2}
        assert view.revision == other.revision() - 2
    assert set(active(store)) == {1, 3}


def test_overdue_ones_are_not_active(store: Store) -> None:
    register(store, picture(1, expires=FUTURE))
    assert set(active(store)) == {1}
    assert active(store, now=FUTURE) == {}


def test_an_old_entry_gets_them_once(store: Store) -> None:
    register(store, picture(1, anchored=None), picture(2))
    before = store.revision()
    assert register(store, picture(1), picture(2)) == [OutcomeKind.KNOWN] * 2
    assert store.anchored.of([1, 2]) == {1: anchored(1), 2: anchored(2)}
    assert store.revision() == before + 1
    assert [entry.id for entry in store.entries.changes(before)] == [1]
    assert store.revision_info(before + 1).entries == 1
    *_, record = store.log.records(limit=1000)
    assert (len(record.subjects), record.detail["entries"]) == (1, 1)
    # Those that an entry has stay, and nothing changes.
    register(store, picture(1, anchored=anchored(7)), picture(2, anchored=None))
    assert store.anchored.of([1, 2]) == {1: anchored(1), 2: anchored(2)}
    assert store.revision() == before + 1


def test_changes_bring_them_where_asked_and_active_entries_always(store: Store) -> None:
    register(store, picture(1), picture(2, anchored=None))
    told = {entry.id: entry.anchored for entry in store.entries.changes(0, anchored=True)}
    assert told == {1: anchored(1), 2: None}
    assert [entry.anchored for entry in store.entries.changes(0)] == [None, None]
    with store.entries.active() as view:
        assert {entry.id: entry.anchored for entry in view.entries} == told


def test_what_has_ended_gets_none(store: Store) -> None:
    register(store, *(picture(number, anchored=None) for number in (1, 2)))
    store.entries.withdraw("helpline", [1])
    store.entries.tombstone("helpline", [2])
    assert register(store, picture(1), picture(2)) == [OutcomeKind.REFUSED] * 2
    assert store.anchored.of([1, 2]) == {}


def test_a_renewed_entry_has_only_those_of_its_new_registration(store: Store) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    register(store, picture(1, expires=past), picture(2, expires=past))
    assert (
        register(store, picture(1, anchored=None), picture(2, anchored=anchored(7)))
        == [OutcomeKind.RENEWED] * 2
    )
    assert store.anchored.of([1, 2]) == {2: anchored(7)}
