"""Words, figures and dates as each language writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from egide.errors import UsageError
from egide.text.wording import Wording, load_catalogue

ENGLISH, FRENCH = Wording("en", {}), Wording("fr", {})


def catalogue(folder: Path, **files: str) -> list[Path]:
    paths = []
    for name, text in files.items():
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text(text, "utf-8")
    return paths


def test_strings_are_found_by_table_and_name_and_filled(tmp_path: Path) -> None:
    files = catalogue(tmp_path, one='[case]\nshown = "Case {number}"', two='[card.top]\na = "A"')
    words = Wording("en", load_catalogue(files, "en"))
    assert words.text("case.shown", number="12") == "Case 12"
    assert words.unfilled("case.shown") == "Case {number}"
    assert words.text("card.top.a") == "A"
    assert words.has("card.top.a")
    assert not words.has("card.top.b")


def test_a_missing_string_and_a_missing_field_are_errors() -> None:
    words = Wording("en", {"a.b": "{count}"})
    with pytest.raises(KeyError):
        words.text("a.c")
    with pytest.raises(KeyError):
        words.text("a.b")


def test_one_key_in_two_files_is_refused(tmp_path: Path) -> None:
    files = catalogue(tmp_path, one='[a]\nb = "1"', two='[a]\nb = "2"')
    with pytest.raises(UsageError, match=r"two\.toml has a\.b"):
        load_catalogue(files, "en")


def test_french_marks_are_given_their_spaces(tmp_path: Path) -> None:
    files = catalogue(tmp_path, one='[a]\nb = "Quoi ? « Ceci » : oui ; non !"')
    spaced = "Quoi\u202f? «\u00a0Ceci\u00a0»\u00a0: oui\u202f; non\u202f!"
    assert load_catalogue(files, "fr")["a.b"] == spaced
    assert load_catalogue(files, "en")["a.b"] == "Quoi ? « Ceci » : oui ; non !"


def test_french_numbers_stay_with_what_they_count(tmp_path: Path) -> None:
    files = catalogue(tmp_path, one='[a]\nb = "moins de 18 ans, {n} jours"')
    assert load_catalogue(files, "fr")["a.b"] == "moins de 18\u00a0ans, {n}\u00a0jours"
    assert load_catalogue(files, "en")["a.b"] == "moins de 18 ans, {n} jours"


def test_nothing_is_written_in_another_language() -> None:
    with pytest.raises(UsageError, match=r"'de'.*en or fr"):
        Wording("de", {})


def test_nothing_is_plural_in_english_and_singular_in_french() -> None:
    strings = {"n.one": "{count} bit", "n.other": "{count} bits"}
    english, french = Wording("en", strings), Wording("fr", strings)
    assert [english.plural("n", n) for n in (0, 1, 2)] == ["0 bits", "1 bit", "2 bits"]
    assert [french.plural("n", n) for n in (0, 1, 2)] == ["0 bit", "1 bit", "2 bits"]
    # CLDR has a third form for whole millions, which nothing is written in.
    assert french.plural("n", 1_000_000) == "1\u202f000\u202f000 bits"


def test_days_are_told_in_utc() -> None:
    late = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert ENGLISH.day(late) == "28 February 2026"
    assert FRENCH.day(datetime(2026, 8, 1, tzinfo=UTC)) == "1er août 2026"
    assert ENGLISH.day("2026-08-01") == "1 August 2026"
    assert FRENCH.day("2026-08-11") == "11 août 2026"


def test_numbers_are_grouped_as_each_language_does() -> None:
    assert ENGLISH.number(1_234_567) == "1,234,567"
    assert FRENCH.number(1_234_567) == "1\u202f234\u202f567"
    assert ENGLISH.decimal(1234.56) == "1,234.6"
    assert FRENCH.decimal(1234.56) == "1\u202f234,6"
    assert FRENCH.decimal(0.0, 0) == "0"


def test_moments_are_told_in_utc() -> None:
    paris = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert ENGLISH.moment(paris) == "28 February 2026, 23:30 UTC"
    assert FRENCH.moment("2026-08-01T09:05:00Z") == "1er août 2026 à 9\u00a0h\u00a005 UTC"
    assert ENGLISH.moment("2026-08-01T09:05:00") == "1 August 2026, 09:05 UTC"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (754.3, "12 min 34 s"),
        (3599.7, "1 h 00 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations_have_their_two_largest_units(seconds: float, words: str) -> None:
    for wording in (ENGLISH, FRENCH):
        assert wording.duration(seconds).replace("\u00a0", " ").replace(",", ".") == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 octet"),
        (999, "999 octets"),
        (999_999, "1,0 Mo"),
        (4_321_000_000, "4,3 Go"),
        (268_435_456, "268 Mo"),
    ],
)
def test_sizes_are_decimal_and_short(n_bytes: int, words: str) -> None:
    assert FRENCH.size(n_bytes) == words.replace(" ", "\u00a0")


def test_one_byte_is_one() -> None:
    assert [ENGLISH.size(n) for n in (1, 2)] == ["1\u00a0byte", "2\u00a0bytes"]


def test_names_are_listed_as_in_speech() -> None:
    assert ENGLISH.listed(["a"]) == "a"
    assert ENGLISH.listed(["a", "b", "{c}"]) == "a, b and {c}"
    assert FRENCH.listed(["a", "b", "c"]) == "a, b et c"
    assert FRENCH.listed([]) == ""


def test_ticks_and_limits_show_no_empty_decimals() -> None:
    values = (60.0, 0.5, 2_500.25, 0)
    assert [ENGLISH.shortest(value) for value in values] == ["60", "0.5", "2,500.25", "0"]
