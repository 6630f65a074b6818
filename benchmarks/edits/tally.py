"""Counts of what was found and of what was taken for another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What one method did.

    Attributes:
        copies: by edit, queries that show a registered picture.
        found: by edit, how many of these matched it.
        pairs: comparisons of a query with a registered picture that it does not show.
        false_pairs: how many of these matched.
        queries: all, with or without a copy.
        false_queries: those that matched anything that they do not show.
        wrong: the first such matches, as edit, query's key, registered picture's key.
    """

    copies: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    pairs: int = 0
    false_pairs: int = 0
    queries: int = 0
    false_queries: int = 0
    wrong: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one query."""
        self.queries += 1
        self.pairs += outcome.pairs
        self.false_pairs += len(outcome.wrong)
        self.false_queries += bool(outcome.wrong)
        self.wrong += [(outcome.edit, outcome.key, other) for other in outcome.wrong]
        if outcome.found is not None:
            self.copies[outcome.edit] = self.copies.get(outcome.edit, 0) + 1
            self.found[outcome.edit] = self.found.get(outcome.edit, 0) + outcome.found

    def recall(self, edits: Iterable[str] | None = None) -> float:
        """Share of the copies that were found, over some edits or over all."""
        names = list(self.copies if edits is None else edits)
        copies = sum(self.copies.get(name, 0) for name in names)
        return sum(self.found.get(name, 0) for name in names) / max(1, copies)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one method said of one query.

    Attributes:
        method: its name.
        edit: how the query was made.
        key: which picture it shows.
        found: whether that picture, which is registered, matched; None where it is not registered.
        wrong: keys of the pictures that matched although the query does not show them.
        pairs: how many such pictures it was compared with.
    """

    method: str
    edit: str
    key: str
    found: bool | None
    wrong: tuple[str, ...]
    pairs: int


def tallies(outcomes: Iterable[Outcome]) -> dict[str, Tally]:
    """Count by method."""
    counted: dict[str, Tally] = {}
    for outcome in outcomes:
        counted.setdefault(outcome.method, Tally()).add(outcome)
    return counted
