"""The live index: what is new is found, what has ended is forgotten at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from egide.domain.model import Fingerprint, Pdq, Signal, State, Trust
from egide.errors import EgideError
from egide.index import grown
from egide.index.live import LiveIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Holdings, Matcher
from egide.testing import SearchedContract
from egide.testing.kernels import flip_bits, random_codes
from search_data import NOW, bank, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from egide.domain.model import Bank, Entry, Match
    from egide.index.searched import Searched

    Open = Callable[..., LiveIndex]

CODES = random_codes(24, seed=21)


def code(number: int, distance: int = 0) -> bytes:
    return flip_bits(CODES[number : number + 1], [distance], seed=number).tobytes()


def still(pdq: bytes, **digests: bytes) -> Fingerprint:
    return Fingerprint(frames=(Pdq(pdq, 100),), **digests)


def numbers(matches: Sequence[Match]) -> list[int]:
    return [match.entry for match in matches]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    def build(entries: Sequence[Entry]) -> LiveIndex:
        path = tmp_path / "s.snapshot"
        build_snapshot(path, store_id="s", revision=7, banks=[bank()], entries=entries, created=NOW)
        return LiveIndex(Snapshot.open(path))

    return build


def apply(index: LiveIndex, *entries: Entry) -> None:
    index.apply(entries, banks=lambda: [bank()], revision=index.view.revision + 1)


class TestLiveView(SearchedContract):
    """Half of it from the snapshot, half in segments of memory."""

    @pytest.fixture(autouse=True)
    def short_segments(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(grown, "TAIL_ROWS", 8)

    def build(self, entries: Sequence[Entry], banks: Sequence[Bank], folder: Path) -> Searched:
        path, half = folder / "s.snapshot", len(entries) // 2
        build_snapshot(
            path, store_id="s", revision=7, banks=banks, entries=entries[:half], created=NOW
        )
        index = LiveIndex(Snapshot.open(path))
        index.apply(entries[half:], banks=lambda: banks, revision=8)
        return index.view


def test_a_new_entry_matches_and_a_withdrawn_one_does_not(opened: Open) -> None:
    index = opened([entry(1, code(0), sha256=b"a" * 32)])
    apply(index, entry(2, code(0, 3), sha256=b"b" * 32))
    query = [still(code(0), sha256=b"b" * 32)]
    found = Matcher(index.view).match(query)[0]
    assert [(match.entry, match.signal) for match in found] == [(1, Signal.PDQ), (2, Signal.SHA256)]
    apply(index, entry(1, state=State.WITHDRAWN), entry(2, state=State.WITHDRAWN))
    assert Matcher(index.view).match(query) == [[]]
    assert index.entry_count == 0


def test_signals_that_are_held_come_and_go_with_their_entries(opened: Open) -> None:
    index = opened([entry(1, code(0)), entry(2, sha256=b"a" * 32)])
    elsewhere = bank("elsewhere", 2)

    def held() -> set[Signal]:
        return {*index.view.signals_held([place for place in index.view.banks if place.id == 1])}

    assert held() == {Signal.PDQ, Signal.SHA256}
    apply(index, entry(3, md5=b"b" * 16), entry(2, state=State.WITHDRAWN))
    assert held() == {Signal.PDQ, Signal.MD5}
    apply(index, entry(1, state=State.WITHDRAWN), entry(4, code(1)), entry(3, md5=b"b" * 16))
    assert held() == {Signal.PDQ, Signal.MD5}
    apply(index, entry(4, state=State.WITHDRAWN), entry(3, state=State.WITHDRAWN))
    index.apply(
        [entry(5, code(2), bank="elsewhere")], banks=lambda: [bank(), elsewhere], revision=12
    )
    assert held() == set()


def test_what_has_ended_vanishes_from_views_that_are_in_use(opened: Open) -> None:
    index = opened([entry(1, code(0)), entry(2, code(0))])
    apply(index, entry(3, code(0)))
    before = Matcher(index.view)
    apply(index, replace(entry(2, code(0)), trust=Trust.CONFIRMED))
    apply(index, entry(2, state=State.WITHDRAWN), entry(3, state=State.TOMBSTONED))
    assert numbers(before.match([still(code(0))])[0]) == [1]


def test_a_confirmed_entry_is_missed_by_no_view(opened: Open) -> None:
    index = opened([entry(1, code(0))])
    views = [index.view]
    for trust in (Trust.CONFIRMED, Trust.DISPUTED, Trust.CONFIRMED):
        apply(index, entry(1, code(0), trust=trust))
        views.append(index.view)
    found = [Matcher(view).match([still(code(0))])[0] for view in views]
    assert [[match.trust for match in each] for each in found] == [
        [Trust.UNVERIFIED],
        [Trust.CONFIRMED],
        [Trust.DISPUTED],
        [Trust.CONFIRMED],
    ]


def test_changes_that_stop_half_way_show_nothing_new_and_can_be_applied_again(opened: Open) -> None:
    index = opened([entry(1, code(0))])

    def broken() -> Iterator[Entry]:
        yield entry(1, code(0), trust=Trust.CONFIRMED)
        yield entry(2, code(0))
        raise ConnectionError

    with pytest.raises(ConnectionError):
        index.apply(broken(), banks=lambda: [bank()], revision=8)
    found = Matcher(index.view).match([still(code(0))])[0]
    assert [(match.entry, match.trust) for match in found] == [(1, Trust.UNVERIFIED)]
    apply(index, entry(1, code(0), trust=Trust.CONFIRMED), entry(2, code(0)))
    found = Matcher(index.view).match([still(code(0))])[0]
    assert [(match.entry, match.trust) for match in found] == [
        (1, Trust.CONFIRMED),
        (2, Trust.UNVERIFIED),
    ]


def test_many_changes_are_indexed_and_what_is_gone_leaves_memory(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grown, "TAIL_ROWS", 64)
    codes = random_codes(3000, seed=4)
    index = opened([])
    for first in range(0, len(codes), 100):
        new = range(first, first + 100)
        apply(index, *[entry(number, codes[number].tobytes()) for number in new])
        apply(index, *[entry(number, state=State.WITHDRAWN) for number in new if number % 10])
    queries = [still(each.tobytes()) for each in flip_bits(codes, [31] * len(codes))]
    found = Matcher(index.view).match(queries)
    assert [numbers(each) for each in found] == [
        [] if number % 10 else [number] for number in range(len(codes))
    ]
    assert index._grown.pdq.rows < 1000
    assert len(index.view._pdq.segments) < 10


def test_a_snapshot_whose_entries_are_not_in_order_is_refused(opened: Open) -> None:
    with pytest.raises(EgideError, match="not in order"):
        opened([entry(2, code(0)), entry(1, code(1))])


def test_a_bank_is_empty_once_its_last_entry_has_ended_or_expired(opened: Open) -> None:
    """As soon as it has, also where an entry of it is remembered, and in another index."""
    holdings = Holdings()

    def compared(index: LiveIndex, at: datetime = NOW) -> bool:
        return holdings.found(Matcher(index.view, now=at), []).compared

    soon = NOW + timedelta(hours=1)
    index = opened([entry(1, code(0)), entry(2, code(1), expires=soon)])
    assert compared(index)
    apply(index, entry(1, state=State.WITHDRAWN))
    assert (compared(index), compared(index, soon)) == (True, False)
    apply(index, entry(3, code(2)))
    assert compared(index, soon)
    view = index.view
    apply(index, entry(3, state=State.TOMBSTONED))
    assert not holdings.found(Matcher(view, now=soon), []).compared
    assert not compared(opened([]))
    assert compared(opened([entry(9, code(0))]))
