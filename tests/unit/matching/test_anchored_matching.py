"""Anchored hashes: the rule and its guards, as plain Python applies them, and by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egide.domain.model import (
    AnchoredEvidence,
    Fingerprint,
    Match,
    Pdq,
    Signal,
    State,
    Trust,
)
from egide.hashing import fingerprint
from egide.index.live import LiveIndex
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from egide.matching import anchored as rule
from pictures import pictures
from search_data import NOW, bank, entry, moved, region_codes, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from egide.domain.model import AnchoredQuery, Bank, Entry
    from egide.index.searched import Searched

    Open = Callable[..., Searched]

CODES = region_codes(200)
BANKS = (bank(), bank("other", 2), bank("closed", 3, enabled=False))


@pytest.fixture(params=["snapshot", "live"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Open entries for search; live, every second of them came later than the snapshot."""
    snapshots: list[Snapshot] = []

    def build(entries: Sequence[Entry], banks: Sequence[Bank] = BANKS) -> Searched:
        path = tmp_path / f"{len(snapshots)}.snapshot"
        step = 2 if request.param == "live" else 1
        build_snapshot(
            path, store_id="s", revision=7, banks=banks, entries=entries[::step], created=NOW
        )
        snapshots.append(Snapshot.open(path))
        if request.param == "snapshot":
            return snapshots[-1]
        index = LiveIndex(snapshots[-1])
        for later in entries[1::2]:
            index.apply([later], banks=lambda: banks, revision=7)
        return index.view

    yield build
    for snapshot in snapshots:
        snapshot.close()


def found(searched: Searched, query: AnchoredQuery, **options: object) -> list[Match]:
    """What a picture matches of which nothing but its anchored hashes is known."""
    options.setdefault("now", NOW)
    (matches,) = Matcher(searched, **options).match([Fingerprint((), anchored=query)])  # type: ignore[arg-type]
    return matches


def summary(matches: Sequence[Match]) -> list[tuple[int, int, int | None]]:
    """Entry, how many hashes were met, and the smallest distance, of each match."""
    assert all(match.anchored for match in matches)
    return [(one.entry, one.anchored.met, one.distance) for one in matches if one.anchored]


def plainly(entries: Sequence[Entry], query: AnchoredQuery) -> list[tuple[int, int, int | None]]:
    """The rule in plain Python, for few entries, all of which may match.

    Confirmed entries are found as if there were no others; so is one with the hashes of such.
    """
    lists = {one.anchored for one in entries if one.trust is Trust.CONFIRMED}
    entries = [
        replace(one, trust=Trust.CONFIRMED) if one.anchored in lists else one for one in entries
    ]
    sure = [one for one in entries if one.trust is Trust.CONFIRMED]
    others = {one.id for one in entries} - {one.id for one in sure}
    result = [one for one in _among(entries, query) if one[0] in others] + _among(sure, query)
    return sorted(result, key=lambda each: (-each[1], each[2], each[0]))


def _among(entries: Sequence[Entry], query: AnchoredQuery) -> list[tuple[int, int, int]]:
    """All matches, whoever confirmed what."""
    sure = {one.id for one in entries if one.trust is Trust.CONFIRMED}
    codes = [*zip(map(int.from_bytes, query), query.regions, strict=True)]
    lists = {one.id: [*map(int.from_bytes, one.anchored or ())] for one in entries}
    near = {
        number: {(code, region) for code, region in codes if _nearest(code, kept) <= 36}
        for number, kept in lists.items()
    }
    numbers = sorted(
        (number for number in lists if near[number]),
        key=lambda n: (n not in sure, -len({region for _, region in near[n]}), n),
    )
    picture: dict[int, int] = {}
    for number in numbers:
        if number not in picture:
            for other in numbers:
                if other == number or _alike(lists[number], lists[other]):
                    picture.setdefault(other, number)
    common = {code for code in codes if len({picture[n] for n in numbers if code in near[n]}) > 3}
    regions = {n: {region for code, region in near[n] - common} for n in numbers}
    lost: dict[int, set[int]] = {n: set() for n in numbers}
    for one, other in permutations(numbers, 2):
        if picture[one] != picture[other] and len(regions[one]) < len(regions[other]) + 2:
            lost[one] |= regions[one] & regions[other]
    result = []
    for number in numbers:
        usable = [code for code in codes if code not in common and code[1] not in lost[number]]
        bits = {
            (place, code, region): (code ^ kept).bit_count()
            for place, kept in enumerate(lists[number])
            for code, region in usable
        }
        least = min(bits.values(), default=256)
        if least <= 36:
            close = [which for which, distance in bits.items() if distance <= 46]
            hashes, regions_met = ({which[part] for which in close} for part in (0, 2))
            result.append((number, min(len(hashes), len(regions_met)), least))
    return result


