"""One-time codes of an app, against the vectors of RFC 6238 and RFC 4226."""

from __future__ import annotations

from base64 import b32decode
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from egide.security.one_time_codes import STEP_S, accepted_step, app_uri, code_at, new_secret

# Of both RFCs' appendices: ASCII digits, 20 bytes.
SECRET = b"12345678901234567890"
# RFC 6238, appendix B, rows of SHA-1; codes there have eight digits, of which six are the last.
RFC_6238 = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]
# RFC 4226, appendix D: counters 0 to 9.
RFC_4226 = [
    "755224", "287082", "359152", "969429", "338314",
    "254676", "287922", "162583", "399871", "520489",
]  # fmt: skip
NOW = 1_234_567_890
STEP = NOW // STEP_S


@pytest.mark.parametrize(("at", "code"), RFC_6238)
def test_code_is_that_of_rfc_6238(at: int, code: str) -> None:
    assert code_at(SECRET, at // STEP_S) == code
    assert accepted_step(SECRET, code, at, after=None) == at // STEP_S


def test_code_is_that_of_rfc_4226() -> None:
    assert [code_at(SECRET, counter) for counter in range(10)] == RFC_4226


@pytest.mark.parametrize("apart", [-1, 0, 1])
def test_clock_may_be_one_step_off(apart: int) -> None:
    code = code_at(SECRET, STEP + apart)
    assert accepted_step(SECRET, code, NOW, after=None) == STEP + apart


@pytest.mark.parametrize("apart", [-3, -2, 2, 3])
def test_clock_may_not_be_two_steps_off(apart: int) -> None:
    assert accepted_step(SECRET, code_at(SECRET, STEP + apart), NOW, after=None) is None


def test_code_is_accepted_once_and_no_earlier_one_after_it() -> None:
    for step in (STEP - 1, STEP):
        assert accepted_step(SECRET, code_at(SECRET, step), NOW, after=STEP) is None
    assert accepted_step(SECRET, code_at(SECRET, STEP + 1), NOW, after=STEP) == STEP + 1


@pytest.mark.parametrize("typed", ["005 924", " 005924\n", "005-924", "００５９２４"])
def test_spaces_hyphens_and_wide_digits_do_not_matter(typed: str) -> None:
    assert accepted_step(SECRET, typed, NOW, after=None) == STEP


@pytest.mark.parametrize("typed", ["", "5924", "0059240", "abcdef", "xxxxxx", "٠٠٥٩٢٤", "0" * 9999])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert accepted_step(SECRET, typed, NOW, after=None) is None


def test_first_steps_of_1970_are_no_trap() -> None:
    assert accepted_step(SECRET, RFC_4226[0], 0, after=None) == 0


def test_secrets_are_long_and_differ() -> None:
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {20}


def test_uri_says_what_an_app_needs() -> None:
    uri = urlsplit(app_uri(SECRET, account="ben.okri", issuer="Écoute: & aide"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    issuer, _, account = unquote(uri.path.removeprefix("/")).partition(":")
    values = parse_qs(uri.query)
    assert account == "ben.okri"
    assert values["issuer"] == [issuer] == ["Écoute & aide"]
    assert "+" not in uri.query  # some apps show it as it is
    assert b32decode(values["secret"][0]) == SECRET
