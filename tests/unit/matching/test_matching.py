"""From hits to matches: which entries, at what distance, and by which way."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from egide.domain.model import (
    TRANSFORMS,
    Fingerprint,
    Match,
    Pdq,
    Rectangle,
    Region,
    Signal,
    Transform,
    Trust,
)
from egide.errors import BankMissing, RadiusInvalid
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from egide.matching import fingerprints as matching
from egide.testing.kernels import flip_bits, random_codes
from search_data import NOW, bank, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from egide.domain.model import Bank, Entry

    Open = Callable[..., Snapshot]

CODES = random_codes(64, seed=11)


def code(number: int, distance: int = 0) -> bytes:
    """One of 64 unrelated codes, with that many bits changed."""
    return flip_bits(CODES[number : number + 1], [distance], seed=number).tobytes()


def still(*codes: bytes, quality: int | None = 100, **digests: bytes) -> Fingerprint:
    """A picture's fingerprint of one code, or of eight variants."""
    variants = b"".join(codes) if len(codes) > 1 else b""
    return Fingerprint(frames=(Pdq(codes[0], quality, variants),), **digests)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    snapshots: list[Snapshot] = []

    def build(entries: Sequence[Entry], banks: Sequence[Bank] = (bank(),)) -> Snapshot:
        path = tmp_path / f"{len(snapshots)}.snapshot"
        build_snapshot(path, store_id="s", revision=7, banks=banks, entries=entries, created=NOW)
        snapshots.append(Snapshot.open(path))
        return snapshots[-1]

    yield build
    for snapshot in snapshots:
        snapshot.close()


def only(matches: list[list[Match]]) -> Match:
    assert [len(each) for each in matches] == [1]
    return matches[0][0]


def test_a_match_says_which_entry_how_far_and_in_which_revision(opened: Open) -> None:
    snapshot = opened([entry(42, code(0), trust=Trust.CONFIRMED), entry(43, code(1))])
    assert only(Matcher(snapshot).match([still(code(0, 12))])) == Match(
        entry=42,
        bank="helpline",
        signal=Signal.PDQ,
        distance=12,
        transform=Transform.IDENTITY,
        trust=Trust.CONFIRMED,
        frame=0,
        revision=7,
    )


def test_each_fingerprint_has_its_own_list_in_order(opened: Open) -> None:
    snapshot = opened([entry(number, code(number)) for number in range(8)])
    found = Matcher(snapshot).match([still(code(5)), still(code(60)), still(code(2))])
    assert [[match.entry for match in matches] for matches in found] == [[5], [], [2]]


def test_nothing_asked_nothing_found(opened: Open) -> None:
    snapshot = opened([entry(1, code(1))])
    assert Matcher(snapshot).match([]) == []
    assert Matcher(snapshot).match([Fingerprint(frames=())]) == [[]]


@pytest.mark.parametrize("position", range(8))
def test_the_variant_that_is_nearest_names_the_transform(opened: Open, position: int) -> None:
    variants = [code(number) for number in range(10, 18)]
    variants[position] = code(0, 3)
    snapshot = opened([entry(1, code(0))])
    match = only(Matcher(snapshot).match([still(*variants)]))
    assert (match.transform, match.distance) == (TRANSFORMS[position], 3)


def test_at_equal_distance_the_first_transform_is_named(opened: Open) -> None:
    variants = [code(number) for number in range(10, 18)]
    variants[3] = variants[6] = code(0, 5)
    snapshot = opened([entry(1, code(0))])
    assert only(Matcher(snapshot).match([still(*variants)])).transform is TRANSFORMS[3]


def test_a_nearer_later_frame_outranks_an_earlier_one(opened: Open) -> None:
    frames = tuple(Pdq(frame, 100) for frame in (code(9), code(0, 8), code(0, 2), code(0, 2)))
    snapshot = opened([entry(1, code(0))])
    match = only(Matcher(snapshot).match([still(code(8)), Fingerprint(frames)])[1:])
    assert (match.frame, match.distance) == (2, 2)


def test_an_entry_of_several_codes_is_reported_once_by_its_nearest(opened: Open) -> None:
    snapshot = opened([entry(1, code(0, 20), code(0, 4), code(0, 9))])
    assert only(Matcher(snapshot).match([still(code(0, 4))])).distance == 0


