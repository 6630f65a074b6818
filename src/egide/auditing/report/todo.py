"""What to do after an audit, step by step, with the commands to type.

The steps follow from what was found: matches that may be taken out, matches that wait for a person,
gaps, or nothing. All text passes through the catalogue; names pass through the template.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from egide.auditing.rows import BY_PART
from egide.domain.model import Trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.auditing.rows import MatchRow
    from egide.text.wording import Wording

PART = "by-part"
"""Why an item stays although its entry is confirmed."""
_LISTS = frozenset({"hashlist", "metadata"})
"""Kinds of sources that hold no pictures."""
_SHOWN_GAPS = 5
_SIGN = "--key signing.key --out proof.json"


@dataclass(slots=True)
class Fates:
    """What may become of the items that matched, counted as their matches go by.

    Attributes:
        leaving: items that match a confirmed entry otherwise than by a part alone.
        staying: all others, by the trust of their entry, or `by-part`.
    """

    leaving: int = 0
    staying: Counter[str] = field(default_factory=Counter)
    _item: tuple[Any, ...] | None = None
    _reasons: list[str] = field(default_factory=list)

    def add(self, row: MatchRow) -> None:
        """Count a match; those of one item stand side by side."""
        item = (row.shard, row.item, row.key, row.offset)
        if item != self._item:
            self.finish()
            self._item = item
        confirmed = row.trust == Trust.CONFIRMED
        by_part = row.way in BY_PART
        self._reasons.append((PART if by_part else "") if confirmed else row.trust)

    def finish(self) -> None:
        """Count the last item."""
        if "" in self._reasons:
            self.leaving += 1
        elif self._reasons:
            self.staying[self._reasons[0]] += 1
        self._reasons.clear()


class Line(NamedTuple):
    """One of several things that a step is about: what, how many, and what follows from it."""

    name: str
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do.

    Attributes:
        name: of its strings, and its anchor.
        text: what it is about.
        said: a sentence to be cited.
        lines: what it consists of, if of several things.
        then: what comes before the commands.
        commands: to type, one after the other.
        notes: what has to be known besides.
    """

    name: str
    text: str
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    said: str = ""
    lines: tuple[Line, ...] = ()
    then: str = ""


def steps(
    summary: Mapping[str, Any],
    fates: Fates,
    wording: Wording,
    *,
    sentence: str,
    folder: str,
    before: str | None,
) -> tuple[Step, ...]:
    """The steps that follow from an audit, in their order.

    Args:
        summary: the fields of `summary.json`.
        fates: of the items that matched.
        wording: the language.
        sentence: the result.
        folder: of the audit, as it was named.
        before: of the audit before a purge, if this is the one after it.
    """
    of, at = shlex.quote(folder), _at_register(summary)
    found = []
    if fates.leaving:
        found.append(_take_out(summary, fates, wording, of, before))
    if fates.staying:
        found.append(_review(fates, wording, elsewhere=bool(at)))
    if summary["gaps"]:
        found.append(_gaps(summary, wording, of, at))
    if not summary["matches"]:
        found.append(_said(summary, wording, sentence))
    if not summary["not_compared"]:
        found.append(_prove(fates, wording, folder, before, at))
    found.append(Step("again", wording.text("todo.again"), (f"egide audit --again {of}{at}",)))
    return tuple(found)


def _at_register(summary: Mapping[str, Any]) -> str:
    """What an audit at a register elsewhere is told besides."""
    matcher = summary.get("matcher")
    if matcher is None:
        return ""
    return f" --matcher {shlex.quote(matcher['address'])} --matcher-key register.key"