def _nearest(code: int, kept: Sequence[int]) -> int:
    return min(((code ^ one).bit_count() for one in kept), default=256)


_UPSIDE_DOWN = int.from_bytes(bytes([255, 255, 0, 0]) * 8)


def _alike(one: Sequence[int], other: Sequence[int]) -> bool:
    def has_partner(code: int, kept: Sequence[int]) -> bool:
        return _nearest(code, kept) <= 46 or _nearest(code ^ _UPSIDE_DOWN, kept) <= 46

    common = min(
        sum(has_partner(code, other) for code in one), sum(has_partner(code, one) for code in other)
    )
    return common >= min(4, len(one), len(other))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 1 << 30))
def test_it_finds_what_plain_python_finds(opened: Open, data: st.DataObject, seed: int) -> None:
    details = CODES[:12]
    rng = np.random.default_rng(seed)

    def drawn(most: int) -> list[bytes]:
        """Details as some picture shows them, a few mirrored."""
        count = data.draw(st.integers(1, most))
        chosen = [details[place] for place in rng.integers(0, len(details), count)]
        turned = [_mirrored(code) if rng.random() < 0.2 else code for code in chosen]
        steps = rng.choice([0, 16, 20, 36, 38, 46, 48], count)
        return [
            moved(code, int(step), seed + place)
            for place, (code, step) in enumerate(zip(turned, steps, strict=True))
        ]

    kept = [drawn(9) for _ in range(data.draw(st.integers(1, 7)))]
    kept += [kept[place] for place in rng.integers(0, len(kept), data.draw(st.integers(0, 2)))]
    confirmed = data.draw(st.sets(st.integers(1, len(kept))))
    entries = [
        entry(
            number,
            anchored=codes,
            trust=Trust.CONFIRMED if number in confirmed else Trust.UNVERIFIED,
        )
        for number, codes in enumerate(kept, 1)
    ]
    asked = drawn(20)
    query = shown(*asked, regions=rng.integers(0, 8, len(asked)).tolist())
    assert summary(found(opened(entries), query)) == plainly(entries, query)


def _mirrored(code: bytes) -> bytes:
    return (int.from_bytes(code) ^ _UPSIDE_DOWN).to_bytes(32)


def test_one_near_region_is_a_match_and_says_how_much_was_met(opened: Open) -> None:
    kept = CODES[:64]
    searched = opened(
        [entry(5, anchored=CODES[64:128]), entry(42, anchored=kept, trust=Trust.CONFIRMED)]
    )
    query = shown(moved(kept[3], 36), moved(kept[8], 46), moved(kept[9], 48), *CODES[150:])
    assert found(searched, query) == [
        Match(
            entry=42,
            bank="helpline",
            signal=Signal.ANCHORED,
            distance=36,
            transform=None,
            trust=Trust.CONFIRMED,
            frame=0,
            revision=7,
            anchored=AnchoredEvidence(met=2, registered=64),
        )
    ]
    assert found(searched, shown(*(moved(code, 38) for code in kept))) == []


def test_one_region_meets_one_hash_however_often(opened: Open) -> None:
    """A picture of the same detail throughout, or a list made of one code's neighbours."""
    kept = [moved(CODES[0], 10, seed) for seed in range(6)]
    searched = opened([entry(1, anchored=kept)])
    straight_and_mirrored = shown(CODES[0], moved(CODES[0], 4), regions=[7, 7])
    assert summary(found(searched, straight_and_mirrored)) == [(1, 1, 10)]
    several = shown(*(moved(CODES[0], 2, seed) for seed in range(9)))
    assert summary(found(searched, several))[0][:2] == (1, 6)


def test_what_was_found_by_pdq_is_not_said_twice_and_still_guards(opened: Open) -> None:
    pdq, frame, own = CODES[150], CODES[:2], CODES[2:9]
    searched = opened(
        [entry(1, pdq, anchored=[*frame, *own]), entry(2, anchored=[*frame, *CODES[20:30]])]
    )
    picture = Fingerprint((Pdq(pdq, 100),), anchored=shown(*frame, *own))
    (matches,) = Matcher(searched, now=NOW).match([picture])
    assert [(match.entry, match.signal) for match in matches] == [(1, Signal.PDQ)]


def test_a_callers_radius_asks_for_distances_alone(opened: Open) -> None:
    searched = opened([entry(1, anchored=CODES[:9])], [bank(radius=0)])
    assert found(searched, shown(CODES[0]))
    assert found(searched, shown(CODES[0]), radius_bits=31) == []