def test_matches_are_sorted_by_distance_then_entry(opened: Open) -> None:
    entries = [entry(9, code(0)), entry(7, code(0, 10)), entry(3, code(0)), entry(5, code(0, 10))]
    found = Matcher(opened(entries)).match([still(code(0))])
    assert [(match.distance, match.entry) for match in found[0]] == [
        (0, 3),
        (0, 9),
        (10, 5),
        (10, 7),
    ]


@pytest.mark.parametrize("signal", ["sha256", "md5"])
def test_an_equal_digest_outranks_pdq(opened: Open, signal: str) -> None:
    digest = bytes(range(32 if signal == "sha256" else 16))
    snapshot = opened([entry(1, code(0), **{signal: digest})])
    match = only(Matcher(snapshot).match([still(code(0, 3), **{signal: digest})]))
    assert (match.signal, match.distance) == (Signal(signal), 0)
    assert (match.transform, match.frame) == (Transform.IDENTITY, 0)


def test_sha256_outranks_md5(opened: Open) -> None:
    snapshot = opened([entry(1, sha256=b"s" * 32, md5=b"m" * 16)])
    query = Fingerprint(frames=(), sha256=b"s" * 32, md5=b"m" * 16)
    assert only(Matcher(snapshot).match([query])).signal is Signal.SHA256


def test_a_featureless_picture_matches_by_digest_only(opened: Open) -> None:
    """Peer defect 4: there the look-up of such a picture is an error."""
    snapshot = opened([entry(1, code(0)), entry(2, sha256=b"s" * 32)])
    assert Matcher(snapshot).match([still(code(0), quality=49)]) == [[]]
    assert only(Matcher(snapshot).match([still(code(0), quality=49, sha256=b"s" * 32)])).entry == 2
    assert only(Matcher(snapshot).match([still(code(0), quality=50)])).entry == 1
    assert only(Matcher(snapshot).match([still(code(0), quality=None)])).entry == 1


def test_a_frame_without_features_does_not_shift_the_numbers_of_the_others(opened: Open) -> None:
    frames = (
        Pdq(code(1), 10),
        Pdq(code(2), 90, b"".join(map(code, range(20, 28)))),
        Pdq(code(0), 90),
    )
    match = only(Matcher(opened([entry(1, code(0))])).match([Fingerprint(frames)]))
    assert (match.frame, match.transform) == (2, Transform.IDENTITY)


def test_each_bank_has_its_own_radius(opened: Open) -> None:
    banks = [bank("strict", 1, 5), bank("wide", 2, 40)]
    entries = [entry(1, code(0), bank="strict"), entry(2, code(0), bank="wide")]
    matcher = Matcher(opened(entries, banks))
    assert matcher.radius_bits == 40
    for distance, expected in [(5, [1, 2]), (6, [2]), (40, [2]), (41, [])]:
        found = matcher.match([still(code(0, distance))])[0]
        assert [match.entry for match in found] == expected


def test_a_radius_of_the_caller_replaces_that_of_every_bank(opened: Open) -> None:
    banks = [bank("strict", 1, 5), bank("wide", 2, 40)]
    entries = [entry(1, code(0), bank="strict"), entry(2, code(0), bank="wide")]
    matcher = Matcher(opened(entries, banks), radius_bits=10)
    assert [len(matcher.match([still(code(0, bits))])[0]) for bits in (10, 11)] == [2, 0]


@pytest.mark.parametrize("radius_bits", [-1, 64])
def test_an_impossible_radius_is_refused(opened: Open, radius_bits: int) -> None:
    with pytest.raises(RadiusInvalid, match=str(radius_bits)):
        Matcher(opened([]), radius_bits=radius_bits)


def test_a_disabled_bank_never_matches_also_where_it_is_named(opened: Open) -> None:
    """Peer defect 8: there a disabled bank goes on matching."""
    banks = [bank("on", 1), bank("off", 2, enabled=False)]
    entries = [
        entry(1, code(0), bank="on", sha256=b"s" * 32),
        entry(2, code(0), bank="off", sha256=b"s" * 32),
    ]
    snapshot = opened(entries, banks)
    query = [still(code(0), sha256=b"s" * 32)]
    assert only(Matcher(snapshot).match(query)).entry == 1
    named = Matcher(snapshot, banks=["off", "on"])
    assert (only(named.match(query)).entry, named.disabled) == (1, ("off",))
    for banks in (["off"], []):
        assert Matcher(snapshot, banks=banks).match(query) == [[]]


