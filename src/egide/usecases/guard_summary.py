"""What came of the samples of a guarded stream: both halves, what passed and what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.coverage import Gap
    from egide.usecases.check import Answer
    from egide.usecases.samples import Looked

_MAX_NAMED_BANKS = 4


@dataclass(frozen=True, slots=True)
class GuardSummary:
    """What came of the samples that were handed over or left out until now. Can be added up.

    `samples` is the sum of `passed`, `matched`, and of `unread` unless those were kept.

    Attributes:
        samples: all that were decided on; what was read ahead is not among them.
        passed: were handed over.
        matched: left out, since they match.
        unread: could not be looked at, wholly or in part, and match nothing that was; left out,
            unless `kept_unread`.
        vetoed: passed, since a negative bank vetoes all their matches.
        spared: passed, since they match only entries of other trusts than were asked for.
        not_matchable: passed with a picture of so little detail that only an identical file of it
            could match.
        gaps: what could not be looked at, by its code; each has the message of the first, and the
            count of all.
        banks: that were searched for matches, so without negative ones.
        banks_disabled: that were named, and not searched.
        revisions: the first and the last revision of the store that was searched.
        behind: code of the error for which the store could not be followed any more; else None.
    """

    samples: int = 0
    passed: int = 0
    matched: int = 0
    unread: int = 0
    vetoed: int = 0
    spared: int = 0
    not_matchable: int = 0
    gaps: tuple[Gap, ...] = ()
    banks: tuple[str, ...] = ()
    banks_disabled: tuple[str, ...] = ()
    revisions: tuple[int, int] | None = None
    behind: str | None = None
    kept_unread: bool = False

    @property
    def sentence(self) -> str:
        """Both halves in one sentence; it speaks of the banks that were searched alone."""
        if self.revisions is None:
            return "No sample was compared."
        left_out = ""
        if self.vetoed or self.spared:  # which match too, and are not among these
            left_out = f" and {'was' if self.matched == 1 else 'were'} left out"
        parts = [
            f"{self.passed:,} of {self.samples:,} sample{'s' * (self.samples != 1)} passed",
            f"{_matching(self.matched)} {self._compared}{left_out}",
            f"{self.unread:,} could not be looked at"
            + (" and passed all the same" if self.kept_unread and self.unread else ""),
        ]
        if self.vetoed:
            them = "it" if self.vetoed == 1 else "them"
            parts.append(f"{_matching(self.vetoed)} and passed, as a negative bank vetoes {them}")
        if self.spared:
            parts.append(f"{_matching(self.spared)} entries of other trusts alone, and passed")
        if self.not_matchable:
            parts.append(
                f"{self.not_matchable:,} passed with so little detail that only identical files "
                "match"
            )
        if self.banks_disabled:
            parts.append(f"not searched, as disabled: {', '.join(self.banks_disabled)}")
        if self.behind is not None:
            parts.append(f"later changes of the store are not seen ({self.behind})")
        return "; ".join(parts) + "."

    @property
    def _compared(self) -> str:
        assert self.revisions is not None
        first, last = self.revisions
        which = f"bank {' or '.join(self.banks)}"
        if len(self.banks) > _MAX_NAMED_BANKS:
            which = f"one of {len(self.banks)} banks"
        when = f"at revision {first}" if first == last else f"at revisions {first} to {last}"
        return f"{which} {when}"

    def __add__(self, other: GuardSummary) -> GuardSummary:
        """Sum up what came of different samples, say those of two workers."""
        gaps: dict[str, Gap] = {}
        for gap in (*self.gaps, *other.gaps):
            _count(gaps, gap)
        revisions = [one.revisions for one in (self, other) if one.revisions is not None]
        return GuardSummary(
            **{name: getattr(self, name) + getattr(other, name) for name in COUNTS},
            gaps=tuple(gaps.values()),
            banks=tuple(dict.fromkeys(self.banks + other.banks)),
            banks_disabled=tuple(dict.fromkeys(self.banks_disabled + other.banks_disabled)),
            revisions=_span(*chain(*revisions)) if revisions else None,
            behind=self.behind or other.behind,
            kept_unread=self.kept_unread or other.kept_unread,
        )


def _matching(count: int) -> str:
    return f"{count:,} {'matches' if count == 1 else 'match'}"


COUNTS = ("samples", "passed", "matched", "unread", "vetoed", "spared", "not_matchable")
"""The attributes that are numbers of samples."""


class Tally:
    """Counts while samples pass."""

    def __init__(self, *, keep_unread: bool) -> None:
        self._summary = GuardSummary(kept_unread=keep_unread)
        self._counts: Counter[str] = Counter()
        self._gaps: dict[str, Gap] = {}

    def searched(
        self, banks: Sequence[str], disabled: Sequence[str], revision: int, behind: str | None
    ) -> None:
        """Note what is searched from now on."""
        before = self._summary
        self._summary = replace(
            before,
            banks=tuple(banks),
            banks_disabled=tuple(disabled),
            revisions=_span(*(before.revisions or ()), revision),
            behind=behind,
        )

    def add(
        self, looked: Looked, answers: Sequence[Answer], *, against: bool, passes: bool
    ) -> None:
        """Count a sample.

        Args:
            looked: what came of its pictures.
            answers: one for each of its fingerprints.
            against: whether it is left out for what it matches.
            passes: whether it is handed over.
        """
        for gap in looked.gaps:
            _count(self._gaps, gap)
        stands = any(answer.matches for answer in answers)
        self._counts["samples"] += 1
        self._counts["passed"] += passes
        self._counts["matched"] += against
        self._counts["unread"] += bool(looked.gaps) and not against
        if passes:
            self._counts["spared"] += stands
            self._counts["vetoed"] += not stands and any(answer.vetoed for answer in answers)
            self._counts["not_matchable"] += not all(answer.matchable for answer in answers)

    def summary(self) -> GuardSummary:
        """What was counted until now."""
        counts: dict[str, Any] = {name: self._counts[name] for name in COUNTS}
        return replace(self._summary, **counts, gaps=tuple(self._gaps.values()))


def _count(gaps: dict[str, Gap], gap: Gap) -> None:
    before = gaps.get(gap.code)
    gaps[gap.code] = gap if before is None else replace(before, count=before.count + gap.count)


def _span(*revisions: int) -> tuple[int, int]:
    return min(revisions), max(revisions)
