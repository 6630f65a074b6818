"""Which matches go: by the trust of their entry now, and by the way they were found."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from egide.auditing.purge.plan import Doomed
from egide.auditing.rows import BY_PART
from egide.domain.model import State, Trust
from egide.errors import BankMissing, EntryMissing, PurgeOtherStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from egide.auditing.rows import MatchRow
    from egide.store import Store

POLICY = frozenset({"withdrawn", "expired", "tombstoned", "entry-missing", "bank-disabled"})
"""Reasons of the register: what they name is no match any more, and so nothing was left out."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go.

    Attributes:
        include_review: also what only a person can decide on: entries that are not confirmed, and
            matches by a part of a picture.
    """

    include_review: bool = False

    @property
    def trusts(self) -> tuple[Trust, ...]:
        """The trusts of entries whose matches go."""
        review = (Trust.UNVERIFIED, Trust.DISPUTED)
        return (Trust.CONFIRMED, *review) if self.include_review else (Trust.CONFIRMED,)


@dataclass(slots=True)
class Chosen:
    """The items of an audit that go, and those that matched and stay.

    Attributes:
        doomed: by the name of the shard.
        left: items that stay, by the first reason.
    """

    doomed: dict[str, set[Doomed]] = field(default_factory=lambda: defaultdict(set))
    left: Counter[str] = field(default_factory=Counter)


def choose(
    matches: Iterable[MatchRow], rules: Rules, standing: Callable[[str, int, str], str]
) -> Chosen:
    """Choose the items that go. One reason is enough: an item may match several entries.

    Args:
        matches: of the audit, without those that are vetoed.
        rules: which go.
        standing: of an entry, by bank, number and its trust in the audit: its trust now, or the
            reason why it counts no more.
    """
    chosen = Chosen()
    kept: dict[tuple[str, Doomed], str] = {}
    for match in matches:
        one = Doomed(match.item, match.key, match.offset, match.sha256)
        now = standing(match.bank, match.entry, match.trust)
        if now in POLICY or now not in rules.trusts:
            reason = now
        elif match.way in BY_PART and not rules.include_review:
            reason = "by-part"
        else:
            chosen.doomed[match.shard].add(one)
            continue
        before = kept.get((match.shard, one))
        if before is None or before in POLICY:
            kept[match.shard, one] = reason
    chosen.left.update(
        reason for (shard, one), reason in kept.items() if one not in chosen.doomed.get(shard, ())
    )
    return chosen


def of_audit(_bank: str, _entry: int, trust: str) -> str:
    """The standing of an entry as the audit knew it."""
    return trust


class Register:
    """The standing of entries in a store now.

    Raises:
        PurgeOtherStore: the audit was made with another.
    """

    def __init__(self, store: Store, store_id: str, folder: object) -> None:
        if store.id != store_id:
            raise PurgeOtherStore(name=folder)
        self._store = store
        self._enabled = {bank.name: bank.enabled for bank in store.banks.list()}
        self._known: dict[tuple[str, int], str] = {}
        self._now = datetime.now(UTC)

    def __call__(self, bank: str, entry: int, _trust: str) -> str:
        """Return the entry's trust, or why it counts no more."""
        known = self._known.get((bank, entry))
        if known is None:
            known = self._known[bank, entry] = self._look_up(bank, entry)
        return known

    def _look_up(self, bank: str, number: int) -> str:
        if not self._enabled.get(bank, True):
            return "bank-disabled"
        try:
            entry = self._store.entries.get(bank, number)
        except (BankMissing, EntryMissing):
            return "entry-missing"
        if entry.state is not State.ACTIVE:
            return entry.state.value
        if entry.expires is not None and entry.expires <= self._now:
            return State.EXPIRED.value
        return entry.trust.value
