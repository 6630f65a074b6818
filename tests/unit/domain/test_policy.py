"""What policy says to do with matches: a confirmed match of a whole frame, and no less, blocks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import (
    AnchoredEvidence,
    KeypointEvidence,
    Match,
    Rectangle,
    Signal,
    Transform,
    Trust,
)
from egide.domain.policy import Action, Reason, decide

WHOLE = Match(
    entry=7,
    bank="helpline",
    signal=Signal.PDQ,
    distance=12,
    transform=Transform.IDENTITY,
    trust=Trust.CONFIRMED,
    frame=0,
    revision=3,
)
PART = replace(WHOLE, rectangle=Rectangle(10, 10, 200, 100))
KEYPOINTS = replace(
    WHOLE,
    signal=Signal.KEYPOINTS,
    distance=None,
    evidence=KeypointEvidence(40, 0.9, 0.95, (1, 0, 0, 0, 1, 0), ((0, 0), (9, 0), (9, 9))),
)
ANCHORED = replace(
    WHOLE, signal=Signal.ANCHORED, transform=None, anchored=AnchoredEvidence(met=5, registered=64)
)
RANK = {action: rank for rank, action in enumerate(Action)}


def matches() -> st.SearchStrategy[Match]:
    return st.builds(
        lambda base, trust, signal, transform, frame: replace(
            base,
            trust=trust,
            signal=base.signal if base.evidence or base.anchored else signal,
            transform=transform,
            frame=frame,
        ),
        st.sampled_from([WHOLE, PART, ANCHORED, KEYPOINTS]),
        st.sampled_from(Trust),
        st.sampled_from([Signal.PDQ, Signal.SHA256, Signal.MD5]),
        st.sampled_from(Transform),
        st.integers(0, 31),
    )


def may_block(match: Match) -> bool:
    return (
        match.trust is Trust.CONFIRMED
        and match.rectangle is None
        and match.signal in {Signal.PDQ, Signal.SHA256, Signal.MD5}
    )


@pytest.mark.parametrize(
    ("matchable", "found", "action", "reasons"),
    [
        (True, [], Action.ALLOW, ["no-match"]),
        (False, [], Action.ALLOW, ["not-matchable"]),
        (True, [WHOLE], Action.BLOCK, ["confirmed-match"]),
        (True, [replace(WHOLE, transform=Transform.ROTATE_90)], Action.BLOCK, ["confirmed-match"]),
        (
            False,
            [replace(WHOLE, signal=Signal.SHA256, distance=0)],
            Action.BLOCK,
            ["confirmed-match", "not-matchable"],
        ),
        (True, [replace(WHOLE, trust=Trust.UNVERIFIED)], Action.REVIEW, ["unverified-match"]),
        (True, [replace(WHOLE, trust=Trust.DISPUTED)], Action.REVIEW, ["disputed-match"]),
        (True, [PART], Action.REVIEW, ["part-match"]),
        (
            True,
            [replace(PART, trust=Trust.DISPUTED)],
            Action.REVIEW,
            ["part-match", "disputed-match"],
        ),
        (True, [ANCHORED], Action.REVIEW, ["part-match"]),
        (True, [KEYPOINTS], Action.REVIEW, ["keypoint-match"]),
        (
            True,
            [replace(WHOLE, trust=Trust.UNVERIFIED), WHOLE, PART],
            Action.BLOCK,
            ["confirmed-match", "part-match", "unverified-match"],
        ),
        (
            False,
            [replace(WHOLE, signal=Signal.MD5, distance=0, trust=Trust.UNVERIFIED)],
            Action.REVIEW,
            ["unverified-match", "not-matchable"],
        ),
    ],
)
def test_each_rule(matchable: bool, found: list[Match], action: Action, reasons: list[str]) -> None:
    decision = decide(matchable, found, 3)
    assert (decision.action, [reason.value for reason in decision.reasons]) == (action, reasons)
    assert (decision.matches, decision.revision) == (tuple(found), 3)


@given(st.booleans(), st.lists(matches(), max_size=6))
def test_blocks_exactly_when_a_whole_frame_is_a_confirmed_entrys(
    matchable: bool, found: list[Match]
) -> None:
    decision = decide(matchable, found, 1)
    assert (decision.action is Action.BLOCK) == any(may_block(match) for match in found)
    assert (decision.action is Action.ALLOW) == (not found)


@given(st.booleans(), st.lists(matches(), max_size=6))
def test_a_platform_may_choose_that_a_confirmed_part_blocks(
    matchable: bool, found: list[Match]
) -> None:
    """Which changes neither the reasons nor what keypoints and unconfirmed entries do."""
    usual, chosen = (decide(matchable, found, 1, block_by_part=chosen) for chosen in (False, True))
    parts = [one for one in found if one.trust is Trust.CONFIRMED and one.by_part]
    assert (chosen.action is Action.BLOCK) == (usual.action is Action.BLOCK or bool(parts))
    assert chosen.reasons == usual.reasons


@given(st.booleans(), st.lists(matches(), max_size=5), matches())
def test_one_match_more_never_makes_it_milder(
    matchable: bool, found: list[Match], another: Match
) -> None:
    fewer, more = decide(matchable, found, 1), decide(matchable, [*found, another], 1)
    assert RANK[more.action] >= RANK[fewer.action]
    assert set(fewer.reasons) - {Reason.NO_MATCH} <= set(more.reasons)


@given(st.booleans(), st.lists(matches(), max_size=5), st.randoms())
def test_neither_order_nor_repetition_changes_it(
    matchable: bool, found: list[Match], random: object
) -> None:
    shuffled = [*found, *found]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    plain, other = decide(matchable, found, 1), decide(matchable, shuffled, 1)
    assert (plain.action, plain.reasons) == (other.action, other.reasons)


@given(st.booleans(), st.lists(matches(), max_size=5))
def test_the_first_reason_is_the_one_that_decided(matchable: bool, found: list[Match]) -> None:
    decision = decide(matchable, found, 1)
    assert len(decision.reasons) == len(set(decision.reasons)) >= 1
    expected = {
        Action.BLOCK: {Reason.CONFIRMED_MATCH},
        Action.REVIEW: {
            Reason.PART_MATCH,
            Reason.KEYPOINT_MATCH,
            Reason.UNVERIFIED_MATCH,
            Reason.DISPUTED_MATCH,
        },
        Action.ALLOW: {Reason.NO_MATCH, Reason.NOT_MATCHABLE},
    }
    assert decision.reasons[0] in expected[decision.action]


@given(st.lists(matches(), max_size=5))
def test_says_whether_pdq_could_be_searched_for(found: list[Match]) -> None:
    assert Reason.NOT_MATCHABLE in decide(False, found, 1).reasons
    assert Reason.NOT_MATCHABLE not in decide(True, found, 1).reasons
