"""The strings of the report page: complete in both languages, and written as each language is."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

import egide.auditing.proof as proof_package
import report_samples as samples
from egide.auditing.report import report
from egide.auditing.report.before import Earlier
from egide.auditing.report.sentence import load_strings, report_wording
from egide.cli.purge import _LEFT
from egide.domain.coverage import GapKind
from egide.errors import (
    AttestationUnreadable,
    EgideError,
    ItemError,
    KeypointsError,
    Mismatch,
    SourceError,
    UsageError,
)
from egide.text.wording import LANGUAGES, Wording

ENGLISH, FRENCH = report_wording("en"), report_wording("fr")


def placeholders(text: str) -> set[tuple[str | None, str | None]]:
    return {(name, None) for _, name, _, _ in Formatter().parse(text) if name is not None}


def subclasses(kind: type[EgideError]) -> set[type[EgideError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_both_languages_have_the_same_strings() -> None:
    assert load_strings("en").keys() == load_strings("fr").keys()


def test_both_languages_fill_the_same_placeholders() -> None:
    english, french = load_strings("en"), load_strings("fr")
    assert [key for key, text in english.items() if not text.strip()] == []
    filled = [{key: placeholders(text) for key, text in of.items()} for of in (english, french)]
    assert filled[0] == filled[1]


@pytest.mark.parametrize("table", ["codes.", "remedies."])
def test_every_reason_for_a_gap_has_words(table: str) -> None:
    codes = {kind.code for kind in subclasses(ItemError) | subclasses(SourceError)}
    worded = {key.removeprefix(table) for key in load_strings("en") if key.startswith(table)}
    assert worded == codes | {"unknown"}


def test_every_reason_of_a_purge_to_leave_something_has_words() -> None:
    worded = {key.removeprefix("left.") for key in load_strings("en") if key.startswith("left.")}
    assert worded == _LEFT.keys() | {"unknown"}


def test_everything_that_can_stand_in_the_way_of_keypoints_has_words() -> None:
    of_one_entry_or_of_making_a_key = {"patches-error", "patches-damaged", "patch-key-exists"}
    codes = {kind.code for kind in subclasses(KeypointsError)} - of_one_entry_or_of_making_a_key
    worded = {key.removeprefix("hindrance.") for key in load_strings("en") if "hindrance." in key}
    assert worded == codes | {"unknown"}


def keypoints(**changes: Any) -> dict[str, Any]:
    return samples.summary()["patches"] | changes


def audits() -> list[tuple[dict[str, Any], list[Any], list[Any]]]:
    """Audits that between them make the page say all it can say."""
    banks = [{"name": f"bank{n}", "radius_bits": 31, "entries": 1} for n in range(6)]
    codes = [key.removeprefix("codes.") for key in load_strings("en") if "codes." in key]
    two = [samples.gap(kind, code, 2) for kind in GapKind for code in codes]
    one_gap = [samples.gap("listing", "file-empty", 1)]
    kinds = [key.removeprefix("kinds.") for key in load_strings("en") if "kinds." in key]
    sources = [{"name": kind, "kind": kind, "shards": 1, "items": 1} for kind in kinds]
    one = {
        "items": 1,
        "matched_items": 1,
        "matches": 1,
        "hashed": 1,
        "gaps": [samples.gap(kind, "file-empty", 1) for kind in GapKind],
        "not_matchable": 1,
        "vetoed_items": 1,
        "distances": {"1": 1},
        "others": {"": 1},
    }
    nothing = {"matched_items": 0, "matches": 0, "distances": {}}
    asked = {"address": "register.example", "first_revision": 7}
    rows, broken = samples.matches(), samples.gap_rows()
    long_name = "x" * 501
    codes_of_keypoints = [
        key.removeprefix("hindrance.") for key in load_strings("en") if "hindrance." in key
    ]
    second_tier = [
        keypoints(searched=False),
        keypoints(pictures=0),
        keypoints(pictures=1, damaged=1, not_enough_detail=1),
        keypoints(damaged=2),
        *(keypoints(searched=False, code=code) for code in codes_of_keypoints),
    ]
    by_anchored = [
        {"searched": False, "entries": 3, "items_without": 0},
        {"searched": True, "entries": 0, "items_without": 0},
        {"searched": True, "entries": 1, "items_without": 1},
    ]
    return [
        *((samples.summary(**nothing, patches=found), [], []) for found in second_tier),
        (samples.summary(matcher=asked | {"last_revision": 7}), rows, []),
        *(
            (samples.summary(**nothing, anchored=found, patches=second_tier[0]), [], [])
            for found in by_anchored
        ),
        (samples.summary(**nothing, anchored=by_anchored[0], radius_bits=9), [], []),
        (samples.summary(matches=1), [replace(samples.by_keypoints(1), inliers=1)], []),
        (samples.summary(banks=banks, gaps=two, sources=sources, vetoed_items=2), rows, broken),
        (samples.summary(**one, scanned_items=1, radius_bits=1), [samples.match()], broken[:1]),
        (samples.summary(**nothing, throughput=[[0, 0], [60, 100]], items=1), [], []),
        (samples.summary(**nothing, throughput=[[0, 0], [20_000, 9]], mode="exact"), [], []),
        (samples.summary(**nothing, banks=banks[:2], throughput=[], radius_bits=20), [], broken),
        (samples.summary(**nothing, banks=banks, resumed=True, scanned_items=9), [], []),
        *((samples.summary(**nothing, sources=[], **one), [], []) for one in in_vain(banks)),
        (
            samples.summary(
                **nothing, banks=[], not_compared="no-bank", items=1, resumed=True, scanned_items=0
            ),
            [],
            [],
        ),
        *(
            (samples.summary(**nothing, banks_disabled=["a", "b"][:count]), [], [])
            for count in (1, 2)
        ),
        *((samples.summary(**nothing, gaps=two[:count]), [], []) for count in (0, 6)),
        *(
            (samples.summary(**nothing, matcher=asked | {"last_revision": last}), [], [])
            for last in (7, 8)
        ),
        (samples.summary(**nothing, items=0, gaps=one_gap + one_gap, not_matchable=0), [], []),
        (samples.summary(**nothing, items=0, gaps=one_gap, not_matchable=0), [], []),
        (
            samples.summary(matches=14, banks=banks[:2]),
            [samples.match(long_name, offset=2)] * 12,
            broken[:37],
        ),
        (samples.summary(matches=2, gaps=one_gap), [samples.match(long_name)], broken * 6),
        (samples.summary(matches=2), [samples.match(long_name + "x")], []),
        *(
            (
                samples.summary(sources=[{"name": "a", "kind": kind, "shards": 1, "items": 1}]),
                [
                    *(samples.match(str(n), trust="confirmed") for n in range(confirmed)),
                    *(samples.match(f"u{n}") for n in range(unverified)),
                ],
                [],
            )
            for kind, confirmed, unverified in (("metadata", 1, 1), ("folder", 2, 0), ("tar", 0, 2))
        ),
    ]


def changes() -> list[tuple[dict[str, Any], Earlier]]:
    """Second audits, and the first ones, that make the page say all it can of both."""
    other_banks = [{"name": "other", "radius_bits": 31, "entries": 1}]
    left = [key.removeprefix("left.") for key in load_strings("en") if key.startswith("left.")]
    alike = samples.after()
    return [
        (alike, replace(samples.earlier(), purge=None)),
        (alike, samples.earlier(items=1, with_them=1, verified=False, left=Counter(left))),
        (alike, samples.earlier(mode="in-place", with_them=0, by_part=True)),
        (alike, samples.earlier(mode="manifest", trusts=("confirmed", "unverified"))),
        (alike, samples.earlier(mode="by hand")),
        (samples.after(banks=other_banks, mode="exact", store_id="another"), samples.earlier()),
    ]


def in_vain(banks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes to an audit that compared nothing with any entry, for one item and for two."""
    reasons: list[dict[str, Any]] = [
        {"not_compared": "no-bank", "banks": []},
        {"not_compared": "bank-disabled", "banks": [], "banks_disabled": ["a"]},
        {"not_compared": "bank-empty", "banks": banks[:1]},
        {"not_compared": "no-picture", "banks": banks[:1]},
    ]
    return [{**reason, "items": items} for reason in reasons for items in (1, 2)]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_string_is_missing_or_unused(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said: set[str] = set()

    class Listening(Wording):
        def text(self, key: str, /, **fields: object) -> str:
            said.add(key)
            return super().text(key, **fields)

    monkeypatch.setattr(report, "report_wording", lambda lang: Listening(lang, load_strings(lang)))
    for summary, matches, gaps in audits():
        report.render_report(
            summary, matches, gaps, lang=lang, generated=datetime(2026, 1, 1, tzinfo=UTC)
        )
    for summary, earlier in changes():
        report.render_report(
            summary, [], [], lang=lang, generated=samples.GENERATED, earlier=earlier
        )
    of_the_page = {key for key in load_strings(lang) if not key.startswith("proof.")}
    assert of_the_page - said == set()


def test_french_marks_are_never_parted_from_their_word() -> None:
    for summary, matches, gaps in audits():
        page = report.render_report(summary, matches, gaps, lang="fr", generated=samples.GENERATED)
        text = re.sub(r"<style>.*?</style>|<[^>]+>|&#?\w+;", "", page, flags=re.DOTALL)
        assert not re.search(r" [:;?!»]|« ", text)
        assert "\u00a0:" in text


def test_french_strings_use_the_typographic_apostrophe() -> None:
    assert not [key for key, text in load_strings("fr").items() if "'" in text]


def test_an_unknown_language_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"'de'.*en or fr"):
        report_wording("de")


