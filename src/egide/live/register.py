"""A register that stays searchable while it changes: its own thread follows the store."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from threading import Event, Thread
from typing import TYPE_CHECKING

from egide.compiled import count_codes
from egide.errors import EgideError, NotReady, SnapshotError, SnapshotMissing
from egide.index.live import LiveIndex
from egide.index.snapshot import Snapshot
from egide.live.combining import Combiner
from egide.live.rebuilding import Rebuilder, RebuildRules
from egide.live.snapshots import build_store_snapshot, building, forget_snapshot, snapshot_path
from egide.matching import Holdings, Matcher

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from egide.domain.model import Entry, Fingerprint, Match, Signal
    from egide.index.live import LiveView
    from egide.live.combining import Question
    from egide.matching import Found
    from egide.store import Store

_WAIT_S = 0.5
"""The longest wait for a change; also how often the snapshot's file is checked."""
_FIRST_RETRY_S = 0.1
_LONGEST_RETRY_S = 5.0
_SILENT_AFTER_S = 2.0
_STOP_TIMEOUT_S = 10.0
_CHANGES_PER_VIEW = 5000
_MAX_CHANGES_PER_VIEW = 20_000
"""A change of more entries than this takes effect in parts; 60 MiB while it is read."""
_FINGERPRINTS_PER_SEARCH = 1024
"""A large batch is cut into searches of this size; other threads get their turn in between."""
_DEFAULT_RULES = RebuildRules()

log = logging.getLogger(__name__)


