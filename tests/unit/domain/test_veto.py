"""A negative bank vetoes whole pictures: never by a part, never what is nearer, never a digest."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import (
    FILE_SIGNALS,
    AnchoredEvidence,
    BankKind,
    Match,
    Rectangle,
    Signal,
    Trust,
)
from egide.domain.policy import Action, Reason, decide
from egide.domain.veto import weigh

FOUND = Match(7, "helpline", Signal.PDQ, 20, None, Trust.UNVERIFIED, 0, 3)
CONFIRMED = replace(FOUND, trust=Trust.CONFIRMED)
HARMLESS = replace(FOUND, entry=9, bank="harmless", distance=4, kind=BankKind.NEGATIVE)
PART = {"rectangle": Rectangle(1, 1, 9, 9)}


def _stands(match: Match, veto: Match) -> bool:
    weighed = weigh([match, veto])
    assert (match in weighed.standing) is (match not in weighed.vetoed)
    assert bool(weighed.vetoed) is bool(weighed.vetoes)
    return match in weighed.standing


def test_a_vetoed_match_is_allowed_and_said() -> None:
    decision = decide(True, [CONFIRMED, HARMLESS], 3)
    assert (decision.action, decision.reasons) == (Action.ALLOW, (Reason.VETOED,))
    assert (decision.matches, decision.vetoed, decision.vetoed_by) == (
        (),
        (CONFIRMED,),
        (HARMLESS,),
    )
    left = replace(FOUND, entry=8, frame=1)
    decision = decide(True, [CONFIRMED, left, HARMLESS], 3)
    assert (decision.action, decision.matches) == (Action.REVIEW, (left,))
    assert decide(True, [HARMLESS], 3).reasons == (Reason.NO_MATCH,)


@pytest.mark.parametrize(
    "veto",
    [
        replace(HARMLESS, **PART),
        replace(HARMLESS, signal=Signal.ANCHORED, anchored=AnchoredEvidence(5, 6)),
        replace(HARMLESS, signal=Signal.KEYPOINTS, distance=None),
        replace(HARMLESS, signal=Signal.URL_SHA256, distance=0),
        replace(HARMLESS, trust=Trust.DISPUTED),
        replace(HARMLESS, frame=1),
        replace(HARMLESS, distance=21),
    ],
)
def test_what_does_not_say_that_the_whole_picture_is_harmless_vetoes_nothing(veto: Match) -> None:
    assert _stands(FOUND, veto)


def test_a_digest_vetoes_all_but_a_confirmed_digest() -> None:
    for signal in FILE_SIGNALS:
        veto = replace(HARMLESS, signal=signal, distance=0)
        for match in (FOUND, CONFIRMED, replace(CONFIRMED, **PART), replace(CONFIRMED, frame=5)):
            assert not _stands(match, veto)
        for other in FILE_SIGNALS:
            assert _stands(replace(CONFIRMED, signal=other, distance=0), veto)
            assert not _stands(replace(FOUND, signal=other, distance=0), veto)


def test_pdq_vetoes_no_part_no_digest_and_nothing_nearer() -> None:
    for match in (
        replace(FOUND, **PART),
        replace(FOUND, signal=Signal.ANCHORED, anchored=AnchoredEvidence(5, 6)),
        replace(FOUND, signal=Signal.KEYPOINTS, distance=None),
        replace(FOUND, signal=Signal.SHA256, distance=0),
        replace(FOUND, distance=3),
        replace(CONFIRMED, distance=4),
    ):
        assert _stands(match, HARMLESS)
    assert not _stands(replace(FOUND, distance=4), HARMLESS)


def test_an_address_asks_for_review_even_of_a_confirmed_entry() -> None:
    decision = decide(True, [replace(CONFIRMED, signal=Signal.URL_MD5, distance=0)], 3)
    assert (decision.action, decision.reasons) == (Action.REVIEW, (Reason.ADDRESS_MATCH,))


@given(
    st.lists(
        st.builds(
            lambda kind, trust, signal, distance, frame, part: replace(
                FOUND,
                kind=kind,
                trust=trust,
                signal=signal,
                distance=distance if signal is Signal.PDQ else 0,
                frame=frame,
                rectangle=PART["rectangle"] if part and signal is Signal.PDQ else None,
            ),
            st.sampled_from(BankKind),
            st.sampled_from(Trust),
            st.sampled_from([Signal.PDQ, Signal.SHA256, Signal.MD5, Signal.URL_MD5]),
            st.integers(0, 31),
            st.integers(0, 2),
            st.booleans(),
        ),
        max_size=6,
    )
)
def test_a_confirmed_digest_always_blocks_and_each_match_is_somewhere(given: list[Match]) -> None:
    weighed = weigh(given)
    positive = [match for match in given if match.kind is BankKind.POSITIVE]
    assert sorted(map(repr, weighed.standing + weighed.vetoed)) == sorted(map(repr, positive))
    if any(one.signal in FILE_SIGNALS and one.trust is Trust.CONFIRMED for one in positive):
        assert decide(True, given, 3).action is Action.BLOCK
    if not weighed.vetoes:
        assert not weighed.vetoed