def _take_out(
    summary: Mapping[str, Any], fates: Fates, wording: Wording, of: str, before: str | None
) -> Step:
    kinds = {source["kind"] for source in summary["sources"]}
    elsewhere = bool(_at_register(summary))
    purge = f"egide purge {of}{' --without-store' if elsewhere else ''}"
    commands: list[str] = []
    notes: list[str] = []
    if not kinds or kinds - _LISTS:
        copy = _copy(before)
        commands += [f"{purge} --to {copy}", f"{purge} --to {copy} --yes"]
        notes.append(wording.text("todo.out_how"))
    if kinds & _LISTS:
        commands.append(f"{purge} --manifest drop.jsonl")
        notes.append(wording.text("todo.out_list"))
    notes.append(wording.text("todo.out_elsewhere" if elsewhere else "todo.out_store"))
    return Step("out", wording.plural("todo.out", fates.leaving), tuple(commands), tuple(notes))


def _review(fates: Fates, wording: Wording, *, elsewhere: bool) -> Step:
    order = [Trust.UNVERIFIED.value, Trust.DISPUTED.value, PART]
    lines = tuple(
        Line(
            wording.text(f"todo.{name}"),
            fates.staying[name],
            wording.text(f"todo.{name}_who"),
        )
        for name in order
        if fates.staying[name]
    )
    commands = ["egide bank confirm BANK ENTRY", "egide bank dispute BANK ENTRY"]
    text = "todo.review_more" if fates.leaving else "todo.review"
    by_keeper = fates.staying.total() > fates.staying[PART]
    return Step(
        "review",
        wording.plural(text, fates.staying.total()),
        tuple(commands) if by_keeper and not elsewhere else (),
        (wording.text("todo.review_then"), wording.text("meaning.minors")),
        lines=lines,
    )


def _gaps(summary: Mapping[str, Any], wording: Wording, of: str, at: str) -> Step:
    def remedy(code: str) -> str:
        known = wording.has(f"remedies.{code}")
        return wording.text(f"remedies.{code}" if known else "remedies.unknown")

    lines = tuple(
        Line(
            wording.text(
                f"codes.{gap['code']}" if wording.has(f"codes.{gap['code']}") else "codes.unknown"
            ),
            gap["count"],
            remedy(gap["code"]),
        )
        for gap in summary["gaps"][:_SHOWN_GAPS]
    )
    kinds = dict.fromkeys(gap["kind"] for gap in summary["gaps"])
    accepted = " ".join(f"--accept {shlex.quote(kind)}" for kind in kinds)
    notes = [wording.text("todo.gaps_accept")]
    left = len(summary["gaps"]) - len(lines)
    if left:
        notes.append(wording.plural("todo.gaps_more", left))
    again = f"egide audit --again {of}{at}"
    return Step(
        "gaps",
        wording.text("todo.gaps"),
        (again, f"{again} {accepted}"),
        tuple(notes),
        lines=lines,
        then=wording.text("todo.gaps_then"),
    )


def _said(summary: Mapping[str, Any], wording: Wording, sentence: str) -> Step:
    if summary["not_compared"] or not summary["items"]:
        return Step("said", wording.text("todo.said_nothing"))
    notes = (wording.text("todo.said_not"), wording.text("todo.said_with"))
    return Step("said", wording.text("todo.said"), (), notes, said=sentence)


def _prove(fates: Fates, wording: Wording, folder: str, before: str | None, at: str) -> Step:
    of = shlex.quote(folder)
    report = shlex.quote(f"{folder.rstrip('/')}/report.html")
    if fates.leaving:
        after = _after(before)
        report = f"{after}report.html"
        text = wording.text("todo.prove_after")
        commands = [
            f"egide audit {_copy(before)} --out {after}{at}",
            f"egide report {after} --before {of}",
            f"egide attest {of} {after} {_SIGN}",
        ]
    elif before is not None:
        text = wording.text("todo.prove_both")
        commands = [f"egide attest {shlex.quote(before)} {of} {_SIGN}"]
    else:
        text = wording.text("todo.prove")
        commands = [f"egide attest {of} {_SIGN}"]
    commands.append(f"egide verify proof.json --key signing.pub --report {report}")
    return Step("prove", text, tuple(commands), (wording.text("todo.prove_key"),))


def _copy(before: str | None) -> str:
    return "purged/" if before is None else "purged-again/"


def _after(before: str | None) -> str:
    return "after/" if before is None else "after-again/"
