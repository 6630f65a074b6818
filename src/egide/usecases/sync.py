"""Follow another register: withdrawals first, then everything, one transaction per page."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egide.domain.partners import Applied, RemoteFeedback
from egide.errors import EgideError, SyncError, UpstreamBusy, UpstreamKeyInvalid
from egide.partners.client import KEY, MAX_PAGE, RegisterClient, partner_policy
from egide.security import sealing
from egide.store.changing import ChangingStore
from egide.usecases.withdraw import settle_after_act

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.partners import Upstream
    from egide.net.addresses import Network
    from egide.store import Store

ENDED_EVERY_S = 2.0
"""How often withdrawals are asked for again while a long catch-up runs."""
_FEEDBACK_PAGE = 500
_MAX_BUSY = 100


@dataclass(frozen=True, slots=True)
class SyncReport:
    """Result of following an upstream.

    Attributes:
        upstream: its name.
        applied: changes to the entries here.
        pages: that held entries.
        revision: the latest that the upstream gave.
        caught_up: whether all changes are known here; False if following was stopped.
    """

    upstream: str
    applied: Applied
    pages: int
    revision: int
    caught_up: bool


def follow_once(
    store: Store,
    name: str,
    client: RegisterClient,
    *,
    page_entries: int = MAX_PAGE,
    go_on: Callable[[SyncReport], bool] = lambda _report: True,
) -> SyncReport:
    """Take over all changes of an upstream, from the last position on.

    Ended entries are asked for first, and again every two seconds while the rest comes in. So a
    withdrawal does not wait behind a million registrations. Each page and its position are one
    transaction: after a kill, the next call continues as if nothing had happened.

    Args:
        store: of this register.
        name: of the upstream.
        client: of the upstream.
        page_entries: in one page, at most `MAX_PAGE`.
        go_on: called after each page; False stops before the next.

    Raises:
        UpstreamMissing: the upstream was removed.
        UpstreamBusy: other processes were faster time and again.
        UpstreamChanged: another register answered, or an older state of it.
        UpstreamRefused: the upstream rejects the key.
        SyncError: the upstream cannot be reached, its answer is invalid, or it is paused.
        StoreError: of this register.
    """
    round_ = _Round(store, name, client, page_entries)
    asked_for_ended = False
    ended_at = 0.0
    while True:
        ended = not asked_for_ended or time.monotonic() - ended_at >= ENDED_EVERY_S
        report, more = round_.take(ended=ended)
        if ended and not more:
            asked_for_ended = True
            ended_at = time.monotonic()
        if not ended and not more:
            return report
        if not go_on(report):
            return report


class _Round:
    """Takes pages, and counts what they did."""

    def __init__(self, store: Store, name: str, client: RegisterClient, page_entries: int) -> None:
        self._upstreams = ChangingStore.of(store).upstreams
        self._name = name
        self._client = client
        self._page_entries = page_entries
        self._applied = Applied()
        self._pages = 0
        self._busy = 0

    def take(self, *, ended: bool) -> tuple[SyncReport, bool]:
        """Take one page; return the totals so far, and whether more pages of its kind follow."""
        while True:
            upstream = self._upstreams.get(self._name)
            position = upstream.ended if ended else upstream.position
            page = self._client.changes(
                position.since,
                position.after,
                self._page_entries,
                upstream.remote_bank,
                only_ended=ended,
            )
            try:
                self._applied += self._upstreams.apply(upstream, page, ended=ended)
            except UpstreamBusy:
                self._busy += 1
                if self._busy >= _MAX_BUSY:
                    raise
                continue
            self._pages += bool(page.entries)
            report = SyncReport(
                upstream=self._name,
                applied=self._applied,
                pages=self._pages,
                revision=page.revision,
                caught_up=not ended and not page.more,
            )
            return report, page.more


def send_feedback(store: Store, name: str, client: RegisterClient) -> int:
    """Tell an upstream, once each, what became of matches on its entries here.

    The position moves once the upstream has accepted a page. If its answer is lost, the page is
    sent again, and the upstream keeps it once.

    Returns:
        how many were sent.

    Raises:
        UpstreamMissing: the upstream was removed.
        UpstreamRefused: the upstream rejects the key.
        SyncError: the upstream cannot be reached, or did not accept them.
    """
    sent = 0
    while True:
        upstream = store.upstreams.get(name)
        waiting = store.feedback.for_upstream(upstream.id, upstream.feedback_sent, _FEEDBACK_PAGE)
        if not waiting:
            return sent
        client.send_feedback(
            [
                RemoteFeedback(said.remote_entry, upstream.remote_bank, said.kind.value, said.at)
                for said in waiting
            ]
        )
        store.upstreams.set_feedback_sent(upstream, waiting[-1].id)
        sent += len(waiting)


def sync_once(store: Store, name: str, *, allowed_networks: tuple[Network, ...] = ()) -> SyncReport:
    """Follow an upstream now, send it feedback, and record the outcome.

    Raises:
        UpstreamKeyInvalid, FetchRefused: as for `connect`.
        EgideError: as for `follow_once`; if only the feedback failed, its changes are kept.
    """
    upstreams = store.upstreams
    try:
        client = connect(upstreams.get(name), allowed_networks=allowed_networks)
        report = follow_once(store, name, client)
    except EgideError as error:
        upstreams.failed(name, error.code)
        raise
    try:
        send_feedback(store, name, client)
    except SyncError as error:
        upstreams.succeeded(name, error=error.code)
        raise
    finally:
        settle_after_act(store)
    upstreams.succeeded(name)
    return report


def connect(upstream: Upstream, *, allowed_networks: tuple[Network, ...] = ()) -> RegisterClient:
    """Make a client for an upstream, with the key from its file.

    Args:
        upstream: its URL was checked when it was added; an `http` URL was allowed then.
        allowed_networks: private networks, in addition to the public internet.

    Raises:
        UpstreamKeyInvalid: the file is unreadable, readable by others, or holds no key.
        FetchRefused: the policy forbids the URL.
    """
    policy = partner_policy(
        upstream.url,
        allowed_networks=allowed_networks,
        allow_http=upstream.url.lower().startswith("http://"),
    )
    key = read_key_file(Path(upstream.key_file), upstream.name)
    return RegisterClient(upstream.url, key, policy, name=upstream.name)


def read_key_file(path: Path, upstream: str) -> str:
    """Read the key for an upstream; surrounding white space is ignored.

    Raises:
        UpstreamKeyInvalid: the file is unreadable, readable by others, or holds no key. The
            message does not repeat its content.
    """
    try:
        key = sealing.read_key_file(path).strip()
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise UpstreamKeyInvalid(upstream=upstream, name=path, reason=reason) from error
    if not KEY.fullmatch(key):
        reason = "it holds no key, which is one word"
        raise UpstreamKeyInvalid(upstream=upstream, name=path, reason=reason)
    return key


def remove_upstream(store: Store, name: str) -> int:
    """Stop following an upstream and erase its entries; return how many.

    Raises:
        UpstreamMissing: there is no such upstream.
    """
    count = ChangingStore.of(store).upstreams.remove(name)
    settle_after_act(store)
    return count
