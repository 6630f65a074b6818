"""The store: the one door to the database, and its rooms."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from copy import copy
from hashlib import blake2b
from typing import TYPE_CHECKING, Self

import sqlalchemy as sa

from egide.errors import StoreError, UsageError
from egide.store.access.approvals import Approvals
from egide.store.access.idempotency import Idempotency
from egide.store.access.keys import Keys
from egide.store.access.sessions import Sessions
from egide.store.access.staff import StaffAccounts
from egide.store.cases.attempts import Attempts
from egide.store.cases.cases import Cases
from egide.store.database.erasure import Erasure
from egide.store.database.opening import open_database
from egide.store.entries.banks import Banks
from egide.store.entries.entries import Entries
from egide.store.entries.keypoints import Keypoints
from egide.store.entries.revisions import change, current_revision, find_revision
from egide.store.log.log import Log
from egide.store.partners.feed import Feed
from egide.store.partners.feedback import FeedbackRecords
from egide.store.partners.given import Given
from egide.store.partners.outbox import Outbox
from egide.store.partners.reads import PartnerReads
from egide.store.partners.upstreams import Upstreams
from egide.store.partners.webhooks import Webhooks
from egide.store.tables.register import store_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from egide.domain.model import Revision
    from egide.store.database.copying import Copied
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

DEFAULT_URL = "sqlite:///egide.db"
DEFAULT_BUSY_TIMEOUT_S = 10.0
LOCAL_ACTOR = "local"
"""Whoever uses the command line, or Python."""


class Store:
    """Banks and entries in a database, shared by threads and processes.

    `Store.open` opens one. Each of its rooms reads one kind of thing: `store.entries.get`,
    `store.keys.list`. What changes its entries is in `egide.usecases`. All methods raise
    StoreError of the fitting kind when the database does not play along: StoreLocked,
    StoreReadOnly, StoreFull, StoreUnreadable; nothing was changed then.

    Attributes:
        url: where the store is, without its password.
        path: of the SQLite file; None on PostgreSQL.
        id: a random UUID that tells this store from every other; a copy of the file has the same.
        actor: who changes it, as its log says.
        forgets_at_once: whether what erases also has it leave the files; see `open`.
    """

    def __init__(self, database: Database, *, forget_at_once: bool = True) -> None:
        """Take over an opened database; use `Store.open`."""
        self._database = database
        self.forgets_at_once = forget_at_once
        self.actor = LOCAL_ACTOR
        self.url = database.shown
        self.path: Path | None = database.path
        with database.read() as connection:
            row = connection.execute(
                sa.select(store_meta.c.store_id, store_meta.c.identity_key)
            ).one()
        self.id: str = row.store_id
        self._identity_key: bytes = row.identity_key

    @classmethod
    def open(
        cls,
        url: str = DEFAULT_URL,
        *,
        create: bool = False,
        busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S,
        timeout_s: float | None = None,
        forget_at_once: bool = True,
    ) -> Self:
        """Open the store at `url`.

        Args:
            url: an SQLAlchemy URL: `sqlite:///folder/egide.db`, `postgresql://user@host/database`.
            create: make it where there is none; a file is readable by its owner only, a database
                of PostgreSQL must be there and be empty.
            busy_timeout_s: how long a write waits for another process that writes.
            timeout_s: how long PostgreSQL has to answer, and 120 times as long where a whole store
                is read or written; by default EGIDE_STORE_TIMEOUT_S, else 30.
            forget_at_once: have what is erased leave the files in the same call; else whoever
                opened the store sees to that, say every few seconds.

        Raises:
            UsageError: the URL is a path, in memory, or of a database that Egide cannot use.
            PostgresqlUnavailable: the extra `egide[postgresql]` is not installed.
            StoreMissing: there is none, and `create` is False.
            StoreForeign: the database belongs to something else.
            StoreTooOld: `Store.upgrade` it first.
            StoreTooNew: a newer Egide wrote it.
        """
        database = open_database(
            url,
            create=create,
            upgrade=False,
            busy_timeout_s=busy_timeout_s,
            timeout_s=timeout_s,
        )
        return cls._of(database, forget_at_once=forget_at_once)

    @classmethod
    def upgrade(
        cls, url: str = DEFAULT_URL, *, busy_timeout_s: float = DEFAULT_BUSY_TIMEOUT_S
    ) -> Self:
        """Open the store at `url` and bring the tables of an older Egide up to date.

        Raises:
            UsageError, StoreMissing, StoreForeign, StoreTooNew: as for `open`.
        """
        database = open_database(url, create=False, upgrade=True, busy_timeout_s=busy_timeout_s)
        return cls._of(database, forget_at_once=True)

    @classmethod
    def _of(cls, database: Database, *, forget_at_once: bool) -> Self:
        try:
            return cls(database, forget_at_once=forget_at_once)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the store; `forget_erased` is tried once more, and waiting for changes ends."""
        with suppress(StoreError):
            self.forget_erased()
        self._database.close()

    @property
    def erasure(self) -> Erasure:
        """What was erased, and what may still hold it."""
        return Erasure(self._database)

    def forget_erased(self) -> bool:
        """Have what was erased leave the database's files, as far as the database can.

        SQLite's write-ahead log is emptied; PostgreSQL removes dead rows (`VACUUM`). Returns at
        once where nothing was erased since, by whichever process.

        Returns:
            whether nothing is left to do; False while somebody reads an earlier state of the
            store, or the database does not play along: call it again later.

        Raises:
            StoreError: it cannot even be asked.
        """
        seen = self.erasure.get()
        if seen.pending_since is None:
            return True
        try:
            done = self._database.forget_erased()
            if done:
                self.erasure.settled(seen)
        except StoreError:
            return False
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def acting_as(self, actor: str) -> Self:
        """The same open store, in whose log another actor stands; close the first one only."""
        other = copy(self)
        other.actor = actor
        return other

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def revision(self) -> int:
        """The number of the last change, 0 for a new store."""
        with self._database.read() as connection:
            return current_revision(connection)

    def wait_for_change(self, since: int, timeout_s: float) -> int:
        """Wait until the store has a later revision than `since`, or until the time is up.

        For one follower, in a thread of its own, again and again: a commit of any process ends the
        wait within some 50 ms on SQLite and at once on PostgreSQL. Others may wait beside it.

        Returns:
            the store's revision; `since` where nothing has changed, and at once after `close`.

        Raises:
            StoreUnreadable: the database cannot be reached at the moment; waiting can go on once
                it is back, on connections that are made anew.
        """
        return self._database.wait_for_change(self.revision, since, timeout_s)

    def backup(
        self, path: Path, *, on_progress: Callable[[int, int], None] | None = None
    ) -> Copied:
        """Copy the store, while others use it, into a new SQLite file for its owner only.

        The copy is of one moment and is a store itself, to be kept as private as this one: it has
        all fingerprints, and what is withdrawn later stays in it. The log says that it was made.

        Args:
            path: where no file is yet; it appears there when it is complete.
            on_progress: called with rows done and rows in all.

        Raises:
            BackupExists: there is a file already.
            BackupUnwritable: it cannot be written.
            StoreReadOnly: the log cannot be written to.
        """
        from egide.store.database.copying import back_up

        return back_up(self._database, path, actor=self.actor, on_progress=on_progress)

    def revision_info(self, revision: int) -> Revision:
        """When a change was made, and what it was.

        Raises:
            UsageError: there is no such revision.
        """
        with self._database.read() as connection:
            found = find_revision(connection, revision)
        if found is None:
            raise UsageError(reason=f"the store has no revision {revision}")
        return found

    def derived_key(self, purpose: str) -> bytes:
        """A secret of this store, 32 bytes, for one purpose; its processes all have the same.

        Args:
            purpose: at most 16 characters of ASCII; another purpose has an unrelated key.
        """
        return blake2b(digest_size=32, key=self._identity_key, person=purpose.encode()).digest()

    @property
    def keys(self) -> Keys:
        """Who may ask for what."""
        return Keys(self._database, self.actor)

    @property
    def approvals(self) -> Approvals:
        """What needs a second person."""
        return Approvals(self._database, self.actor)

    @property
    def idempotency(self) -> Idempotency:
        """Answers to writes that may be repeated."""
        return Idempotency(self._database)

    @property
    def feedback(self) -> FeedbackRecords:
        """What partners say became of matches."""
        return FeedbackRecords(self._database, self._identity_key, self.actor)

    @property
    def feed(self) -> Feed:
        """What changed, for other registers to follow."""
        return Feed(self._database)

    @property
    def given(self) -> Given:
        """What is handed out, written down before it is."""
        return Given(self._database, self._identity_key, self.actor)

    @property
    def log(self) -> Log:
        """Who did what, when."""
        return Log(self._database, self._identity_key, self.actor)

    @property
    def upstreams(self) -> Upstreams:
        """Registers that this one follows."""
        return Upstreams(self._database, self.actor)

    @property
    def webhooks(self) -> Webhooks:
        """Who is told of what."""
        return Webhooks(self._database, self.actor)

    @property
    def outbox(self) -> Outbox:
        """What they are still to be told."""
        return Outbox(self._database, self.actor)

    @property
    def staff(self) -> StaffAccounts:
        """Accounts of a helpline's workers."""
        return StaffAccounts(self._database, self.actor)

    @property
    def sessions(self) -> Sessions:
        """Who is signed in."""
        return Sessions(self._database)

    @property
    def cases(self) -> Cases:
        """What people have registered of themselves."""
        return Cases(self._database, self._identity_key)

    @property
    def attempts(self) -> Attempts:
        """Who has tried to sign in to a case, counted."""
        return Attempts(self._database, self._identity_key)

    @property
    def partner_reads(self) -> PartnerReads:
        """What partners were given of cases."""
        return PartnerReads(self._database)

    @property
    def banks(self) -> Banks:
        """Banks."""
        return Banks(self._database)

    @property
    def entries(self) -> Entries:
        """Entries."""
        return Entries(self._database, self.id)

    @property
    def keypoints(self) -> Keypoints:
        """Keypoints of entries."""
        return Keypoints(self._database, self.id, self.url)

    @contextmanager
    def _changing(self, action: str, actor: str | None = None) -> Iterator[Change]:
        """A change, after which nothing that it erased stays in the database's files."""
        with change(
            self._database, action, actor=actor or self.actor, identity_key=self._identity_key
        ) as made:
            yield made
        if self.forgets_at_once and (made.erased or made.erased_entries):
            with suppress(StoreError):  # it is done, and the store remembers what is left to do
                self.forget_erased()
