"""The list of helplines, and an operator's own in its place."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

from egide.errors import SettingInvalid, UsageError
from egide.server.pages.site.helplines import (
    INTERNATIONAL,
    MAX_FILE_BYTES,
    MAX_HELPLINES,
    Audience,
    Country,
    Helpline,
    for_minors,
    helplines,
)

EXPECTED = {
    *("FR", "BE", "CH", "LU", "CA", "GB", "IE", "US", "AU", "NZ", "DE", "AT", "NL", "ES"),
    *("PT", "IT", "SE", "DK", "NO", "FI", "PL", "IN", "ZA", "SN", "MA", "TN", INTERNATIONAL),
}

OWN = """
[[helpline]]
country = "FR"
name = "Une écoute"
url = "https://example.org/ecoute"
phone = "01 23 45 67 89"
hours = { en = "Monday, 9:00–12:00", fr = "le lundi de 9 h à 12 h" }
languages = ["fr", "en"]
audience = "adults"
what = { en = "Listens.", fr = "Écoute." }
source = "https://example.org/contact"
checked = 2026-11-30
"""


def by_code(countries: tuple[Country, ...]) -> dict[str, tuple[Helpline, ...]]:
    return {country.code: country.helplines for country in countries}


def every(lang: str = "en") -> list[Helpline]:
    return [line for country in helplines(lang) for line in country.helplines]


def written(folder: Path, text: str) -> Path:
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(SettingInvalid) as caught:
        helplines("en", written(folder, text))
    assert caught.value.fields["name"] == "pages_helplines"
    return str(caught.value.fields["reason"])


# --- the list of Egide ------------------------------------------------------------------------


def test_every_country_has_its_helplines_in_both_languages() -> None:
    english, french = by_code(helplines("en")), by_code(helplines("fr"))
    assert set(english) == EXPECTED
    assert {code: [line.name for line in lines] for code, lines in english.items()} == {
        code: [line.name for line in lines] for code, lines in french.items()
    }


def test_international_help_comes_first_then_countries_as_the_language_sorts_them() -> None:
    french = helplines("fr")
    assert french[0].code == INTERNATIONAL
    names = [country.name for country in french]
    place = names.index("États-Unis")
    assert names[place - 1 : place + 2] == ["Espagne", "États-Unis", "Finlande"]
    english = [country.name for country in helplines("en")]
    assert english[1:] == sorted(english[1:])


def test_the_routes_for_minors_are_those_the_law_page_names() -> None:
    kept = by_code(for_minors(helplines("en")))
    assert any(line.name == "Take It Down" for line in kept[INTERNATIONAL])
    assert any(line.name.startswith("Report Remove") for line in kept["GB"])
    assert {"3018", "Point de Contact – Disrupt"} <= {line.name for line in kept["FR"]}
    assert all(line.audience is not Audience.ADULTS for lines in kept.values() for line in lines)


def test_countries_without_help_for_minors_are_left_out(tmp_path: Path) -> None:
    assert for_minors(helplines("en", written(tmp_path, OWN))) == ()


def test_a_telephone_number_stands_only_where_its_source_was_read() -> None:
    assert not [line.name for line in every() if line.phone and line.checked is None]


def test_hours_stand_only_beside_a_telephone_number() -> None:
    assert not [line.name for line in every() if line.hours and not line.phone]


def test_a_number_is_dialled_without_its_spaces() -> None:
    numbers = {line.name: line.dial for line in every() if line.dial}
    assert numbers["Revenge Porn Helpline"] == "03456000459"
    assert numbers["CCRI Image Abuse Helpline"] == "8448782274"
    assert all(re.fullmatch(r"\+?\d+", number) for number in numbers.values())


def test_sentences_are_set_as_each_language_sets_them() -> None:
    for lang in ("en", "fr"):
        for line in every(lang):
            assert line.what.endswith(".")
            assert "'" not in line.what + (line.hours or "") + line.name
    # Those marks need no-break spaces in French, which this file does not set.
    assert not [line.what for line in every("fr") if re.search(r"[;:?!«»]", line.what)]


# --- an operator's own ------------------------------------------------------------------------


def test_an_own_file_replaces_the_list_and_uses_its_names(tmp_path: Path) -> None:
    (country,) = helplines("fr", written(tmp_path, OWN))
    assert (country.code, country.name) == ("FR", "France")
    assert country.helplines == (
        Helpline(
            name="Une écoute",
            url="https://example.org/ecoute",
            phone="01 23 45 67 89",
            hours="le lundi de 9 h à 12 h",
            languages=("français", "anglais"),
            audience=Audience.ADULTS,
            what="Écoute.",
            source="https://example.org/contact",
            checked=date(2026, 11, 30),
            from_copy=False,
        ),
    )


def test_an_own_file_may_name_countries_and_languages_of_its_own(tmp_path: Path) -> None:
    names = '[countries]\nJP = { en = "Japan", fr = "Japon" }\n'
    names += '[languages]\nja = { en = "Japanese", fr = "japonais" }\n'
    own = OWN.replace('"FR"', '"JP"').replace('["fr", "en"]', '["ja"]')
    (country,) = helplines("fr", written(tmp_path, names + own))
    assert country.name == "Japon"
    assert country.helplines[0].languages == ("japonais",)


def test_what_is_optional_may_be_left_out(tmp_path: Path) -> None:
    own = "\n".join(
        line for line in OWN.splitlines() if not line.startswith(("phone", "hours", "checked"))
    )
    (line,) = helplines("en", written(tmp_path, own))[0].helplines
    assert (line.phone, line.dial, line.hours, line.checked) == (None, None, None, None)


def test_no_break_spaces_are_welcome(tmp_path: Path) -> None:
    own = OWN.replace("Écoute.", "Écoute\u202f; gratuit.")
    (line,) = helplines("fr", written(tmp_path, own))[0].helplines
    assert line.what == "Écoute\u202f; gratuit."


@pytest.mark.parametrize(
    ("old", "new", "field", "said"),
    [
        ('country = "FR"\n', "", "country", "missing"),
        ('"FR"', '"fr"', "country", "two capital letters"),
        ('"FR"', '"QQ"', "country", "[countries]"),
        ('name = "Une écoute"\n', "", "name", "missing"),
        ("Une écoute", "x" * 81, "name", "1 to 80 characters"),
        ("Une écoute", "two\\nlines", "name", "one line"),
        ("Une écoute", "turned \u202e back", "name", "one line"),
        ("Une écoute", " ", "name", "one line"),
        ("https://example.org/ecoute", "http://example.org", "url", "https://"),
        ("https://example.org/ecoute", "javascript:alert(1)", "url", "https://"),
        ("https://example.org/ecoute", "https://me:secret@example.org", "url", "no user name"),
        ("https://example.org/ecoute", "https://[", "url", "https://"),
        (
            "https://example.org/ecoute",
            "https://example.org/" + "x" * 300,
            "url",
            "up to 300 characters",
        ),
        ("01 23 45 67 89", "0800 HELP", "phone", "digits"),
        ("01 23 45 67 89", "tel:0123", "phone", "digits"),
        ("01 23 45 67 89", "1" * 18, "phone", "digits"),
        ('fr = "le lundi', 'de = "le lundi', "hours", "en and fr"),
        ('["fr", "en"]', "[]", "languages", "1 to 30"),
        ('["fr", "en"]', '"fr"', "languages", "1 to 30"),
        ('["fr", "en"]', '["zz"]', "languages", "[languages]"),
        ('["fr", "en"]', "[7]", "languages.0", "two or three small letters"),
        ('"adults"', '"everyone"', "audience", "adults, minors, all"),
        (', fr = "Écoute."', "", "what", "en and fr"),
        ('"Écoute."', '"' + "x" * 241 + '"', "what.fr", "1 to 240 characters"),
        ("https://example.org/contact", "ftp://example.org", "source", "https://"),
        ("2026-11-30", '"2026-11-30"', "checked", "without quotes"),
        ("2026-11-30", "2026-11-30T10:00:00Z", "checked", "without quotes"),
        ("checked =", "cheked =", "cheked", "no such field"),
        ("checked = 2026-11-30", 'from_copy = "yes"', "from_copy", "true or false"),
        ("checked = 2026-11-30", "from_copy = true", "from_copy", "beside checked"),
    ],
)
def test_a_wrong_field_is_refused_by_file_entry_and_name(
    tmp_path: Path, old: str, new: str, field: str, said: str
) -> None:
    assert old in OWN
    reason = refusal(tmp_path, OWN.replace(old, new))
    assert reason.startswith(f"{tmp_path / 'own.toml'}, helpline 1")
    assert f", {field}: " in reason
    assert said in reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "helpline: is missing"),
        ("helpline = []", "helpline: write each one under [[helpline]], 1 to"),
        ("helpline = [1]", "helpline 1: write each one under [[helpline]]"),
        ('helplines = "x"\n' + OWN, "helplines: there is no such field"),
        ("[[helpline]\n", "no TOML"),
        ('countries = "x"\n' + OWN, "countries: this is a table"),
        ('[countries]\nfr = { en = "x", fr = "x" }\n' + OWN, "countries.fr: a code is two capital"),
        ('[countries]\nFR = "France"\n' + OWN, "countries.FR: give it in en and fr"),
        (OWN + OWN, "helpline 2 (Une écoute), name: this country has a helpline of this name"),
        (
            OWN * (MAX_HELPLINES + 1),
            f"helpline: write each one under [[helpline]], 1 to {MAX_HELPLINES}",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_file_that_is_missing_or_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    with pytest.raises(SettingInvalid, match=r"none\.toml cannot be read: no such file"):
        helplines("en", missing)
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    with pytest.raises(SettingInvalid, match=f"has over {MAX_FILE_BYTES} bytes"):
        helplines("en", large)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingInvalid, match="no TOML"):
        helplines("en", binary)


def test_a_language_that_nothing_is_written_in_is_refused() -> None:
    with pytest.raises(UsageError):
        helplines("de")
