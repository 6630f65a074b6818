"""PINs and passwords are kept as slow hashes, and nothing is learnt from a wrong one."""

import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from threading import Event

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError
from argon2.low_level import Type

from cheap import forget_hashes
from egide.errors import Overloaded, ServerUnavailable
from egide.security import passwords
from egide.security.passwords import hash_password, verify_password


def test_hash_is_argon2id_as_rfc_9106_wants_it(argon2_at_full_cost: None) -> None:
    kept = hash_password("483917")
    parameters = extract_parameters(kept)
    assert (parameters.type, parameters.version) == (Type.ID, 19)
    assert (parameters.memory_cost, parameters.time_cost) == (64 * 1024, 3)
    assert (parameters.salt_len, parameters.hash_len) == (16, 32)
    assert "483917" not in kept
    assert verify_password("483917", kept)


def test_only_the_same_text_fits() -> None:
    kept = hash_password("483917")
    assert verify_password("483917", kept)
    for wrong in ("483918", "", "483917 ", "4\ud800", "x" * 100_000):
        assert not verify_password(wrong, kept)


def test_one_text_has_many_hashes() -> None:
    assert hash_password("483917") != hash_password("483917")


def test_where_there_is_no_hash_the_same_work_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = hash_password("483917")
    compared: list[str] = []
    verify = PasswordHasher.verify

    def noted(self: PasswordHasher, hash_: str, text: bytes) -> bool:
        compared.append(hash_)
        return bool(verify(self, hash_, text))

    monkeypatch.setattr(PasswordHasher, "verify", noted)
    assert not verify_password("483917", None)
    assert not verify_password("000001", kept)
    nobodys, own = compared
    assert own == kept
    assert nobodys != kept
    assert extract_parameters(nobodys) == extract_parameters(own)


def test_a_damaged_hash_is_a_defect_and_no_wrong_pin() -> None:
    with pytest.raises(VerificationError):
        verify_password("483917", "$argon2id$nonsense")


def test_line_is_bounded_and_nobody_waits_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = hash_password("483917")
    assert not verify_password("000001", None)
    begun, go_on = Event(), Event()
    verify = PasswordHasher.verify

    def slow(self: PasswordHasher, hash_: str, text: bytes) -> bool:
        begun.set()
        assert go_on.wait(60)
        return bool(verify(self, hash_, text))

    monkeypatch.setattr(PasswordHasher, "verify", slow)

    def ask(_: int) -> str:
        try:
            return str(verify_password("483917", kept))
        except Overloaded as error:
            return error.code

    with ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(ask, number) for number in range(40)]
        assert begun.wait(60)
        # All but a dozen are answered while not one of those has been compared.
        refused = [each.result() for each in islice(as_completed(asked, 60), 28)]
        go_on.set()
    assert refused == ["overloaded"] * 28
    assert [each.result() for each in asked].count("True") == 12
    assert verify_password("483917", kept)


def test_without_the_extra_it_is_said_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_hashes()
    monkeypatch.setitem(sys.modules, "argon2", None)
    with pytest.raises(ServerUnavailable):
        hash_password("483917")
    with pytest.raises(ServerUnavailable):
        verify_password("483917", None)
    assert passwords._hasher.cache_info().currsize == 0
