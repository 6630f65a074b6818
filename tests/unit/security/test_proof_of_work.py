"""Proof of work: what is asked for is checked, and nothing else passes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from egide.errors import ProofExpired, ProofInvalid
from egide.security.proof_of_work import TTL, leading_zero_bits, new_challenge, solved

KEY = bytes(range(32))
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def solutions(challenge: str, bits: int) -> Iterator[int]:
    """Nonces that solve a challenge, found in the way a browser would."""
    for nonce in count():
        digest = sha256(f"{challenge}:{nonce}".encode()).digest()
        if "".join(f"{byte:08b}" for byte in digest).startswith("0" * bits):
            yield nonce


@given(st.integers(0, 8))
def test_solution_is_taken_and_others_are_not(bits: int) -> None:
    challenge = new_challenge(KEY, bits, NOW)
    solution = next(solutions(challenge, bits))
    assert len(solved(KEY, challenge, solution, NOW)) == 32
    for nonce in range(solution):
        with pytest.raises(ProofInvalid):
            solved(KEY, challenge, nonce, NOW)


def test_challenge_says_what_it_asks_for() -> None:
    version, bits, expires, random, mac = new_challenge(KEY, 18, NOW).split(".")
    assert (version, bits) == ("v1", "18")
    assert int(expires) == int((NOW + TTL).timestamp())
    assert (len(random), len(mac)) == (22, 43)
    assert new_challenge(KEY, 18, NOW) != new_challenge(KEY, 18, NOW)


def test_one_challenge_is_one_submission_whatever_solves_it() -> None:
    challenge, other = new_challenge(KEY, 2, NOW), new_challenge(KEY, 2, NOW)
    found = solutions(challenge, 2)
    ids = {solved(KEY, challenge, next(found), NOW) for _ in range(5)}
    assert len(ids) == 1
    assert solved(KEY, other, next(solutions(other, 2)), NOW) not in ids


def test_it_holds_until_its_time_is_up() -> None:
    challenge = new_challenge(KEY, 0, NOW)
    assert solved(KEY, challenge, 0, NOW + TTL - SECOND)
    with pytest.raises(ProofExpired):
        solved(KEY, challenge, 0, NOW + TTL)


@given(st.integers(0), st.characters())
def test_challenge_with_any_other_character_is_not_ours(number: int, char: str) -> None:
    challenge = new_challenge(KEY, 0, NOW)
    at = number % len(challenge)
    assume(char != challenge[at])
    with pytest.raises(ProofInvalid):
        solved(KEY, challenge[:at] + char + challenge[at + 1 :], 0, NOW)


@given(st.text(max_size=300))
def test_any_other_text_is_not_ours(text: str) -> None:
    with pytest.raises(ProofInvalid):
        solved(KEY, text, 0, NOW)


def test_challenge_of_another_key_is_not_ours() -> None:
    with pytest.raises(ProofInvalid):
        solved(bytes(32), new_challenge(KEY, 0, NOW), 0, NOW)


@pytest.mark.parametrize("nonce", [-1, 2**63, 10**4000])
def test_nonce_out_of_bounds_is_refused(nonce: int) -> None:
    with pytest.raises(ProofInvalid):
        solved(KEY, new_challenge(KEY, 0, NOW), nonce, NOW)


@pytest.mark.parametrize("bits", [-1, 33])
def test_impossible_work_is_not_asked_for(bits: int) -> None:
    with pytest.raises(ValueError, match=str(bits)):
        new_challenge(KEY, bits, NOW)


def test_zero_bits_are_counted_from_the_front() -> None:
    assert leading_zero_bits(bytes(32)) == 256
    assert leading_zero_bits(b"\x80" + bytes(31)) == 0
    assert leading_zero_bits(b"\x00\x1f" + bytes(30)) == 11
