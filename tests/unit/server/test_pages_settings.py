"""Settings of the pages: what will not do is refused at the start, by its name."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from egide.errors import SettingInvalid
from egide.server.settings import ServerSettings


def test_pages_are_off_unless_asked_for() -> None:
    assert not ServerSettings.load().pages


def test_lists_stand_in_the_environment_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGIDE_PAGES_LANGUAGES", "fr, en")
    monkeypatch.setenv("EGIDE_TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8")
    settings = ServerSettings.load()
    assert settings.pages_languages == ("fr", "en")
    monkeypatch.setenv("EGIDE_PAGES_PARTNERS", '{"rivage": " Rivage "}')
    assert ServerSettings.load().pages_partners == {"rivage": "Rivage"}
    assert settings.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pages_exit_url", "http://example.org/"),
        ("pages_exit_url", "javascript:alert(1)"),
        ("pages_exit_url", "https://user@example.org/"),
        ("pages_exit_url", "/en/"),
        ("pages_languages", ()),
        ("pages_languages", ("de",)),
        ("pages_name", ""),
        ("pages_name", "x" * 61),
        ("pages_partners", {"rivage": " "}),
        ("pages_partners", {"rivage": "x" * 61}),
        ("pages_partners", {"rivage": "a\x1b[31m"}),
        ("pages_partners", "rivage=Rivage"),
        ("pages_partners", '["rivage"]'),
        ("case_lifetime_days", 60),
        ("case_max_images", 0),
        ("case_proof_bits", 31),
        ("cases_per_hour", 0),
    ],
)
def test_what_will_not_do_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingInvalid, match=name):
        ServerSettings.load(**{name: value})
