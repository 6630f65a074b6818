"""The strings of the report page: complete in both languages, and written as each language is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from string import Formatter
from typing import Any

import pytest

import report_samples as samples
from egide.auditing import report
from egide.auditing.wording import LANGUAGES, Wording, load_strings
from egide.errors import EgideError, ItemError, PatchesError, SourceError, UsageError

ENGLISH, FRENCH = Wording("en"), Wording("fr")


def placeholders(text: str) -> set[tuple[str | None, str | None]]:
    return {(name, None) for _, name, _, _ in Formatter().parse(text) if name is not None}


def subclasses(kind: type[EgideError]) -> set[type[EgideError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_both_languages_have_the_same_strings() -> None:
    assert load_strings("en").keys() == load_strings("fr").keys()


@pytest.mark.parametrize("key", sorted(load_strings("en")))
def test_both_languages_fill_the_same_placeholders(key: str) -> None:
    english, french = load_strings("en")[key], load_strings("fr")[key]
    assert english.strip()
    assert placeholders(english) == placeholders(french)


def test_every_reason_for_an_unreadable_item_has_words() -> None:
    codes = {kind.code for kind in subclasses(ItemError) | subclasses(SourceError)}
    worded = {key.removeprefix("codes.") for key in load_strings("en") if key.startswith("codes.")}
    assert worded == codes | {"unknown"}


def test_everything_that_can_stand_in_the_way_of_keypoints_has_words() -> None:
    of_one_entry_or_of_making_a_key = {"patches-error", "patches-damaged", "patch-key-exists"}
    codes = {kind.code for kind in subclasses(PatchesError)} - of_one_entry_or_of_making_a_key
    worded = {key.removeprefix("hindrance.") for key in load_strings("en") if "hindrance." in key}
    assert worded == codes | {"unknown"}


def patches(**changes: Any) -> dict[str, Any]:
    return samples.summary()["patches"] | changes


def audits() -> list[tuple[dict[str, Any], list[Any], list[Any]]]:
    """Audits that between them make the page say all it can say."""
    banks = [{"name": f"bank{n}", "radius_bits": 31, "entries": 1} for n in range(6)]
    codes = {key.removeprefix("codes."): 1 for key in load_strings("en") if "codes." in key}
    kinds = [key.removeprefix("kinds.") for key in load_strings("en") if "kinds." in key]
    sources = [{"name": kind, "kind": kind, "shards": 1, "items": 1} for kind in kinds]
    one = {
        "items": 1,
        "matched_items": 1,
        "matches": 1,
        "unreadable": 1,
        "not_matchable": 1,
        "distances": {"1": 1},
        "others": {"": 1},
    }
    nothing = {"matched_items": 0, "matches": 0, "distances": {}}
    rows, broken = samples.matches(), samples.unreadable()
    long_name = "x" * 501
    codes_of_patches = [
        key.removeprefix("hindrance.") for key in load_strings("en") if "hindrance." in key
    ]
    second_tier = [
        patches(searched=False),
        patches(pictures=0),
        patches(pictures=1, damaged=1, not_enough_detail=1),
        patches(damaged=2),
        *(patches(searched=False, code=code) for code in codes_of_patches),
    ]
    return [
        *((samples.summary(**nothing, patches=patches), [], []) for patches in second_tier),
        (samples.summary(matches=1), [replace(samples.by_keypoints(1), inliers=1)], []),
        (samples.summary(banks=banks, unreadable_codes=codes, sources=sources), rows, broken),
        (samples.summary(**one, scanned_items=1, radius_bits=1), [samples.match()], broken[:1]),
        (samples.summary(**nothing, throughput=[[0, 0], [60, 100]], items=1), [], []),
        (samples.summary(**nothing, throughput=[[0, 0], [20_000, 9]], mode="exact"), [], []),
        (samples.summary(**nothing, banks=banks[:2], throughput=[], radius_bits=20), [], broken),
        (samples.summary(**nothing, banks=banks, resumed=True, scanned_items=9), [], []),
        (samples.summary(**nothing, banks=[], sources=[]), [], []),
        (samples.summary(**nothing, banks=[], items=1, resumed=True, scanned_items=0), [], []),
        (samples.summary(**nothing, items=0, unreadable=0, not_matchable=0), [], []),
        (
            samples.summary(matches=14, banks=banks[:2]),
            [samples.match(long_name, offset=2)] * 12,
            broken[:37],
        ),
        (samples.summary(matches=2, unreadable=3), [samples.match(long_name)], broken[:1]),
        (samples.summary(matches=2), [samples.match(long_name + "x")], []),
    ]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_string_is_missing_or_unused(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: set[str] = set()

    class Listening(Wording):
        def text(self, key: str, /, **fields: object) -> str:
            said.add(key)
            return super().text(key, **fields)

    monkeypatch.setattr(report, "Wording", Listening)
    for summary, matches, unreadable in audits():
        report.render_report(
            summary, matches, unreadable, lang=lang, generated=datetime(2026, 1, 1, tzinfo=UTC)
        )
    assert load_strings(lang).keys() - said == set()


def test_french_marks_are_never_parted_from_their_word() -> None:
    for summary, matches, unreadable in audits():
        page = report.render_report(
            summary, matches, unreadable, lang="fr", generated=samples.GENERATED
        )
        text = re.sub(r"<style>.*?</style>|<[^>]+>|&#?\w+;", "", page, flags=re.DOTALL)
        assert not re.search(r" [:;?!»]|« ", text)
        assert "\u00a0:" in text


def test_french_strings_use_the_typographic_apostrophe() -> None:
    assert not [key for key, text in load_strings("fr").items() if "'" in text]


def test_an_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"'de'.*en or fr"):
        Wording("de")


def test_numbers_are_grouped_as_each_language_does() -> None:
    assert ENGLISH.number(1_234_567) == "1,234,567"
    assert FRENCH.number(1_234_567) == "1\u202f234\u202f567"
    assert ENGLISH.decimal(1234.56) == "1,234.6"
    assert FRENCH.decimal(1234.56) == "1\u202f234,6"
    assert FRENCH.decimal(0.0, 0) == "0"


def test_zero_is_plural_in_english_and_singular_in_french() -> None:
    assert ENGLISH.plural("matches.bits", 0) == "0 bits"
    assert FRENCH.plural("matches.bits", 0) == "0 bit"
    assert ENGLISH.plural("matches.bits", 1) == "1 bit"
    assert FRENCH.plural("matches.bits", 2) == "2 bits"


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
    assert ENGLISH.duration(seconds).replace("\u00a0", " ") == words


@pytest.mark.parametrize(
    ("n_bytes", "words"),
    [
        (0, "0 octets"),
        (999, "999 octets"),
        (999_999, "1,0 Mo"),
        (4_321_000_000, "4,3 Go"),
        (268_435_456, "268 Mo"),
    ],
)
def test_sizes_are_decimal_and_short(n_bytes: int, words: str) -> None:
    assert FRENCH.size(n_bytes).replace("\u00a0", " ") == words


def test_names_are_listed_as_in_speech() -> None:
    assert ENGLISH.listed(["a"]) == "a"
    assert ENGLISH.listed(["a", "b", "c"]) == "a, b and c"
    assert FRENCH.listed(["a", "b"]) == "a et b"


def test_ticks_and_limits_show_no_empty_decimals() -> None:
    values = (60.0, 0.5, 2_500.25, 0)
    assert [ENGLISH.shortest(value) for value in values] == ["60", "0.5", "2,500.25", "0"]
