"""What a purge did, or would do: for people, and as `purge.json` for what comes after."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egide._version import __version__
from egide.auditing.purge.chosen import POLICY
from egide.auditing.summary import PURGE_SCHEMA
from egide.errors import ContainerNotVerified

if TYPE_CHECKING:
    from egide.auditing.purge.plan import Outcome


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """What came of a purge, or would.

    Attributes:
        mode: `copy`, `in-place` or `manifest`.
        dry: nothing was done: this is what would be.
        trusts: of the entries whose matches go.
        by_part: whether matches by a part of a picture alone go too.
        outcomes: of each container, in the order of the audit.
        left: items and files that stay, by the reason.
        neutral: rows of a manifest that match nothing.
        place: of the copy, the quarantine or the manifest.
    """

    mode: str
    dry: bool
    trusts: tuple[str, ...]
    by_part: bool
    audit: dict[str, Any]
    outcomes: tuple[Outcome, ...]
    left: Counter[str]
    started_at: str
    finished_at: str
    place: str
    neutral: int = 0

    @property
    def removed_items(self) -> int:
        """Items that went."""
        return sum(outcome.items_removed for outcome in self.outcomes)

    @property
    def with_them(self) -> Counter[str]:
        """What went besides, by what it is."""
        total: Counter[str] = Counter()
        for outcome in self.outcomes:
            total.update(outcome.with_them)
        return +total

    @property
    def left_out(self) -> int:
        """How much stays that should go, or that is not known; not what is no match any more."""
        return sum(count for reason, count in self.left.items() if reason not in POLICY)

    @property
    def verified(self) -> bool:
        """Whether all that was written was read back and found right."""
        codes = {code for outcome in self.outcomes for code, _ in outcome.said}
        return ContainerNotVerified.code not in codes

    def to_json(self) -> dict[str, Any]:
        """Return the content of `purge.json`. It names no item."""
        return {
            "schema_version": PURGE_SCHEMA,
            "egide_version": __version__,
            "audit": self.audit,
            "mode": self.mode,
            "trusts": list(self.trusts),
            "by_part": self.by_part,
            "removed_items": self.removed_items,
            "removed_with_them": self.with_them.total(),
            "left_items": dict(sorted(self.left.items())),
            "containers": [
                {
                    "name": outcome.name,
                    "kind": outcome.kind,
                    "items_before": outcome.items_before,
                    "items_removed": outcome.items_removed,
                    "sha256_before": outcome.sha256_before,
                    "sha256_after": outcome.sha256_after,
                }
                for outcome in self.outcomes
            ],
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "verified": self.verified,
        }