class LiveRegister:
    """Matches against the present store: a change by any process takes effect within a second.

    `search` and the properties are thread-safe. While the store is unreachable, matching uses the
    last known state: `age_s` is its age, and `stalled_s` grows while the store is silent.
    """

    def __init__(
        self, store: Store, *, url: str | None = None, rules: RebuildRules | None = _DEFAULT_RULES
    ) -> None:
        """Prepare to follow a store.

        Args:
            store: stays open until this is closed.
            url: of the store with its password, for the process that builds snapshots; None if
                the URL has no password.
            rules: when to rebuild the snapshot; None for never: another process does so.
        """
        self._store = store
        self._path = snapshot_path(store)
        self._rules = rules
        self._rebuilder = Rebuilder(store.url if url is None else url, self._path)
        self._followed: _Followed | None = None
        self._next: _Followed | None = None
        self._unusable: tuple[int, int] | None = None
        self._current_at_s = time.monotonic()
        self._failure: str | None = None
        self._ready = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="egide-live", daemon=True)
        self._combiner = Combiner(self._search)
        self._holdings = Holdings()

    def start(self) -> None:
        """Start to follow in a thread, which first builds a missing snapshot."""
        self._thread.start()

    def wait_until_ready(self, timeout_s: float) -> bool:
        """Wait until the register can be searched; return whether it can."""
        return self._ready.wait(timeout_s)

    def close(self) -> None:
        """Stop following, and end a running build."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)
        self._rebuilder.close()

    def search(
        self,
        fingerprints: Sequence[Fingerprint],
        *,
        banks: Collection[str] | None = None,
        radius_bits: int | None = None,
    ) -> Found:
        """Match fingerprints; their keypoints are ignored.

        The store is asked only about banks that the index does not know. So matching continues
        while the store is unreachable.

        Args:
            fingerprints: any number; concurrent calls from several threads are searched together.
            banks: names; None for all enabled ones.
            radius_bits: 0–63 instead of each bank's own.

        Returns:
            the matches of each fingerprint, nearest first (see `Matcher.match`), and the banks
            that were searched.

        Raises:
            BankMissing, RadiusInvalid: an argument is invalid.
            NotReady: nothing can be searched yet.
            StoreError: the store cannot tell whether a bank exists.
        """
        if banks is None:
            return self._combiner.search(fingerprints, (None, radius_bits))
        known = self.bank_names
        # Such a bank is under a second old and still empty, or it does not exist.
        new = [self._store.banks.get(name) for name in banks if name not in known]
        found = self._combiner.search(
            fingerprints, (tuple(name for name in banks if name in known), radius_bits)
        )
        if not new:
            return found
        return replace(
            found,
            searched=(*found.searched, *(bank.name for bank in new if bank.enabled)),
            disabled=(*found.disabled, *(bank.name for bank in new if not bank.enabled)),
        )

    def _search(self, fingerprints: Sequence[Fingerprint], question: Question) -> Found:
        banks, radius_bits = question
        matcher = Matcher(self._view(), banks=banks, radius_bits=radius_bits)
        matches: list[list[Match]] = []
        for first in range(0, len(fingerprints), _FINGERPRINTS_PER_SEARCH):
            matches += matcher.match(fingerprints[first : first + _FINGERPRINTS_PER_SEARCH])
        return self._holdings.found(matcher, matches)

    def signals_held(self, names: Collection[str]) -> frozenset[Signal]:
        """The signals that any entry of these banks has: no other can lead to a match.

        Raises:
            NotReady: nothing can be searched yet.
        """
        view = self._view()
        return view.signals_held([bank for bank in view.banks if bank.name in names])

    @property
    def ready(self) -> bool:
        """Whether anything can be searched; see `age_s` for how old that is."""
        return self._ready.is_set()

    @property
    def revision(self) -> int:
        """The last revision up to which every change of the store is included.

        Raises:
            NotReady: nothing can be searched yet.
        """
        return self._view().revision

    @property
    def age_s(self) -> float:
        """Seconds since this register last held every change of the store."""
        return time.monotonic() - self._current_at_s

    @property
    def stalled_s(self) -> float:
        """Seconds since the store last gave changes, or was known to have no more.

        It grows while the store is silent, but not while a long import is being read.
        """
        followed = self._followed
        moved_at_s = self._current_at_s if followed is None else followed.moved_at_s
        return time.monotonic() - max(self._current_at_s, moved_at_s)

    @property
    def silent(self) -> bool:
        """Whether the store has been silent too long for a look-up to wait for it."""
        return self.stalled_s > _SILENT_AFTER_S

    @property
    def bank_names(self) -> frozenset[str]:
        """The names of all banks, the disabled ones too.

        Raises:
            NotReady: nothing can be searched yet.
        """
        return frozenset(bank.name for bank in self._view().banks)

    def require_bank(self, name: str) -> None:
        """Refuse the name of a bank that does not exist.

        Raises:
            BankMissing: there is no bank of that name.
            NotReady: nothing can be searched yet.
            StoreError: the name is unknown here, and the store cannot tell.
        """
        if name not in self.bank_names:
            self._store.banks.get(name)

    @property
    def entry_count(self) -> int:
        """How many entries can match, plus expired ones that the store has not erased yet.

        Raises:
            NotReady: nothing can be searched yet.
        """
        return self._index().entry_count

    @property
    def held_changes(self) -> int:
        """How many changes are in this process's memory but not in the snapshot.

        Raises:
            NotReady: nothing can be searched yet.
        """
        return self._index().held_changes

    @property
    def failure(self) -> str | None:
        """The error code of the last attempt to follow or to build a snapshot, or None."""
        return self._failure or self._rebuilder.failure

    def _index(self) -> LiveIndex:
        followed = self._followed
        if followed is None:
            why = "it is loading" if self._failure is None else f"it cannot load: {self._failure}"
            raise NotReady(reason=why)
        return followed.index

    def _view(self) -> LiveView:
        return self._index().view

    def _follow(self) -> None:
        retry_s = _FIRST_RETRY_S
        while not self._stopping.is_set():
            try:
                self._keep_current()
                self._failure = None
                retry_s = _FIRST_RETRY_S
            except Exception as error:  # noqa: BLE001 - matching goes on, and so does trying
                code = error.code if isinstance(error, EgideError) else type(error).__name__
                if code != self._failure:
                    log.warning("cannot follow the store: %s", code)
                self._failure = code
                self._stopping.wait(retry_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    def _keep_current(self) -> None:
        """Wait for a change, for a limited time, then take in all changes."""
        store = self._store
        if self._followed is not None and self._next is None:
            store.wait_for_change(self._followed.index.view.revision, _WAIT_S)
        at_s = time.monotonic()
        revision = store.revision()
        if self._followed is None or revision < self._followed.index.view.revision:
            # Nothing is loaded yet, or the store was restored to an earlier state.
            loaded = self._load(revision)
            self._followed, self._next = loaded, None
            # The file is mapped, so its name can go. It may hold erased fingerprints, which must
            # not stay on disk until the next build.
            forget_snapshot(store)
        else:
            self._followed.advance(store, revision)
        self._current_at_s = at_s
        self._ready.set()
        count_codes(self._followed.index.view.code_count)
        self._renew(self._followed, revision)

    def _load(self, revision: int) -> _Followed:
        """Open the snapshot and read later changes; build a new one if there are too many."""
        opened = self._open()
        if opened is not None and self._catch_up(opened, revision):
            return opened
        # Another process that starts at the same time waits here, then finds a new file.
        with building(self._path, wait=True):
            opened = self._open()
            if opened is None or not self._catch_up(opened, revision):
                build_store_snapshot(self._store, self._path)
                opened = self._open()
        if opened is None:
            raise SnapshotMissing(name=str(self._path))
        opened.advance(self._store, revision)
        return opened

    def _catch_up(self, opened: _Followed, revision: int) -> bool:
        most = (self._rules or _DEFAULT_RULES).most_changes(opened.index)
        return opened.advance(self._store, revision, limit=most)

    def _open(self) -> _Followed | None:
        """Open the snapshot, if it is of this store and the store's changes continue it."""
        try:
            identity = _identity(self._path)
            snapshot = Snapshot.open(self._path)
            # A snapshot is later than its store if the store was restored to an earlier state.
            if snapshot.store_id == self._store.id and snapshot.revision <= self._store.revision():
                return _Followed(LiveIndex(snapshot), identity)
        except (OSError, SnapshotError):
            return None
        return None

    def _renew(self, followed: _Followed, revision: int) -> None:
        """Start a build if one is due; switch to a new snapshot once it exists."""
        self._rebuilder.poll()
        try:
            there = _identity(self._path)
        except OSError:
            there = None
        if there not in {None, followed.file, self._unusable} and (
            self._next is None or self._next.file != there
        ):
            self._next = self._open()
            if self._next is None:
                self._unusable = there
        if self._next is not None:
            # One page a round, so that the snapshot in use stays current meanwhile.
            if self._next.advance(self._store, revision, limit=_CHANGES_PER_VIEW):
                self._followed, self._next = self._next, None
            return
        if self._rules is None:
            return
        if self._rules.due(
            followed.index,
            file_exists=there is not None and there != self._unusable,
            now_s=time.monotonic(),
        ):
            self._rebuilder.start()
        else:
            self._rebuilder.failure = None  # the failed build is no longer needed


