"""Turn an audit's figures and rows into the values that the report's template shows.

Every text from the dataset or the store passes through `visible_name`, here or in the template. The
template escapes the rest.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from egide.auditing.report.before import Change, change
from egide.auditing.report.charts import Histogram, Throughput, histogram, throughput
from egide.auditing.report.sentence import head_sentence
from egide.auditing.report.todo import Fates, Step, steps
from egide.auditing.report.where import where
from egide.auditing.rows import WAYS
from egide.domain.model import DEFAULT_RADIUS_BITS, MAX_REGIONS, Trust
from egide.text.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from egide.auditing.report.before import Earlier
    from egide.auditing.report.where import Where
    from egide.auditing.rows import GapRow, MatchRow
    from egide.text.wording import Wording

MAX_MATCH_ROWS = 1000
MAX_GAP_ROWS = 200
MAX_SUFFIXES = 10
MAX_COLUMNS = 20


class Figure(NamedTuple):
    """One of the key figures."""

    name: str
    value: str
    note: str


class MatchLine(NamedTuple):
    """A match, and the part of the item that matched, if not all of it."""

    row: MatchRow
    where: Where | None


class BankLine(NamedTuple):
    """A bank that was compared; `radius_bits` is the radius that was used."""

    name: str
    radius_bits: int
    entries: int
    matches: int


@dataclass(frozen=True, slots=True)
class Page:
    """All values that the template shows, besides the strings.

    Attributes:
        match_lines, gap_rows: the first ones; `matches_left` counts the others.
        gaps_cut: whether there are more gaps than the page lists.
        ways: the number of matches found in each way, the most certain way first.
        anchored: whether parts of pictures were searched by anchored hashes, in words.
        keypoints: whether edited copies were searched by keypoints, in words.
        trusts: matches by trust, in the order confirmed, unverified, disputed.
        others: how many files were skipped as not being pictures, and their suffixes.
        columns: of tables: compared (`taken`), nothing to compare (`empty`), not read (`left`).
        values: the histogram in words.
        steps: what to do now.
        change: what became of an earlier audit; None if none was named.
    """

    summary: Mapping[str, Any]
    generated: datetime
    sentence: str
    figures: tuple[Figure, ...]
    banks: tuple[BankLine, ...]
    match_lines: tuple[MatchLine, ...]
    matches_left: int
    ways: tuple[tuple[str, int], ...]
    anchored: str
    keypoints: str
    trusts: tuple[tuple[str, int], ...]
    gap_rows: tuple[GapRow, ...]
    gaps_cut: bool
    others: tuple[int, str]
    columns: tuple[tuple[str, str], ...]
    distances: Histogram | None
    values: str
    speed: Throughput | None
    steps: tuple[Step, ...]
    change: Change | None
    max_regions: int = MAX_REGIONS


def build_page(
    summary: Mapping[str, Any],
    matches: Iterable[MatchRow],
    gaps: Iterable[GapRow],
    wording: Wording,
    generated: datetime,
    *,
    folder: str,
    earlier: Earlier | None,
) -> Page:
    """Build the page's values; matches are counted in one pass and only the first are kept.

    Args:
        summary: the fields of `summary.json`.
        matches: all matches, in the order of the dataset.
        gaps: what was not compared, in the order of the dataset; only the first are read.
        wording: the language of the page.
        generated: when the page is written, timezone-aware.
        folder: of the audit, as it was named.
        earlier: the audit of the dataset before, if this one is to be set beside it.
    """
    fates = Fates()
    match_lines: list[MatchLine] = []
    counts: Counter[tuple[str, str]] = Counter()
    for row in matches:
        counts[row.bank, row.trust] += 1
        fates.add(row)
        if len(match_lines) < MAX_MATCH_ROWS:
            match_lines.append(MatchLine(row, where(row)))
    fates.finish()
    gap_rows = tuple(islice(gaps, MAX_GAP_ROWS + 1))

    override = summary["radius_bits"]
    banks = tuple(
        BankLine(
            name=bank["name"],
            radius_bits=bank["radius_bits"] if override is None else override,
            entries=bank["entries"],
            matches=sum(count for (name, _), count in counts.items() if name == bank["name"]),
        )
        for bank in summary["banks"]
    )
    trusts: Counter[str] = Counter()
    for (_, trust), count in counts.items():
        trusts[trust] += count
    order = [Trust.CONFIRMED, Trust.UNVERIFIED, Trust.DISPUTED]
    distances = histogram(
        {int(distance): count for distance, count in summary["distances"].items()},
        max((bank.radius_bits for bank in banks), default=DEFAULT_RADIUS_BITS),
    )
    sentence = head_sentence(summary, wording)
    return Page(
        summary=summary,
        generated=generated,
        sentence=sentence,
        figures=_figures(summary, wording),
        banks=banks,
        match_lines=tuple(match_lines),
        matches_left=summary["matches"] - len(match_lines),
        ways=tuple((way, summary["ways"][way]) for way in WAYS if summary["ways"].get(way)),
        anchored=_anchored(summary, wording),
        keypoints=_keypoints(summary["patches"], wording),
        trusts=tuple((trust.value, trusts[trust]) for trust in order),
        gap_rows=gap_rows[:MAX_GAP_ROWS],
        gaps_cut=len(gap_rows) > MAX_GAP_ROWS,
        others=_others(summary["others"], wording),
        columns=_columns(summary["columns"]),
        distances=distances,
        values=_values(distances, wording),
        speed=throughput(summary.get("throughput") or ()),
        steps=steps(
            summary,
            fates,
            wording,
            sentence=sentence,
            folder=folder,
            before=None if earlier is None else earlier.folder,
        ),
        change=None if earlier is None else change(earlier, summary, wording),
    )


def _anchored(summary: Mapping[str, Any], wording: Wording) -> str:
    """Whether parts of pictures were searched by anchored hashes, and what limited the search."""
    anchored = summary["anchored"]
    if not anchored["searched"]:
        return wording.text(
            "anchored.not_asked" if summary["radius_bits"] is None else "anchored.radius"
        )
    if not anchored["entries"]:
        return wording.text("anchored.none")
    counted = {"searched": anchored["entries"], "items_without": anchored["items_without"]}
    return " ".join(
        wording.plural(f"anchored.{name}", count) for name, count in counted.items() if count
    )


def _keypoints(keypoints: Mapping[str, Any], wording: Wording) -> str:
    """Whether edited copies were searched by keypoints, and what limited the search."""
    if keypoints["code"]:
        key = f"hindrance.{keypoints['code']}"
        reason = wording.text(key if wording.has(key) else "hindrance.unknown")
        return wording.text("patches.hindered", reason=reason)
    if not keypoints["searched"]:
        return wording.text("patches.not_asked")
    if not keypoints["pictures"]:
        return wording.text("patches.none")
    counted = {"searched": keypoints["pictures"]}
    counted |= {limit: keypoints[limit] for limit in ("damaged", "not_enough_detail")}
    return " ".join(
        wording.plural(f"patches.{name}", count) for name, count in counted.items() if count
    )


def _figures(summary: Mapping[str, Any], wording: Wording) -> tuple[Figure, ...]:
    notes = {
        "items": wording.text("figures.items_note"),
        "hashed": wording.text(
            "figures.hashed_in_vain_note" if summary["not_compared"] else "figures.hashed_note"
        ),
        "matched": wording.plural("figures.matched_note", summary["matches"]),
        "unreadable": wording.text("figures.unreadable_note"),
        "not_matchable": wording.text("figures.not_matchable_note"),
    }
    fields = {name: name for name in notes} | {"matched": "matched_items"}
    return tuple(
        Figure(wording.text(f"figures.{name}"), wording.number(summary[fields[name]]), note)
        for name, note in notes.items()
    )


def _values(distances: Histogram | None, wording: Wording) -> str:
    if distances is None:
        return ""
    return wording.text("page.separator").join(
        wording.text("distances.value", distance=bar.distance, count=wording.number(bar.count))
        for bar in distances.bars
    )


def _others(counts: Mapping[str, int], wording: Wording) -> tuple[int, str]:
    suffixes = [
        wording.text(
            "scanned.suffix",
            suffix=visible_name(suffix) if suffix else wording.text("scanned.no_suffix"),
            count=wording.number(count),
        )
        for suffix, count in _by_count(counts)[:MAX_SUFFIXES]
    ]
    more = "…" if len(counts) > MAX_SUFFIXES else ""
    return sum(counts.values()), ", ".join(suffixes) + more


def _columns(columns: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    named = ((kind, list(columns[kind])) for kind in ("taken", "empty", "left"))
    return tuple(
        (kind, ", ".join(paths[:MAX_COLUMNS]) + "…" * (len(paths) > MAX_COLUMNS))
        for kind, paths in named
        if paths
    )


def _by_count(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