def test_zero_is_plural_in_english_and_singular_in_french() -> None:
    assert ENGLISH.plural("matches.bits", 0) == "0 bits"
    assert FRENCH.plural("matches.bits", 0) == "0 bit"
    assert ENGLISH.plural("matches.bits", 1) == "1 bit"
    assert FRENCH.plural("matches.bits", 2) == "2 bits"


def test_everything_that_may_not_hold_in_a_proof_has_words_and_english_ones_are_the_errors() -> (
    None
):
    table = "proof.problems."
    english = load_strings("en")
    kinds = subclasses(Mismatch) | subclasses(AttestationUnreadable)
    said = {f"{table}{kind.code}": (kind.__doc__ or "").strip() for kind in kinds}
    assert {key: text for key, text in english.items() if key.startswith(table)} == said
    proof = Path(proof_package.__file__).parent
    source = "".join(path.read_text("utf-8") for path in proof.glob("*.py"))
    for key in (key.removeprefix("proof.reasons.") for key in english if "proof.reasons." in key):
        assert f'"{key}"' in source, key  # nothing is left behind
    asked = re.findall(r'(?:Reason|NotStrict)\(\s*"([^"]+)"', source)
    asked += re.findall(r'yield "([a-z-]+)"', source)
    assert [key for key in asked if f"proof.reasons.{key}" not in english] == []
