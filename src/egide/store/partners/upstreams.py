"""Registers that this one follows: their addresses, positions and leases.

Their effects on the entries here are in `egide.store.partners.upstream_changes`.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from egide.domain.model import Trust
from egide.domain.names import check_name
from egide.domain.partners import DEFAULT_TRUST_MAP, Position, Upstream
from egide.domain.times import CLOCKS_DIFFER_S, moment
from egide.errors import UpstreamExists, UpstreamMissing, UsageError
from egide.store.entries.banks import get_bank
from egide.store.log import log
from egide.store.tables.register import banks
from egide.store.tables.service import upstreams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.store.database.interface import Database

MAX_URL_CHARS = 2000
_SUCCESS_WRITTEN_EVERY_S = 10


class Upstreams:
    """The upstreams of a store; see `Store.upstreams`."""

    def __init__(self, database: Database, actor: str) -> None:
        """Use a store; `actor` is who adds and pauses, for the log."""
        self._database = database
        self._actor = actor

    def add(
        self,
        name: str,
        url: str,
        key_file: str,
        *,
        remote_bank: str,
        bank: str,
        trust_map: Mapping[Trust, Trust] = DEFAULT_TRUST_MAP,
    ) -> Upstream:
        """Add an upstream, to be followed from its beginning.

        Args:
            name: must follow the rule for names.
            url: of the register, checked by the caller.
            key_file: absolute path of the file with its API key.
            remote_bank: the bank to follow.
            bank: the local bank for its entries.
            trust_map: missing values are as in `DEFAULT_TRUST_MAP`.

        Raises:
            NameInvalid, UsageError: the name breaks the rule, or the URL is too long.
            UpstreamExists: an upstream has that name already.
            BankMissing: there is no such bank here.
        """
        check_name(name)
        if len(url) > MAX_URL_CHARS:
            raise UsageError(reason=f"a register's URL has at most {MAX_URL_CHARS} characters")
        trusts = {**DEFAULT_TRUST_MAP, **trust_map}
        with self._database.write() as connection:
            into = get_bank(connection, bank)
            if connection.execute(_named(name)).one_or_none() is not None:
                raise UpstreamExists(upstream=name)
            connection.execute(
                sa.insert(upstreams).values(
                    name=name,
                    url=url,
                    key_file=key_file,
                    remote_bank=remote_bank,
                    bank_id=into.id,
                    trust_map=json.dumps({old.value: new.value for old, new in trusts.items()}),
                    enabled=True,
                    cursor_revision=0,
                    cursor_entry=0,
                    ended_revision=0,
                    ended_entry=0,
                    feedback_sent=0,
                    failures=0,
                )
            )
            self._log(connection, "create-upstream", bank, {"upstream": name})
        return self.get(name)

    def get(self, name: str) -> Upstream:
        """The upstream with that name.

        Raises:
            UpstreamMissing: no upstream has that name.
        """
        with self._database.read() as connection:
            return get_upstream(connection, name)

    def list(self) -> list[Upstream]:
        """All upstreams, in the order in which they were added."""
        with self._database.read() as connection:
            rows = connection.execute(_SELECT.order_by(upstreams.c.id)).all()
        return [_upstream_of(row) for row in rows]

    def set_enabled(self, name: str, enabled: bool) -> Upstream:
        """Pause an upstream, or resume it at its position.

        Raises:
            UpstreamMissing: no upstream has that name.
        """
        with self._database.write() as connection:
            upstream = get_upstream(connection, name)
            if upstream.enabled is not enabled:
                set_upstream(connection, upstream.id, enabled=enabled)
                action = "resume-upstream" if enabled else "pause-upstream"
                self._log(connection, action, upstream.bank, {"upstream": name})
        return self.get(name)

    def set_feedback_sent(self, upstream: Upstream, feedback_id: int) -> None:
        """Record that an upstream was sent all feedback up to a number."""
        with self._database.write() as connection:
            set_upstream(connection, upstream.id, feedback_sent=feedback_id)

    def succeeded(self, name: str, *, error: str | None = None) -> None:
        """Record that all changes of an upstream were fetched.

        If nothing else changes, this is written only every ten seconds.

        Args:
            name: of the upstream; nothing happens if it was removed.
            error: a code if its changes were fetched but feedback could not be sent.
        """
        at = int(time.time())
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(
                    upstreams.c.last_success, upstreams.c.last_error, upstreams.c.failures
                ).where(upstreams.c.name == name)
            ).one_or_none()
        if row is None:
            return
        # A success in the future was written while the clock was ahead.
        fresh = row.last_success is not None and (
            0 <= at - row.last_success < _SUCCESS_WRITTEN_EVERY_S
        )
        if fresh and row.last_error == error and row.failures == 0:
            return
        with self._database.write() as connection:
            connection.execute(
                sa.update(upstreams)
                .where(upstreams.c.name == name)
                .values(last_try=at, last_success=at, last_error=error, failures=0)
            )

    def failed(self, name: str, error: str) -> int:
        """Record that an upstream could not be followed.

        Args:
            name: of the upstream; nothing happens if it was removed.
            error: a code.

        Returns:
            the number of consecutive failures.
        """
        with self._database.write() as connection:
            connection.execute(
                sa.update(upstreams)
                .where(upstreams.c.name == name)
                .values(
                    last_try=int(time.time()),
                    last_error=error,
                    failures=upstreams.c.failures + 1,
                )
            )
            query = sa.select(upstreams.c.failures).where(upstreams.c.name == name)
            return connection.execute(query).scalar() or 0

    def lease(self, name: str, holder: str, lease_s: int) -> bool:
        """Take or renew the lease to follow an upstream.

        Two processes that follow at once do no harm, see `apply`, but double the work.

        Args:
            name: of the upstream.
            holder: a random text of at most 36 characters.
            lease_s: how long the lease lasts unless it is renewed or released.

        Returns:
            whether `holder` has the lease; False while another has it, or without such an upstream.
        """
        now = int(time.time())
        with self._database.write() as connection:
            result = connection.execute(
                sa.update(upstreams)
                .where(
                    upstreams.c.name == name,
                    sa.or_(
                        upstreams.c.leased_by == holder,
                        upstreams.c.leased_until <= now,
                        # Taken while the clock was ahead: it would last far too long.
                        upstreams.c.leased_until > now + lease_s + CLOCKS_DIFFER_S,
                    ),
                )
                .values(leased_by=holder, leased_until=now + lease_s)
            )
        return result.rowcount == 1

    def release(self, holder: str) -> None:
        """Release all leases of a holder."""
        with self._database.write() as connection:
            connection.execute(
                sa.update(upstreams)
                .where(upstreams.c.leased_by == holder)
                .values(leased_by=None, leased_until=0)
            )

    def _log(
        self, connection: sa.Connection, action: str, bank: str, detail: Mapping[str, str | int]
    ) -> None:
        log.append(
            connection,
            at=int(time.time()),
            actor=self._actor,
            action=action,
            bank=bank,
            detail=detail,
        )


_SELECT = sa.select(upstreams, banks.c.name.label("bank_name")).join(
    banks, banks.c.id == upstreams.c.bank_id
)


def _named(name: str) -> sa.Select[Any]:
    return _SELECT.where(upstreams.c.name == name)


def get_upstream(connection: sa.Connection, name: str) -> Upstream:
    """The upstream with that name; raises UpstreamMissing."""
    row = connection.execute(_named(name)).one_or_none()
    if row is None:
        raise UpstreamMissing(upstream=name)
    return _upstream_of(row)


def set_upstream(connection: sa.Connection, upstream_id: int, **values: Any) -> None:
    """Change columns of an upstream."""
    connection.execute(sa.update(upstreams).where(upstreams.c.id == upstream_id).values(**values))


def _upstream_of(row: sa.Row[Any]) -> Upstream:
    trusts = json.loads(row.trust_map)
    return Upstream(
        id=row.id,
        name=row.name,
        url=row.url,
        key_file=row.key_file,
        remote_bank=row.remote_bank,
        bank=row.bank_name,
        trust_map={Trust(old): Trust(new) for old, new in trusts.items()},
        enabled=row.enabled,
        remote_store_id=row.remote_store_id,
        position=Position(row.cursor_revision, row.cursor_entry),
        ended=Position(row.ended_revision, row.ended_entry),
        feedback_sent=row.feedback_sent,
        last_try=None if row.last_try is None else moment(row.last_try),
        last_success=None if row.last_success is None else moment(row.last_success),
        last_error=row.last_error,
        failures=row.failures,
        leased_until=row.leased_until,
    )
