"""A partner's register for tests: another store, asked without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from egide.domain.model import FeedbackKind, State
from egide.domain.partners import RemoteChanges, RemoteEntry, RemoteFeedback
from egide.partners.client import RegisterClient
from egide.store.changing import ChangingStore as Store


class Partner:
    """Answers like API v1 of the register of `store`.

    Attributes:
        asked: the positions that changes were asked from, and whether for ended ones only.
        before: called before each answer; it may raise, or change the store.
    """

    def __init__(self, store: Store, name: str = "partner") -> None:
        self.store = store
        self.name = name
        self.asked: list[tuple[int, int | None, bool]] = []
        self.before: Callable[[Partner], None] = lambda _: None

    @property
    def client(self) -> RegisterClient:
        return cast(RegisterClient, self)

    def changes(
        self,
        since: int,
        after: int | None = None,
        limit: int = 1000,
        bank: str | None = None,
        only_ended: bool = False,
    ) -> RemoteChanges:
        self.asked.append((since, after, only_ended))
        self.before(self)
        banks = None if bank is None else [bank]
        page = self.store.feed.page(
            since, after=after, limit=limit, banks=banks, ended_only=only_ended
        )
        return RemoteChanges(
            entries=tuple(
                RemoteEntry(
                    id=entry.id,
                    bank=entry.bank,
                    revision=entry.revision,
                    state=entry.state,
                    trust=entry.trust,
                    pdqs=entry.pdqs if entry.state is State.ACTIVE else (),
                    sha256=entry.sha256 if entry.state is State.ACTIVE else None,
                    md5=entry.md5 if entry.state is State.ACTIVE else None,
                    quality=entry.quality,
                    added=entry.added,
                    changed=entry.changed,
                    expires=entry.expires,
                )
                for entry in page.entries
            ),
            next_since=page.next.since,
            next_after=page.next.after,
            revision=page.revision,
            store_id=self.store.id,
            more=page.more,
        )

    def send_feedback(self, feedback: Sequence[RemoteFeedback]) -> None:
        self.before(self)
        for said in feedback:
            self.store.feedback.add_all(
                said.bank, [(said.entry, FeedbackKind(said.kind), said.at)], partner=self.name
            )
