"""Videos: which seconds of which registered video a query shows, and what shows nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from egide.domain.model import (
    AnchoredQuery,
    BankKind,
    Fingerprint,
    Match,
    Pdq,
    Signal,
    Transform,
    Trust,
)
from egide.domain.policy import Action, Reason, decide
from egide.domain.video import Span, Track, VideoEvidence
from egide.index.snapshot import Snapshot
from egide.index.snapshot_build import build_snapshot
from egide.matching import Matcher
from egide.testing.kernels import flip_bits, random_codes
from search_data import NOW, bank, entry, region_codes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from egide.domain.model import Bank, Entry

    Codes = NDArray[np.uint8]
    Match_ = Callable[..., list[Match]]


def clip(seed: int, seconds: int) -> Codes:
    """A code for every half second: scenes of two seconds, in each of which something moves."""
    codes = random_codes(seconds * 2, seed)
    for start in range(0, len(codes), 4):
        for at in range(start + 1, min(start + 4, len(codes))):
            codes[at] = flip_bits(codes[start : start + 1], [12 * (at - start)], seed=at)[0]
    return codes


def noisy(codes: Codes, bits: int = 10) -> Codes:
    """The codes as a re-encoding has them."""
    return flip_bits(codes, [bits] * len(codes), seed=99)


def track(codes: Codes) -> tuple[tuple[bytes, ...], Track]:
    """Fold equal neighbours, as fingerprinting does."""
    runs = [0, *(n for n in range(1, len(codes)) if (codes[n] != codes[n - 1]).any()), len(codes)]
    spans = [*pairwise(runs)]
    return tuple(codes[start].tobytes() for start, _ in spans), Track(
        tuple(500 * start for start, _ in spans),
        tuple(500 * end for _, end in spans),
        500 * len(codes),
    )


def registered(number: int, codes: Codes, **fields: object) -> Entry:
    pdqs, times = track(codes)
    return entry(number, *pdqs, video=times, **fields)  # type: ignore[arg-type]


def query(codes: Codes, transform: int = 0) -> Fingerprint:
    """A query of which the variant with a number is as registered, and the others are not."""
    pdqs, times = track(codes)
    others = random_codes(8 * len(pdqs), seed=77)
    frames = []
    for at, pdq in enumerate(pdqs):
        variants = others[8 * at : 8 * at + 8].copy()
        variants[transform] = np.frombuffer(pdq, np.uint8)
        frames.append(Pdq(variants[0].tobytes(), 90, variants.tobytes()))
    return Fingerprint(frames=tuple(frames), video=times)


@pytest.fixture
def matched(tmp_path: Path) -> Iterator[Match_]:
    opened: list[Snapshot] = []

    def match(
        asked: Fingerprint, entries: Sequence[Entry], banks: Sequence[Bank] = (bank(),)
    ) -> list[Match]:
        path = tmp_path / f"{len(opened)}.snapshot"
        build_snapshot(path, store_id="s", revision=7, banks=banks, entries=entries, created=NOW)
        opened.append(Snapshot.open(path))
        return Matcher(opened[-1]).match([asked])[0]

    yield match
    for snapshot in opened:
        snapshot.close()


FILM, OTHER = clip(1, 60), clip(2, 60)


def test_a_clip_in_a_compilation_is_found_with_its_seconds(matched: Match_) -> None:
    compilation = np.concatenate([clip(3, 20), noisy(FILM[40:60]), clip(4, 20)])
    entries = [entry(1, random_codes(1, 5).tobytes()), registered(2, FILM), registered(3, OTHER)]
    (found,) = matched(query(compilation), entries)
    assert (found.entry, found.signal, found.transform) == (2, Signal.PDQ, Transform.IDENTITY)
    assert found.video == VideoEvidence(20, Span(20_000, 30_000), Span(20_000, 30_000), 1.0, 10_000)
    assert found.by_part


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.12, 1.25])
def test_another_speed_is_found_and_told(matched: Match_, speed: float) -> None:
    there = (np.arange(int(60 / speed) * 2) * speed + 0.3).astype(int)
    (found,) = matched(query(noisy(FILM[there])), [registered(1, FILM)])
    assert found.video is not None
    assert found.video.speed == pytest.approx(speed, abs=0.02)
    assert found.video.whole


def test_three_seconds_are_found(matched: Match_) -> None:
    (found,) = matched(query(noisy(FILM[71:77])), [registered(1, FILM)])
    assert found.video is not None
    assert found.video.entry is not None
    assert abs(found.video.entry.start_ms - 35_500) <= 500
    assert abs(found.video.entry.end_ms - 38_500) <= 500


def test_frames_in_another_order_or_in_different_transforms_are_not_the_video(
    matched: Match_,
) -> None:
    scenes = FILM[::4]
    assert matched(query(scenes[::-1]), [registered(1, FILM)]) == []
    straight, mirrored = query(scenes), query(scenes, transform=4)
    (found,) = matched(mirrored, [registered(1, scenes)])
    assert found.transform is Transform.FLIP_HORIZONTAL
    mixed = replace(
        straight,
        frames=tuple(
            (one if n % 8 == 0 else Pdq(one.code, 10))
            if n % 2 == 0
            else (other if n % 8 == 1 else Pdq(other.code, 10))
            for n, (one, other) in enumerate(zip(straight.frames, mirrored.frames, strict=True))
        ),
    )
    (found,) = matched(mixed, [registered(1, scenes)])
    assert found.video is not None
    assert found.video.frames == 4  # of the 8 that look alike


def test_a_title_card_that_two_videos_have_is_no_match_and_a_still_scene_alone_is_one(
    matched: Match_,
) -> None:
    card = np.repeat(random_codes(1, 8), 8, axis=0)
    entries = [registered(1, np.concatenate([card, OTHER]))]
    assert matched(query(np.concatenate([card, FILM])), entries) == []
    (found,) = matched(query(noisy(card[:6])[[0] * 6]), entries)
    assert found.video is not None
    assert (found.video.frames, found.video.agreeing_ms) == (1, 3000)


def test_an_intro_of_many_videos_is_no_match_but_each_of_them_is_its_own(matched: Match_) -> None:
    intro = clip(9, 6)
    films = [np.concatenate([intro, clip(20 + n, 40)]) for n in range(5)]
    entries = [registered(n, film) for n, film in enumerate(films, 1)]
    assert matched(query(noisy(np.concatenate([intro, FILM]))), entries) == []
    assert [one.entry for one in matched(query(noisy(films[2])), entries)] == [3]
    # Of two, it is the rival's, which the query shows for longer.
    assert [one.entry for one in matched(query(noisy(films[2])), entries[2:4])] == [3]
    # Nobody hides a confirmed video behind others that nobody has seen.
    entries[3] = replace(entries[3], trust=Trust.CONFIRMED)
    assert 4 in [one.entry for one in matched(query(noisy(films[2])), entries)]


def test_anchored_hashes_of_an_intro_find_nothing_beside_frames_that_agree(matched: Match_) -> None:
    shared = region_codes(40)
    entries = [
        registered(n, film, anchored=shared[20 * (n - 2) :][:20] if n > 1 else ())
        for n, film in enumerate((FILM, OTHER), 1)
    ]
    anchored = AnchoredQuery.of(shared[:20])
    cropped = replace(query(clip(30, 10)), anchored=anchored)
    assert [one.entry for one in matched(cropped, entries)] == [2]
    assert [one.entry for one in matched(replace(query(FILM), anchored=anchored), entries)] == [1]
    entries[1] = replace(entries[1], trust=Trust.CONFIRMED)
    found = matched(replace(query(FILM), anchored=anchored), entries)
    assert [one.entry for one in found] == [1, 2]


def test_one_video_that_many_people_registered_is_found_for_all(matched: Match_) -> None:
    entries = [registered(n, FILM if n % 2 else noisy(FILM, 4)) for n in range(1, 11)]
    found = matched(query(noisy(FILM[30:50])), entries)
    assert sorted(one.entry for one in found) == [*range(1, 11)]


def test_a_still_of_a_video_matches_with_its_seconds_and_asks_for_review(matched: Match_) -> None:
    still = Fingerprint(frames=(Pdq(noisy(FILM[50:51]).tobytes(), 90),))
    matches = matched(still, [registered(1, FILM, trust=Trust.CONFIRMED)])
    assert matches[0].video is not None
    assert (matches[0].video.frames, matches[0].video.query) == (1, None)
    assert matches[0].video.entry in {Span(24_000 + 500 * n, 24_500 + 500 * n) for n in range(4)}
    decision = decide(matchable=True, matches=matches, revision=7)
    assert (decision.action, decision.reasons) == (Action.REVIEW, (Reason.PART_MATCH,))


def test_a_registered_picture_is_found_in_a_video_with_its_seconds(matched: Match_) -> None:
    (found,) = matched(query(noisy(FILM)), [entry(5, FILM[40].tobytes(), trust=Trust.CONFIRMED)])
    assert found.video is not None
    assert (found.video.query, found.video.entry) == (Span(20_000, 21_000), None)
    assert decide(matchable=True, matches=[found], revision=7).action is Action.REVIEW


def test_a_copy_of_a_confirmed_video_blocks_and_an_excerpt_asks_for_review(matched: Match_) -> None:
    entries = [registered(1, FILM, trust=Trust.CONFIRMED)]
    actions = [
        decide(matchable=True, matches=matched(query(noisy(some)), entries), revision=7).action
        for some in (FILM, FILM[10:110], FILM[30:60], np.concatenate([FILM, OTHER]))
    ]
    assert actions == [Action.BLOCK, Action.BLOCK, Action.REVIEW, Action.REVIEW]


def test_frames_that_a_negative_bank_says_are_harmless_show_nothing(matched: Match_) -> None:
    banks = (bank(), replace(bank("harmless", 2), kind=BankKind.NEGATIVE))
    entries = [registered(1, FILM), registered(2, FILM[:40], bank="harmless")]
    assert [one.entry for one in matched(query(FILM[:30]), entries, banks)] == [2]
    assert [one.entry for one in matched(query(FILM[:50]), entries, banks)] == [1, 2]


def test_a_video_of_one_repeated_code_costs_no_more_than_another(matched: Match_) -> None:
    flicker = np.tile(random_codes(2, 6), (4000, 1))
    (found,) = matched(query(flicker[:2000]), [registered(1, flicker)])
    assert found.video is not None
