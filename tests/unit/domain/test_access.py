"""Keys: how they look, what their roles may do, which banks they reach."""

import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.access import (
    DEFAULT_RATES,
    PERMISSIONS,
    Key,
    Permission,
    Role,
    new_token,
    parse_token,
    same_person,
    secret_matches,
)
from egide.errors import BankMissing, Forbidden

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TOKEN = "egide_abcdefgh2345_" + "A" * 43
SHAPED = re.compile(r"egide_[a-z2-7]*_[\w-]*", re.ASCII)  # of all of Unicode it takes seconds


def key(role: Role = Role.MATCHER, banks: tuple[str, ...] | None = None) -> Key:
    return Key(
        id=1,
        name="uploads",
        handle="abcdefgh2345",
        role=role,
        holder="Anna",
        banks=banks,
        per_second=1,
        per_day=1,
        created=NOW,
        created_by="local",
        expires=NOW + timedelta(days=1),
        revoked=None,
    )


class TestTokens:
    def test_new_token_is_read_back(self) -> None:
        handle, secret_hash, token = new_token()
        parsed = parse_token(token)
        assert parsed is not None
        assert parsed[0] == handle
        assert sha256(parsed[1]).digest() == secret_hash
        assert secret_matches(parsed[1], secret_hash)
        assert len(token) == 62

    def test_tokens_differ_in_both_parts(self) -> None:
        tokens = [new_token() for _ in range(200)]
        assert len({handle for handle, _, _ in tokens}) == 200
        assert len({secret_hash for _, secret_hash, _ in tokens}) == 200

    @given(st.integers(0, 255))
    def test_secret_with_any_other_bit_does_not_match(self, bit: int) -> None:
        secret = bytes(range(32))
        other = (int.from_bytes(secret) ^ (1 << bit)).to_bytes(32)
        assert not secret_matches(other, sha256(secret).digest())

    @given(st.binary(max_size=64))
    def test_secret_or_hash_of_another_length_does_not_match(self, rubbish: bytes) -> None:
        assert not secret_matches(rubbish, sha256(bytes(32) + b"x").digest())
        assert not secret_matches(bytes(32), rubbish)

    @given(st.one_of(st.text(max_size=80), st.from_regex(SHAPED)))
    def test_rubbish_is_no_token_and_no_error(self, text: str) -> None:
        parsed = parse_token(text)
        assert parsed is None or text == f"egide_{parsed[0]}_{spelled(parsed[1])}"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "egide_",
            TOKEN[:-1],
            TOKEN + "A",
            TOKEN + "\n",
            " " + TOKEN,
            TOKEN.upper(),
            TOKEN.replace("egide", "Egide"),
            TOKEN.replace("abcdefgh2345", "abcdefgh0189"),
            TOKEN[:-1] + "=",
            TOKEN[:-1] + "+",
            TOKEN[:-1] + "Ａ",
            TOKEN[:-1] + "B",
            TOKEN.replace("_A", "-A"),
            "\ud800" * 62,
            "A" * 1_000_000,
        ],
    )
    def test_near_misses_are_no_token(self, text: str) -> None:
        assert parse_token(TOKEN) == ("abcdefgh2345", bytes(32))
        assert parse_token(text) is None

    def test_secret_may_hold_the_separator(self) -> None:
        secret = bytes([0xFF]) * 32
        assert parse_token("egide_abcdefgh2345_" + spelled(secret)) == ("abcdefgh2345", secret)


class TestRoles:
    def test_every_role_has_permissions_and_a_rate(self) -> None:
        assert set(PERMISSIONS) == set(DEFAULT_RATES) == set(Role)
        assert all(0 < rate.per_second <= rate.per_day for rate in DEFAULT_RATES.values())

    def test_every_permission_is_somebodys(self) -> None:
        assert frozenset().union(*PERMISSIONS.values()) == set(Permission)

    @pytest.mark.parametrize(
        ("permission", "roles"),
        [
            (Permission.READ_CHANGES, {Role.PARTNER}),
            (Permission.REGISTER, {Role.CURATOR, Role.MODERATOR, Role.ADMIN}),
            (Permission.WITHDRAW, {Role.CURATOR, Role.MODERATOR, Role.ADMIN}),
            (Permission.JUDGE, {Role.MODERATOR, Role.ADMIN}),
            (Permission.APPROVE, {Role.MODERATOR, Role.ADMIN}),
            (Permission.EXPORT, {Role.ADMIN}),
            (Permission.MANAGE_KEYS, {Role.ADMIN}),
            (Permission.READ_LOG, {Role.ADMIN}),
        ],
    )
    def test_who_may_do_what_others_may_not(self, permission: Permission, roles: set[Role]) -> None:
        assert {role for role in Role if key(role).may(permission)} == roles
        for role in set(Role) - roles:
            with pytest.raises(Forbidden, match=permission.value):
                key(role).require(permission)


class TestScope:
    def test_bank_out_of_scope_is_as_if_it_were_not_there(self) -> None:
        with pytest.raises(BankMissing):
            key(banks=("one",)).require_bank("two")
        with pytest.raises(BankMissing):
            key(banks=("one",)).scoped(["one", "two"])

    def test_search_is_kept_to_the_scope(self) -> None:
        assert key().scoped(None) is None
        assert key().scoped(["two"]) == ("two",)
        assert key(banks=("one", "two")).scoped(None) == ("one", "two")
        assert key(banks=("one", "two")).scoped(["two"]) == ("two",)
        assert key(banks=("one",)).scoped([]) == ()

    def test_key_ends_when_it_expires(self) -> None:
        assert key().live(NOW)
        assert not key().live(NOW + timedelta(days=1))


class TestPersons:
    @pytest.mark.parametrize("other", ["anna b", " Anna  B ", "ANNA\tB", "Ａnna B", "anna\u00a0b"])
    def test_spelling_makes_no_second_person(self, other: str) -> None:
        assert same_person(other) == same_person("Anna B")

    def test_other_names_are_other_persons(self) -> None:
        assert same_person("Anna B") != same_person("Ben A")


def spelled(secret: bytes) -> str:
    return urlsafe_b64encode(secret).decode().rstrip("=")
