"""Apply a page of a partner's changes to the entries here.

Each remote entry is a separate entry here, so that the same picture from two people stays two
entries. Its identity is made of the partner, its remote number and its fingerprint. Local decisions
override the partner: a tombstone, a withdrawal, and a judgement unless the partner disputes it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from egide.domain.model import OutcomeKind, Registration, State, Trust
from egide.domain.partners import Applied, Position
from egide.domain.times import unix_seconds
from egide.errors import SyncError, UpstreamChanged
from egide.hashlist.values import meaningless_in
from egide.store.entries import consent
from egide.store.entries import videos as video_rows
from egide.store.entries.registering import (
    find_known,
    identity_of,
    keep_anchored,
    register_chunk,
)
from egide.store.tables.register import entries, store_meta
from egide.store.tables.service import upstream_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Bank
    from egide.domain.partners import RemoteChanges, RemoteEntry, Upstream
    from egide.store.entries.revisions import Change


class _Link(NamedTuple):
    """A known entry: its local state, and what its upstream did to it.

    Attributes:
        trust: the last trust that the upstream set here.
        ended: whether the upstream ended it.
    """

    entry: int
    trust: Trust
    ended: bool
    state: State
    trust_here: Trust
    expires: int | None
    identity: bytes


class _Candidate(NamedTuple):
    """An active remote entry, ready to be registered here."""

    remote: RemoteEntry
    registration: Registration
    identity: bytes


def check_page(upstream: Upstream, page: RemoteChanges, *, ended: bool) -> None:
    """Check that a page continues from this upstream's position.

    Args:
        upstream: its present state.
        page: its answer.
        ended: whether ended entries were requested.

    Raises:
        UpstreamChanged: the page is from another register, or from an older state of this one, so
            that entry numbers may have another meaning.
        SyncError: the page contradicts itself.
    """
    name = upstream.name
    if upstream.remote_store_id not in {None, page.store_id}:
        raise UpstreamChanged(upstream=name)
    if page.revision < max(upstream.position.since, upstream.ended.since):
        raise UpstreamChanged(upstream=name)
    if Position(page.next_since, page.next_after) < (
        upstream.ended if ended else upstream.position
    ):
        raise SyncError(upstream=name, reason="its changes go backwards")
    if len({remote.id for remote in page.entries}) < len(page.entries):
        raise SyncError(upstream=name, reason="a page of its changes names an entry twice")
    if ended and any(remote.state is State.ACTIVE for remote in page.entries):
        raise SyncError(upstream=name, reason="it lists active entries as ended")


def apply_page(
    change: Change,
    upstream: Upstream,
    bank: Bank,
    page: RemoteChanges,
    *,
    identity_key: bytes,
) -> Applied:
    """Apply a checked page to the entries of `bank`; see `UpstreamChanges.apply`.

    Raises:
        SyncError: the upstream is this store itself, or its bank is of another kind.
        UpstreamChanged: a number now means another entry than before.
    """
    connection = change.connection
    if connection.execute(sa.select(store_meta.c.store_id)).scalar() == page.store_id:
        raise SyncError(upstream=upstream.name, reason="it is this register itself")
    for remote in page.entries:
        if remote.state is State.ACTIVE and remote.kind is not bank.kind:
            raise SyncError(
                upstream=upstream.name,
                reason=(
                    f"its bank {remote.bank} is {remote.kind.value} and {bank.name} here is "
                    f"{bank.kind.value}: follow each kind into a bank of that kind"
                ),
            )
    links = _links(connection, upstream, [remote.id for remote in page.entries])
    active: list[_Candidate] = []
    over: list[RemoteEntry] = []
    applied = Applied()
    for remote in page.entries:
        # An overdue entry that was not swept there yet has ended too.
        overdue = remote.expires is not None and unix_seconds(remote.expires) <= change.at
        if remote.state is State.ACTIVE and not overdue:
            candidate = _candidate(upstream, remote, identity_key)
            if meaningless_in(candidate.registration):
                applied += Applied(skipped=1)
            else:
                active.append(candidate)
                applied += Applied(anchored_refused=remote.anchored_refused)
        else:
            over.append(remote)
    applied += _end(change, upstream, bank, over, links)
    for again in (False, True):
        chosen = [
            one
            for one in active
            if (one.remote.id in links and links[one.remote.id].ended) is again
        ]
        if chosen:
            applied += _begin(change, upstream, bank, chosen, links, again=again)
    return applied


def _links(
    connection: sa.Connection, upstream: Upstream, remote_ids: Sequence[int]
) -> dict[int, _Link]:
    rows = connection.execute(
        sa.select(
            upstream_entries.c.remote_entry,
            upstream_entries.c.entry_id,
            upstream_entries.c.trust,
            upstream_entries.c.ended,
            entries.c.state,
            entries.c.trust,
            entries.c.expires,
            entries.c.identity,
        )
        .join(entries, entries.c.id == upstream_entries.c.entry_id)
        .where(upstream_entries.c.upstream_id == upstream.id)
        .where(upstream_entries.c.remote_entry.in_(remote_ids))
    )
    return {
        remote: _Link(entry, Trust(set_to), ended, State(state), Trust(trust), expires, identity)
        for remote, entry, set_to, ended, state, trust, expires, identity in rows
    }


def _candidate(upstream: Upstream, remote: RemoteEntry, identity_key: bytes) -> _Candidate:
    video = remote.video
    registration = Registration(
        pdqs=remote.pdqs if video is None else video.pdqs,
        sha256=remote.sha256,
        sha1=remote.sha1,
        md5=remote.md5,
        url_sha256=remote.url_sha256,
        url_md5=remote.url_md5,
        quality=remote.quality,
        source=upstream.source,
        trust=upstream.trust_map[remote.trust],
        expires=remote.expires,
        anchored=remote.anchored,
        video=None if video is None else video.track,
    )
    # As it was before Egide knew videos, so that an entry of then is the same.
    own = replace(
        registration, source=f"{upstream.source}:{remote.id}", pdqs=remote.pdqs, video=None
    )
    return _Candidate(remote, registration, identity_of(own, identity_key))


def _end(
    change: Change,
    upstream: Upstream,
    bank: Bank,
    over: Sequence[RemoteEntry],
    links: dict[int, _Link],
) -> Applied:
    """End entries that ended at the partner."""
    counts: Counter[str] = Counter()
    withdrawn: dict[int, int] = {}
    tombstoned: dict[int, int] = {}
    for remote in over:
        link = links.get(remote.id)
        if link is None:
            counts["skipped"] += 1
        elif remote.state is State.TOMBSTONED:
            if link.state is State.ACTIVE:
                tombstoned[remote.id] = link.entry
        elif link.state is State.ACTIVE or (
            remote.state is State.WITHDRAWN and (link.state is State.EXPIRED or _undoes(link))
        ):
            withdrawn[remote.id] = link.entry
    consent.withdraw(change, bank, list(withdrawn.values()))
    consent.tombstone(change, bank, list(tombstoned.values()))
    ended = [*withdrawn, *tombstoned]
    _update_links(change, upstream, [(one, links[one].trust, True) for one in ended])
    return Applied(withdrawn=len(withdrawn), tombstoned=len(tombstoned), skipped=counts["skipped"])


def _undoes(link: _Link) -> bool:
    """Whether the upstream, and nobody here, found a false positive."""
    return link.state is State.TOMBSTONED and link.ended


def _begin(
    change: Change,
    upstream: Upstream,
    bank: Bank,
    chosen: Sequence[_Candidate],
    links: dict[int, _Link],
    *,
    again: bool,
) -> Applied:
    """Register entries that are active at the partner, or follow their changes."""
    for one in chosen:
        link = links.get(one.remote.id)
        if link is not None and link.identity != one.identity:
            raise UpstreamChanged(upstream=upstream.name)
    identities = [one.identity for one in chosen]
    change.bank_id = bank.id
    registrations = [one.registration for one in chosen]
    kinds = register_chunk(change, bank, registrations, identities, again=again)
    completed = keep_anchored(change, bank, registrations, identities, kinds)
    completed += video_rows.keep(change, bank, registrations, identities, kinds)
    found = find_known(change.connection, bank, identities)
    fresh = [
        found[one.identity].entry
        for one, kind in zip(chosen, kinds, strict=True)
        if kind in {OutcomeKind.ADDED, OutcomeKind.RENEWED}
    ]
    change.entries += len(fresh) + completed
    change.touch(fresh)
    counts = Counter(kinds)
    known = [one for one, kind in zip(chosen, kinds, strict=True) if kind is OutcomeKind.KNOWN]
    judged = _judge(change, bank, known, links)
    rescheduled = _reschedule(change, known, links)
    new = [one for one in chosen if one.remote.id not in links]
    if new:
        change.connection.execute(
            sa.insert(upstream_entries),
            [
                {
                    "upstream_id": upstream.id,
                    "remote_entry": one.remote.id,
                    "entry_id": found[one.identity].entry,
                    "trust": one.registration.trust.value,
                    "ended": False,
                }
                for one in new
            ],
        )
    refused = {
        one.remote.id
        for one, kind in zip(chosen, kinds, strict=True)
        if kind is OutcomeKind.REFUSED
    }
    _update_links(
        change,
        upstream,
        [
            (one.remote.id, one.registration.trust, False)
            for one in chosen
            if one.remote.id in links
            and one.remote.id not in refused
            and (links[one.remote.id].ended or links[one.remote.id].trust != one.registration.trust)
        ],
    )
    return Applied(
        added=counts[OutcomeKind.ADDED],
        renewed=counts[OutcomeKind.RENEWED],
        judged=judged,
        rescheduled=rescheduled,
        kept=counts[OutcomeKind.REFUSED],
        completed=completed,
    )


def _judge(change: Change, bank: Bank, known: Sequence[_Candidate], links: dict[int, _Link]) -> int:
    """Follow the judgements of the partner's reviewers; return how many entries changed.

    Where somebody here has judged, only a dispute is followed: it merely asks for a review.
    """
    wanted: dict[Trust, list[int]] = defaultdict(list)
    for one in known:
        link = links.get(one.remote.id)
        trust = one.registration.trust
        if link is None or trust in {link.trust, link.trust_here}:
            continue
        if link.trust_here is link.trust or trust is Trust.DISPUTED:
            wanted[trust].append(link.entry)
    for trust, entry_ids in wanted.items():
        consent.set_trust(change, bank, entry_ids, trust)
    return sum(map(len, wanted.values()))


def _reschedule(change: Change, known: Sequence[_Candidate], links: dict[int, _Link]) -> int:
    """Take over changed expiry times; return how many."""
    count = 0
    for one in known:
        link = links.get(one.remote.id)
        expires = one.registration.expires
        end = None if expires is None else unix_seconds(expires)
        if link is None or link.expires == end:
            continue
        change.connection.execute(
            sa.update(entries)
            .where(entries.c.id == link.entry)
            .values(expires=end, changed=change.at, revision=change.revision())
        )
        change.entries += 1
        change.touch([link.entry])
        count += 1
    return count


def _update_links(
    change: Change, upstream: Upstream, links: Sequence[tuple[int, Trust, bool]]
) -> None:
    if not links:
        return
    change.connection.execute(
        sa.update(upstream_entries)
        .where(upstream_entries.c.upstream_id == upstream.id)
        .where(upstream_entries.c.remote_entry == sa.bindparam("remote"))
        .values(trust=sa.bindparam("set_trust"), ended=sa.bindparam("set_ended")),
        [
            {"remote": remote, "set_trust": trust.value, "set_ended": ended}
            for remote, trust, ended in links
        ],
    )
