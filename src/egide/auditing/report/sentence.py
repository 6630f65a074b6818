"""The result of an audit in one sentence: what matched, what was compared, and what was not.

The terminal, `summary.json` and the report say the same sentence; the report also in French.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from egide.domain.coverage import GapKind
from egide.text.visible import visible_name
from egide.text.wording import Wording, load_catalogue, require_language

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAMED_BANKS = 4
"""With more banks, the sentence only counts them; a table names them all."""
_NO_ENTRY = {"no-bank": "no_banks", "bank-disabled": "disabled", "bank-empty": "no_entries"}
"""Why no entry could be compared, and the string that says so."""
_NAMED_KINDS = {GapKind.SOURCE.value, GapKind.LISTING.value}
"""Whole parts of a dataset: one of these is named in the sentence."""


@cache  # parsing the catalogue takes most of the time of a sentence
def report_wording(lang: str) -> Wording:
    """The strings and formats of the report in a language.

    Raises:
        UsageError: the report is not written in `lang`.
    """
    require_language(lang)
    return Wording(lang, load_strings(lang))


def load_strings(lang: str) -> dict[str, str]:
    """All strings of a language by dotted key, ready for the page."""
    assets = files("egide.auditing.report").joinpath("assets")
    return load_catalogue([assets / f"{lang}.toml", assets / f"proof.{lang}.toml"], lang)


def head_sentence(summary: Mapping[str, Any], wording: Wording | None = None) -> str:
    """The result in one sentence, in English unless told otherwise.

    Args:
        summary: the fields of `summary.json`.
        wording: the language.
    """
    wording = wording or report_wording("en")
    parts = [_result(summary, wording)]
    if summary["banks_disabled"] and summary["banks"]:
        left_out = [str(visible_name(name)) for name in summary["banks_disabled"]]
        parts.append(
            wording.plural("result.left_out", len(left_out), banks=wording.listed(left_out))
        )
    if summary["not_matchable"]:
        parts.append(wording.plural("result.not_matchable", summary["not_matchable"]))
    if summary["vetoed_items"]:
        parts.append(wording.plural("result.vetoed", summary["vetoed_items"]))
    if summary["patches"]["code"]:
        parts.append(wording.text("result.not_thorough"))
    if matcher := summary.get("matcher"):
        parts.append(_matcher(matcher, wording))
    sentence = parts[0]
    for rest in parts[1:]:
        sentence = wording.text("result.join", sentence=sentence, rest=rest)
    return wording.text("result.end", sentence=sentence)


def _result(summary: Mapping[str, Any], wording: Wording) -> str:
    """What was compared and matched, and what was not compared."""
    revision = wording.number(summary["store_revision"])
    items, reason = summary["items"], summary["not_compared"]
    if reason in _NO_ENTRY:
        names = _names(summary) or [str(visible_name(name)) for name in summary["banks_disabled"]]
        key = f"result.{_NO_ENTRY[reason] if names else 'no_banks'}"
        found = wording.plural(key, items, banks=wording.listed(names), revision=revision)
    elif reason or not items:
        said = {"banks": _banks(summary, "unmatched", wording), "revision": revision}
        found = (
            wording.plural("result.none_read", items, **said)
            if items
            else wording.text("result.no_items", **said)
        )
    elif summary["matched_items"]:
        found = wording.plural(
            "result.matched",
            summary["matched_items"],
            items=wording.number(items),
            banks=_banks(summary, "matched", wording),
            revision=revision,
        )
    else:
        found = wording.plural(
            "result.unmatched",
            items,
            banks=_banks(summary, "unmatched", wording),
            revision=revision,
        )
    gaps, plural = _gaps(summary, wording)
    number = 2 if plural else 1
    if reason or not items:
        besides = [gap for kind, gap in gaps if kind != GapKind.ITEM or reason in _NO_ENTRY]
        if not besides:
            return found
        rest = wording.plural("result.not_looked_at", number, gaps=wording.listed(besides))
        return wording.text("result.join", sentence=found, rest=rest)
    if not gaps:
        return wording.text("result.join", sentence=found, rest=wording.text("result.all"))
    compared = wording.plural("result.compared", summary["hashed"])
    missing = wording.plural(
        "result.not_compared", number, gaps=wording.listed([gap for _, gap in gaps])
    )
    halves = wording.text("result.join", sentence=compared, rest=missing)
    return wording.text("result.with_gaps", sentence=found, halves=halves)


def _matcher(matcher: Mapping[str, Any], wording: Wording) -> str:
    """Which register elsewhere compared, and which revisions it went through meanwhile."""
    first, last = matcher["first_revision"], matcher["last_revision"]
    return wording.text(
        "result.matcher" if first == last else "result.matcher_moved",
        address=str(visible_name(matcher["address"])),
        first=wording.number(first),
        last=wording.number(last),
    )


def _gaps(summary: Mapping[str, Any], wording: Wording) -> tuple[list[tuple[str, str]], bool]:
    """What was not compared, in each kind's own unit; and whether it takes a plural."""
    said = []
    for kind in GapKind:
        gaps = [gap for gap in summary["gaps"] if gap["kind"] == kind]
        count = sum(gap["count"] for gap in gaps)
        if count:
            text = wording.plural(f"gap.{kind.value}", count)
            if count == 1 and kind.value in _NAMED_KINDS and gaps[0]["name"]:
                name = str(visible_name(gaps[0]["name"]))
                text = wording.text("result.named", text=text, name=name)
            said.append((kind.value, text))
    return said, len(said) > 1 or sum(gap["count"] for gap in summary["gaps"]) > 1


def _names(summary: Mapping[str, Any]) -> list[str]:
    return [str(visible_name(bank["name"])) for bank in summary["banks"]]


def _banks(summary: Mapping[str, Any], form: str, wording: Wording) -> str:
    names = _names(summary)
    if len(names) > MAX_NAMED_BANKS:
        return wording.text(f"banks.{form}_many", count=wording.number(len(names)))
    return wording.plural(f"banks.{form}", len(names), banks=wording.listed(names))