def test_only_the_nearest_entries_are_reported(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "MAX_MATCHES", 3)
    entries = [entry(number, code(0, distance=9 - number)) for number in range(1, 9)]
    snapshot = opened([*entries, entry(20, code(1))])
    found = Matcher(snapshot).match([still(code(0)), still(code(50)), still(code(1))])
    assert [[match.entry for match in matches] for matches in found] == [[8, 7, 6], [], [20]]


def test_an_unknown_bank_is_named(opened: Open) -> None:
    with pytest.raises(BankMissing, match="elsewhere"):
        Matcher(opened([]), banks=["helpline", "elsewhere"])


def test_an_expired_entry_does_not_match(opened: Open) -> None:
    entries = [
        entry(1, code(0), sha256=b"s" * 32, expires=NOW),
        entry(2, code(0), expires=NOW + timedelta(microseconds=1)),
    ]
    snapshot = opened(entries)
    query = [still(code(0), sha256=b"s" * 32)]
    assert [match.entry for match in Matcher(snapshot, now=NOW).match(query)[0]] == [2]
    early = Matcher(snapshot, now=NOW - timedelta(days=1))
    assert [match.entry for match in early.match(query)[0]] == [1, 2]
    assert Matcher(snapshot, now=NOW + timedelta(days=1)).match(query) == [[]]


def test_a_large_batch_gives_what_single_look_ups_give(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "_QUERIES_PER_SEARCH", 37)
    rng = np.random.default_rng(5)
    snapshot = opened([entry(number, code(number % 40), code(number)) for number in range(50)])
    matcher = Matcher(snapshot)
    batch = [
        Fingerprint(
            tuple(
                Pdq(
                    code(number),
                    80,
                    b"".join(code(int(pick), 9) for pick in rng.integers(0, 64, 8)),
                )
                for number in rng.integers(0, 64, rng.integers(0, 4))
            )
        )
        for _ in range(30)
    ]
    found = matcher.match(batch)
    assert sum(map(len, found)) > 100
    assert found == [matcher.match([each])[0] for each in batch]


def part(number: int, distance: int = 0, *, left: int = 0, frame: int = 0) -> Region:
    """A region with one of 64 unrelated codes, with that many bits changed."""
    rectangle = Rectangle(left, 0, 100, 100)
    return Region(frame, rectangle, Pdq(code(number, distance), 100), trimmed=False)


def test_a_region_that_matches_is_named(opened: Open) -> None:
    query = Fingerprint((Pdq(code(9), 100),), regions=(part(5), part(0, 3, left=7)))
    match = only(Matcher(opened([entry(1, code(0))])).match([query]))
    assert (match.distance, match.rectangle) == (3, Rectangle(7, 0, 100, 100))


def test_the_whole_comes_before_a_region_as_near_and_after_a_nearer_one(opened: Open) -> None:
    matcher = Matcher(opened([entry(1, code(0))]))
    whole = (Pdq(code(0, 5), 100),)
    assert only(matcher.match([Fingerprint(whole, regions=(part(0, 5),))])).rectangle is None
    assert only(matcher.match([Fingerprint(whole, regions=(part(0, 4),))])).rectangle is not None


def test_the_first_of_two_regions_as_near_is_named(opened: Open) -> None:
    regions = (part(0, 4, left=1), part(0, 4, left=2))
    match = only(Matcher(opened([entry(1, code(0))])).match([Fingerprint((), regions=regions)]))
    assert match.rectangle == Rectangle(1, 0, 100, 100)


def test_a_region_names_its_frame_and_its_transform(opened: Open) -> None:
    variants = b"".join(code(number) for number in (20, 21, 22, 0, 23, 24, 25, 26))
    region = Region(2, Rectangle(1, 2, 3, 4), Pdq(code(20), 90, variants), trimmed=True)
    frames = tuple(Pdq(code(number), 90) for number in (30, 31, 32))
    match = only(
        Matcher(opened([entry(1, code(0))])).match([Fingerprint(frames, regions=(region,))])
    )
    assert (match.frame, match.transform) == (2, TRANSFORMS[3])


def test_a_digest_outranks_a_region(opened: Open) -> None:
    snapshot = opened([entry(1, code(0), sha256=b"s" * 32)])
    query = Fingerprint((), sha256=b"s" * 32, regions=(part(0),))
    match = only(Matcher(snapshot).match([query]))
    assert (match.signal, match.rectangle) == (Signal.SHA256, None)