@dataclass(slots=True)
class _Followed:
    """A live index, and how far it has followed the store.

    Attributes:
        index: for searching.
        file: device and inode of the snapshot's file.
        since: the revision of the last change that was read.
        after_entry: the last entry read of that revision; None if all were read.
        moved_at_s: when changes were last taken in, by `time.monotonic`.
    """

    index: LiveIndex
    file: tuple[int, int]
    since: int = -1
    after_entry: int | None = None
    moved_at_s: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.since = self.index.view.revision

    def advance(self, store: Store, revision: int, *, limit: int | None = None) -> bool:
        """Read changes from the store and show them.

        Args:
            store: to follow.
            revision: the store's revision, as seen before this call.
            limit: of changes to read.

        Returns:
            whether no change up to `revision` is missing.
        """
        if self.since >= revision and self.after_entry is None:
            return True
        read = 0
        ended = (self.since, self.after_entry or 0)
        changes = store.entries.changes(
            self.since, after_entry=self.after_entry, limit=limit, anchored=True
        )
        for some in _batches(changes):
            read += len(some)
            last = some[-1]
            # More changes of the last revision may follow.
            seen = max(self.index.view.revision, last.revision - 1)
            self.index.apply(some, banks=store.banks.list, revision=seen)
            self.since, self.after_entry = last.revision, last.id
            self.moved_at_s = time.monotonic()
            if len(some) >= _CHANGES_PER_VIEW:
                ended = self._forget_ended(store, max(ended, (last.revision, last.id)))
        if read == limit:
            return False
        # A revision is committed whole, so the last one that was read is complete.
        self.since, self.after_entry = max(self.since, revision), None
        self.index.apply((), banks=store.banks.list, revision=self.since)
        return True

    def _forget_ended(self, store: Store, position: tuple[int, int]) -> tuple[int, int]:
        """Drop ended entries early, before the whole of a long import is read."""
        since, after = position
        page = store.feed.page(since, after=after, limit=_CHANGES_PER_VIEW, ended_only=True)
        if page.entries:
            self.index.apply(
                page.entries, banks=store.banks.list, revision=self.index.view.revision
            )
        return page.next.since, page.next.after


def _batches(changes: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut changes into batches of whole revisions; a very large revision is split."""
    batch: list[Entry] = []
    for entry in changes:
        if batch and (
            (len(batch) >= _CHANGES_PER_VIEW and entry.revision != batch[-1].revision)
            or len(batch) >= _MAX_CHANGES_PER_VIEW
        ):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
