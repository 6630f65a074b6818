"""The reference of the endurance benchmark: which answers it lets pass."""

from random import Random

import pytest

from service.ledger import Ledger, Told, Verdict
from service.plan import EFFECT_S

CODE = bytes(range(32))
ADDED_S = 100.0
LATER_S = ADDED_S + EFFECT_S
ENDED_S = 200.0


def withdrawn() -> Told:
    return Told(CODE, 1, ADDED_S, ending_s=ENDED_S - 0.1, ended_s=ENDED_S)


@pytest.mark.parametrize(
    ("found", "sent_s", "verdict"),
    [
        (True, LATER_S, Verdict.RIGHT),
        (False, LATER_S, Verdict.WRONG),
        (True, LATER_S - 0.01, Verdict.OPEN),
        (False, LATER_S - 0.01, Verdict.OPEN),
    ],
)
def test_registered_code_has_to_be_found_once_the_change_is_old(
    found: bool, sent_s: float, verdict: Verdict
) -> None:
    assert Told(CODE, 1, ADDED_S).judge(found, sent_s) is verdict


@pytest.mark.parametrize(
    ("found", "sent_s", "verdict"),
    [
        (False, ENDED_S + EFFECT_S, Verdict.RIGHT),
        (True, ENDED_S + EFFECT_S, Verdict.WRONG),
        (True, ENDED_S + EFFECT_S / 2, Verdict.OPEN),
        (False, ENDED_S - 1, Verdict.OPEN),
    ],
)
def test_withdrawn_code_may_not_be_found_once_the_change_is_old(
    found: bool, sent_s: float, verdict: Verdict
) -> None:
    assert withdrawn().judge(found, sent_s) is verdict


def test_either_answer_passes_while_a_withdrawal_is_under_way() -> None:
    one = Told(CODE, 1, ADDED_S, ending_s=ENDED_S)
    assert {one.judge(found, ENDED_S + 60) for found in (True, False)} == {Verdict.OPEN}


def test_lag_is_the_age_of_a_change_that_an_answer_did_not_know_of() -> None:
    assert Told(CODE, 1, ADDED_S).lag_s(found=False, sent_s=ADDED_S + 0.5) == 0.5
    assert Told(CODE, 1, ADDED_S).lag_s(found=True, sent_s=ADDED_S + 0.5) == 0
    assert withdrawn().lag_s(found=True, sent_s=ENDED_S + 0.25) == 0.25
    assert withdrawn().lag_s(found=False, sent_s=ENDED_S + 0.25) == 0


def test_each_code_is_withdrawn_once_and_asked_about_ever_after() -> None:
    rng = Random(1)
    ledger = Ledger([Told(CODE, 1, 0.0)])
    ledger.added([CODE[::-1]], [2], ADDED_S)
    chosen = [ledger.begin_withdrawal(rng, ENDED_S) for _ in range(2)]
    assert {one.entry for one in chosen} == {1, 2}
    for one in chosen:
        ledger.withdrawn(one, ENDED_S)
    assert {one.entry for one in ledger.sample(rng, 1, 2)} == {1, 2}
    assert len(ledger.told) == 2
