"""Effects of an upstream on the entries here: apply its changes, or remove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from egide.domain.partners import Applied, Position
from egide.errors import SyncError, UpstreamBusy
from egide.store.entries import consent
from egide.store.entries.banks import get_bank
from egide.store.partners.applying_pages import apply_page, check_page
from egide.store.partners.upstreams import Upstreams, get_upstream, set_upstream
from egide.store.tables.service import upstream_entries, upstreams

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from egide.domain.partners import RemoteChanges, Upstream
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change


class UpstreamChanges(Upstreams):
    """The upstreams of a store, and their effects on its entries."""

    def __init__(
        self,
        database: Database,
        identity_key: bytes,
        actor: str,
        changing: Callable[[str, str], AbstractContextManager[Change]],
    ) -> None:
        super().__init__(database, actor)
        self._identity_key = identity_key
        self._changing = changing

    def remove(self, name: str) -> int:
        """Stop following an upstream, and erase its entries like expired ones.

        Otherwise withdrawals there would no longer arrive here. Tombstones stay. Following the same
        bank again renews the expired entries.

        Returns:
            how many entries were erased.

        Raises:
            UpstreamMissing: no upstream has that name.
        """
        with self._changing("remove-upstream", self._actor) as made:
            upstream = get_upstream(made.connection, name)
            bank = get_bank(made.connection, upstream.bank)
            consent.expire_source(made, bank, upstream.source)
            made.detail["upstream"] = name
            made.connection.execute(
                sa.delete(upstream_entries).where(upstream_entries.c.upstream_id == upstream.id)
            )
            made.connection.execute(sa.delete(upstreams).where(upstreams.c.id == upstream.id))
            if not made.entries:
                self._log(made.connection, "remove-upstream", bank.name, {"upstream": name})
            return made.entries

    def apply(self, upstream: Upstream, page: RemoteChanges, *, ended: bool) -> Applied:
        """Apply a page to the entries here and advance the position; all or nothing.

        Args:
            upstream: as it was read before the page was requested.
            page: the upstream's answer for its `position`, or for its `ended`.
            ended: whether it is for `ended`; the page then holds no active entry.

        Raises:
            UpstreamMissing: the upstream was removed meanwhile.
            UpstreamBusy: another process has advanced meanwhile. The page may be out of date, so
                it is not used; read the upstream again.
            UpstreamChanged: another register answered, or an older state of this one.
            SyncError: the upstream was paused meanwhile, or the page contradicts itself.
        """
        position = upstream.ended if ended else upstream.position
        following = Position(page.next_since, page.next_after)
        if not page.entries and following == position and upstream.remote_store_id is not None:
            # This happens every two seconds for each upstream, so nothing is written.
            check_page(upstream, page, ended=ended)
            return Applied()
        with self._changing("sync", upstream.source) as made:
            now = get_upstream(made.connection, upstream.name)
            if not now.enabled:
                raise SyncError(upstream=upstream.name, reason="it is paused")
            if (now.id, now.position, now.ended) != (
                upstream.id,
                upstream.position,
                upstream.ended,
            ):
                raise UpstreamBusy(upstream=upstream.name)
            check_page(now, page, ended=ended)
            bank = get_bank(made.connection, now.bank)
            applied = apply_page(made, now, bank, page, identity_key=self._identity_key)
            made.detail.update({"upstream": now.name, **applied.counts()})
            revision, entry = (
                (upstreams.c.ended_revision, upstreams.c.ended_entry)
                if ended
                else (upstreams.c.cursor_revision, upstreams.c.cursor_entry)
            )
            set_upstream(
                made.connection,
                now.id,
                remote_store_id=page.store_id,
                **{revision.name: page.next_since, entry.name: page.next_after},
            )
        return applied
