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
from egide.store.entries.anchored import Anchored
from egide.store.entries.banks import Banks
from egide.store.entries.entries import Entries
from egide.store.entries.keypoints import Keypoints
from egide.store.entries.revisions import change, current_revision, find_revision
from egide.store.log.log import Log
from egide.store.messages.outbox import Outbox
from egide.store.messages.webhooks import Webhooks
from egide.store.partners.feed import Feed
from egide.store.partners.feedback import FeedbackRecords
from egide.store.partners.given import Given
from egide.store.partners.reads import PartnerReads
from egide.store.partners.upstreams import Upstreams
from egide.store.tables.register import store_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from egide.domain.model import Revision
    from egide.store.copying import Copied
    from egide.store.database.interface import Database
    from egide.store.entries.revisions import Change

DEFAULT_URL = "sqlite:///egide.db"
DEFAULT_BUSY_TIMEOUT_S = 10.0
LOCAL_ACTOR = "local"
"""The actor for the command line and for Python."""


class Store:
    """Banks and entries in a database, shared by threads and processes.

    `Store.open` opens one. Each of its rooms reads one kind of thing: `store.entries.get`,
    `store.keys.list`. `egide.usecases` changes its entries. If the database fails, all methods
    raise StoreError of the fitting kind (StoreLocked, StoreReadOnly, StoreFull, StoreUnreadable),
    and nothing was changed.

    Attributes:
        url: the store's URL, without its password.
        path: of the SQLite file; None on PostgreSQL.
        id: a random UUID of the store; a copy of the file has the same one.
        actor: who changes it, for its log.
        forgets_at_once: whether an act that erases also cleans the files; see `open`.
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
            create: make the store if it is missing; a file is readable by its owner only, a
                PostgreSQL database must exist and be empty.
            busy_timeout_s: how long a write waits for another process that writes.
            timeout_s: time limit for PostgreSQL's answers, 120 times as long if a whole store is
                read or written; by default EGIDE_STORE_TIMEOUT_S, else 30.
            forget_at_once: remove erased data from the files in the same call; else the caller
                must call `forget_erased`, say every few seconds.

        Raises:
            UsageError: the URL is a path, in memory, or of a database that Egide cannot use.
            PostgresqlUnavailable: the extra `egide[postgresql]` is not installed.
            StoreMissing: there is no store, and `create` is False.
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
        """Close the store, after a last `forget_erased`; waiting for changes ends."""
        with suppress(StoreError):
            self.forget_erased()
        self._database.close()

    @property
    def erasure(self) -> Erasure:
        """Erased data, and files that may still hold it."""
        return Erasure(self._database)

    def forget_erased(self) -> bool:
        """Remove erased data from the database's files, as far as the database can.

        Empties SQLite's write-ahead log, or removes PostgreSQL's dead rows (`VACUUM`). Returns at
        once if no process has erased anything since.

        Returns:
            whether nothing is left to do; False while somebody reads an earlier state of the store
            or the database refuses: call it again later.

        Raises:
            StoreError: the database cannot be reached.
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
        """The same open store with another actor for the log; close only the original."""
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

        Meant for one follower that calls it repeatedly in its own thread: a commit of any process
        ends the wait within some 50 ms on SQLite and at once on PostgreSQL. Others may wait too.

        Returns:
            the store's revision; `since` if nothing has changed, and at once after `close`.

        Raises:
            StoreUnreadable: the database cannot be reached now; wait again later, on new
                connections.
        """
        return self._database.wait_for_change(self.revision, since, timeout_s)

    def backup(
        self, path: Path, *, on_progress: Callable[[int, int], None] | None = None
    ) -> Copied:
        """Copy the store, while others use it, to a new private SQLite file.

        The copy shows one moment and is a store itself. Keep it as private as this one: it has all
        fingerprints, even those that are withdrawn later. The log records the backup.

        Args:
            path: of a new file; it appears when it is complete.
            on_progress: called with the numbers of copied rows and of all rows.

        Raises:
            BackupExists: there is a file already.
            BackupUnwritable: the file cannot be written.
            StoreReadOnly: the log cannot be written to.
        """
        from egide.store.copying import back_up

        return back_up(self._database, path, actor=self.actor, on_progress=on_progress)

    def revision_info(self, revision: int) -> Revision:
        """The time and kind of a change.

        Raises:
            UsageError: there is no such revision.
        """
        with self._database.read() as connection:
            found = find_revision(connection, revision)
        if found is None:
            raise UsageError(reason=f"the store has no revision {revision}")
        return found

    def derived_key(self, purpose: str) -> bytes:
        """A secret of this store, 32 bytes, for one purpose; the same in all processes.

        Args:
            purpose: at most 16 ASCII characters; each purpose has an unrelated key.
        """
        return blake2b(digest_size=32, key=self._identity_key, person=purpose.encode()).digest()

    @property
    def keys(self) -> Keys:
        """Keys of the served register."""
        return Keys(self._database, self.actor)

    @property
    def approvals(self) -> Approvals:
        """Requests that need a second person."""
        return Approvals(self._database, self.actor)

    @property
    def idempotency(self) -> Idempotency:
        """Stored answers to writes, for repeated requests."""
        return Idempotency(self._database)

    @property
    def feedback(self) -> FeedbackRecords:
        """Partners' feedback on matches."""
        return FeedbackRecords(self._database, self._identity_key, self.actor)

    @property
    def feed(self) -> Feed:
        """Changes, for other registers to follow."""
        return Feed(self._database)

    @property
    def given(self) -> Given:
        """Records of entries that are handed out, made beforehand."""
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
        """Webhooks."""
        return Webhooks(self._database, self.actor)

    @property
    def outbox(self) -> Outbox:
        """Messages waiting for webhooks."""
        return Outbox(self._database, self.actor)

    @property
    def staff(self) -> StaffAccounts:
        """Accounts of a helpline's workers."""
        return StaffAccounts(self._database, self.actor)

    @property
    def sessions(self) -> Sessions:
        """Sessions of people who are signed in."""
        return Sessions(self._database)

    @property
    def cases(self) -> Cases:
        """Cases."""
        return Cases(self._database, self._identity_key)

    @property
    def attempts(self) -> Attempts:
        """Counts of attempts to sign in to a case."""
        return Attempts(self._database, self._identity_key)

    @property
    def partner_reads(self) -> PartnerReads:
        """Images of cases that partners were given."""
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
    def anchored(self) -> Anchored:
        """Anchored hashes of entries."""
        return Anchored(self._database)

    @property
    def keypoints(self) -> Keypoints:
        """Keypoints of entries."""
        return Keypoints(self._database, self.id, self.url)

    @contextmanager
    def _changing(self, action: str, actor: str | None = None) -> Iterator[Change]:
        """A change that also removes what it erased from the database's files."""
        with change(
            self._database, action, actor=actor or self.actor, identity_key=self._identity_key
        ) as made:
            yield made
        if self.forgets_at_once and (made.erased or made.erased_entries):
            with suppress(StoreError):  # the store records what is left to clean
                self.forget_erased()