def test_entries_that_may_not_match_are_as_if_they_were_not_there(opened: Open) -> None:
    """They neither match nor, as rivals or by being many, hide one that may."""
    frame = CODES[:2]
    others = [
        entry(2, anchored=[*frame, *CODES[10:20]], expires=NOW - timedelta(seconds=1)),
        entry(3, anchored=[*frame, *CODES[20:30]], bank="closed"),
        entry(4, anchored=[*frame, *CODES[30:40]], bank="other"),
    ]
    searched = opened([entry(1, anchored=[*frame, *CODES[40:50]]), *others])
    query = shown(*frame)
    assert summary(found(searched, query, banks=["helpline"])) == [(1, 2, 0)]
    assert found(searched, query) == []


def test_an_entry_that_ended_is_gone_from_a_view_already_held(tmp_path: Path) -> None:
    one = entry(1, anchored=CODES[:9])
    path = tmp_path / "a.snapshot"
    build_snapshot(path, store_id="s", revision=7, banks=BANKS, entries=[], created=NOW)
    with Snapshot.open(path) as snapshot:
        index = LiveIndex(snapshot)
        index.apply([one], banks=lambda: BANKS, revision=8)
        view = index.view
        assert found(view, shown(CODES[0]))
        gone = replace(one, anchored=None, state=State.WITHDRAWN)
        index.apply([gone], banks=lambda: BANKS, revision=9)
        assert found(view, shown(CODES[0])) == []


def test_rivals_share_nothing_unless_one_has_two_regions_more(opened: Open) -> None:
    frame, own = CODES[:2], CODES[2:9]
    searched = opened(
        [entry(1, anchored=[*frame, *own]), entry(2, anchored=[*frame, *CODES[20:30]])]
    )
    assert found(searched, shown(*frame)) == []
    assert summary(found(searched, shown(*frame, own[0]))) == [(1, 1, 0)]
    assert summary(found(searched, shown(*frame, *own[:2]))) == [(1, 4, 0)]


def test_a_code_of_more_than_three_pictures_counts_for_none(opened: Open) -> None:
    frame = CODES[:3]
    entries = [
        entry(number, anchored=[*frame, *CODES[10 * number : 10 * number + 9]])
        for number in range(1, 6)
    ]
    searched = opened(entries)
    assert summary(found(searched, shown(*frame, CODES[20]))) == [(2, 1, 0)]


@pytest.mark.parametrize("decoys", [9, 70])
def test_decoys_of_anybody_hide_nothing_of_a_confirmed_entry(opened: Open, decoys: int) -> None:
    """Entries with three of a picture's hashes and others made up, up to all that are compared."""
    kept = CODES[:8]
    made = [
        entry(
            number,
            anchored=[
                *(kept[(number + place) % 8] for place in range(3)),
                *(moved(code, 100, number) for code in CODES[20:26]),
            ],
        )
        for number in range(2, decoys + 2)
    ]
    searched = opened([entry(1, anchored=kept, trust=Trust.CONFIRMED), *made])
    assert (1, 8, 0) in summary(found(searched, shown(*kept)))


@pytest.mark.parametrize("mirrored", [False, True])
def test_versions_of_a_picture_hide_nothing(opened: Open, mirrored: bool) -> None:
    """Registered whole, cropped and mirrored, by many: all match by the regions they share."""
    kept = [_mirrored(code) if mirrored else code for code in CODES[:9]]
    versions = [
        entry(
            number,
            anchored=[moved(code, 10, number) for code in (kept if number % 2 else CODES)[:9]],
        )
        for number in range(1, 9)
    ]
    query = shown(*CODES[:2], *map(_mirrored, CODES[:2]), regions=[0, 1, 0, 1])
    assert {match.entry for match in found(opened(versions), query)} == set(range(1, 9))


def test_equal_lists_are_one_candidate(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule, "MAX_CANDIDATES", 1)
    searched = opened([entry(number, anchored=CODES[:9]) for number in range(1, 30)])
    assert len(found(searched, shown(CODES[0]))) == 29


def test_the_candidates_with_the_most_regions_are_compared(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule, "MAX_CANDIDATES", 2)
    kept = [CODES[10 * number : 10 * number + number] for number in range(1, 6)]
    searched = opened([entry(number, anchored=codes) for number, codes in enumerate(kept, 1)])
    query = shown(*(code for codes in kept for code in codes))
    assert [match.entry for match in found(searched, query)] == [5, 4]


def test_a_code_turned_upside_down_is_nearly_that_of_its_region_mirrored() -> None:
    """Else a picture that is registered mirrored too would be its own rival."""
    query = fingerprint(pictures(1)[0], anchored=True).anchored
    assert query is not None
    straight, mirrored = [*query][::2], [*query][1::2]
    assert query.regions[::2] == query.regions[1::2]
    apart = [
        int.from_bytes(_mirrored(one)) ^ int.from_bytes(other)
        for one, other in zip(straight, mirrored, strict=True)
    ]
    assert max(bits.bit_count() for bits in apart) <= rule.CLOSE_BITS
