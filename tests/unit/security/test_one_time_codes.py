"""One-time codes of an app: which are taken, against the vectors of RFC 6238 and RFC 4226."""

from __future__ import annotations

import pyotp
import pytest

from case_samples import app_code
from egide.security.one_time_codes import STEP_S, accepted_step, app_uri, new_secret

# Of both RFCs' appendices: ASCII digits, 20 bytes.
SECRET = b"12345678901234567890"
# RFC 6238, appendix B, rows of SHA-1; codes there have eight digits, of which six are the last.
# The first is RFC 4226's, appendix D: before 30 s there is no earlier step.
VECTORS = [
    (0, "755224"),
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]
URI = app_uri(SECRET, account="ben.okri", issuer="Écoute: & aide")
NOW = 1_234_567_890
STEP = NOW // STEP_S


def code_at(step: int) -> str:
    return app_code(URI, step * STEP_S)


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_code_is_that_of_the_rfc(at: int, code: str) -> None:
    assert accepted_step(SECRET, code, at, after=None) == at // STEP_S


@pytest.mark.parametrize("apart", [-1, 0, 1])
def test_clock_may_be_one_step_off(apart: int) -> None:
    code = code_at(STEP + apart)
    assert accepted_step(SECRET, code, NOW, after=None) == STEP + apart


@pytest.mark.parametrize("apart", [-3, -2, 2, 3])
def test_clock_may_not_be_two_steps_off(apart: int) -> None:
    assert accepted_step(SECRET, code_at(STEP + apart), NOW, after=None) is None


def test_code_is_accepted_once_and_no_earlier_one_after_it() -> None:
    for step in (STEP - 1, STEP):
        assert accepted_step(SECRET, code_at(step), NOW, after=STEP) is None
    assert accepted_step(SECRET, code_at(STEP + 1), NOW, after=STEP) == STEP + 1


@pytest.mark.parametrize("typed", ["005 924", " 005924\n", "005-924", "００５９２４"])
def test_spaces_hyphens_and_wide_digits_do_not_matter(typed: str) -> None:
    assert accepted_step(SECRET, typed, NOW, after=None) == STEP


@pytest.mark.parametrize("typed", ["", "5924", "0059240", "abcdef", "٠٠٥٩٢٤", "\ud800", "0" * 9999])
def test_what_is_no_code_is_refused(typed: str) -> None:
    assert accepted_step(SECRET, typed, NOW, after=None) is None


def test_secrets_are_long_and_differ() -> None:
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {20}


def test_uri_says_what_an_app_needs() -> None:
    app = pyotp.parse_uri(URI)
    assert (app.name, app.issuer, app.byte_secret()) == ("ben.okri", "Écoute & aide", SECRET)
    assert "+" not in URI  # some apps show it as it is
