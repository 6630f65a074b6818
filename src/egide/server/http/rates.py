"""Limits on use: rates in memory, daily quotas in the store; each for all workers together."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from egide.errors import EgideError, Overloaded, QuotaExceeded, RateLimited, StoreError
from egide.server.http.memory import Memory, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from egide.domain.access import Key
    from egide.store.access.keys import Keys

DAY_S = 86_400
_MAX_ASKERS = 10_000
_MAX_KEYS = 4096


class Rates:
    """An average rate for each of many askers: after a large request, an asker waits longer.

    Each asker has one number: the time at which all its requests would be served at its rate (the
    generic cell rate algorithm). A request of any size passes if that time has come. So a batch
    larger than a second's worth passes, and the asker waits afterwards.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, *, memory: Memory | None = None
    ) -> None:
        """Prepare.

        Args:
            clock: monotonic, and the same in all workers.
            memory: of the workers; by default that of this process alone.
        """
        self._clock = clock
        self._memory = memory or Memory()
        self._askers = self._memory.array(np.int64, _MAX_ASKERS)
        self._times = self._memory.array(np.float64, _MAX_ASKERS)
        self._asker, self._served_at = cells(self._askers), cells(self._times)
        self._known: dict[int, int] = {}

    def spend(self, asker: Hashable, per_second: float, count: int, *, burst_s: float = 1.0) -> int:
        """Spend `count` of an asker's rate, if permitted.

        Args:
            asker: any value that identifies it.
            per_second: its rate.
            count: units to spend.
            burst_s: how many seconds' worth may be spent at once without waiting.

        Returns:
            0; or the whole seconds to wait, and nothing was spent.
        """
        with self._memory:
            now = self._clock()
            row = self._row(asker)
            served_at: float = max(self._served_at[row], now)
            wait_s = served_at - now - burst_s
            if wait_s > 0:
                return math.ceil(wait_s)
            self._served_at[row] = served_at + count / per_second
            return 0

    def is_served(self, asker: Hashable) -> bool:
        """Whether all that an asker has spent is served by now."""
        with self._memory:
            return float(self._served_at[self._row(asker)]) <= self._clock()

    def _row(self, asker: Hashable) -> int:
        """The row of an asker. One that is new takes that of whoever is served first.

        `hash` is the same in all workers, see `egide.server.http.memory.Tally`.
        """
        number = hash(asker)
        row = self._known.get(number)
        if row is not None and self._asker[row] == number:
            return row
        rows = np.flatnonzero(self._askers == number)
        if len(rows):
            row = int(rows[0])
        else:
            row = int(self._times.argmin())
            self._asker[row], self._served_at[row] = number, 0.0
        if len(self._known) > _MAX_ASKERS:
            self._known.clear()
        self._known[number] = row
        return row


class Quotas:
    """What each key has used of a day: as the store says it, and what is not written yet."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._key = memory.array(np.int64, _MAX_KEYS)
        self._day = memory.array(np.int64, _MAX_KEYS)
        self._used = memory.array(np.int64, _MAX_KEYS)
        self._unwritten = memory.array(np.int64, _MAX_KEYS)
        self._known: dict[tuple[int, int], int] = {}

    def used(self, slot: tuple[int, int]) -> int | None:
        """How much a key has used on a day, in all workers; None if the store was not asked."""
        with self.memory:
            row = self._row(slot)
            return None if row is None else int(self._used[row] + self._unwritten[row])

    def add(self, slot: tuple[int, int], count: int) -> None:
        """Count more, to be written."""
        with self.memory:
            self._unwritten[self._made(slot)] += count

    def learn(self, slot: tuple[int, int], used: int) -> None:
        """Take in what the store says. What is being written may be a part of it or not."""
        with self.memory:
            row = self._made(slot)
            self._used[row] = max(int(self._used[row]), used)

    def take(self) -> dict[tuple[int, int], int]:
        """Return what is to be written; it counts as used."""
        with self.memory:
            rows = np.flatnonzero(self._unwritten)
            taken = {
                (int(self._key[row]), int(self._day[row])): int(self._unwritten[row])
                for row in rows
            }
            self._used += self._unwritten
            self._unwritten[:] = 0
            return taken

    def give_back(self, taken: dict[tuple[int, int], int]) -> None:
        """Count as unwritten again what was taken."""
        with self.memory:
            for slot, count in taken.items():
                row = self._made(slot)
                self._used[row] -= count
                self._unwritten[row] += count

    def forget_before(self, day: int) -> None:
        """Forget earlier days, once they are written."""
        with self.memory:
            old = (self._day < day) & (self._unwritten == 0)
            for column in (self._key, self._day, self._used):
                column[old] = 0

    def _row(self, slot: tuple[int, int]) -> int | None:
        row = self._known.get(slot)
        if row is not None and (self._key[row], self._day[row]) == slot:
            return row
        rows = np.flatnonzero((self._key == slot[0]) & (self._day == slot[1]))
        if not len(rows):
            return None
        if len(self._known) > _MAX_KEYS:
            self._known.clear()
        row = self._known[slot] = int(rows[0])
        return row

    def _made(self, slot: tuple[int, int]) -> int:
        row = self._row(slot)
        if row is None:
            # That of nobody, else of the oldest day: the store is asked again.
            written = np.flatnonzero(self._unwritten == 0)
            if not len(written):
                raise Overloaded(retry_after_s=1)
            row = int(written[self._day[written].argmin()])
            self._key[row], self._day[row] = slot
            self._used[row] = 0
        return row


class Allowances:
    """What each key may still use: requests and fingerprints per second, fingerprints per day.

    Daily use is counted in memory, and `flush` writes it to the store each second. Servers that
    share a store can exceed a quota by what they answer between flushes, or while the store fails.
    """

    def __init__(
        self,
        keys: Keys,
        max_requests_per_second: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        use: KeyUse | None = None,
    ) -> None:
        """Prepare.

        Args:
            keys: of the store.
            max_requests_per_second: of each key.
            now: UTC.
            use: what all workers have counted; by default nothing yet, by this process alone.
        """
        self._keys = keys
        self._max_requests_per_second = max_requests_per_second
        self._now = now
        self._use = use or KeyUse(Memory())

    def count_request(self, key: Key) -> None:
        """Count a request of a key, of any kind.

        Raises:
            RateLimited: the key sends too many.
        """
        wait_s = self._use.requests.spend(key.id, self._max_requests_per_second, 1)
        if wait_s:
            raise RateLimited(retry_after_s=wait_s)

    def spend(self, key: Key, count: int) -> None:
        """Count the fingerprints or pictures that a key asks about; may read the store.

        Raises:
            RateLimited: the key asked about too many in the last seconds.
            QuotaExceeded: the daily quota would be exceeded.
        """
        now = self._now()
        day = int(now.timestamp()) // DAY_S
        slot = (key.id, day)
        quotas = self._use.quotas
        if quotas.used(slot) is None:
            self._read(slot)
        with quotas.memory:
            if (quotas.used(slot) or 0) + count > key.per_day:
                left_s = (day + 1) * DAY_S - int(now.timestamp())
                raise QuotaExceeded(quota=key.per_day, retry_after_s=left_s)
            wait_s = self._use.fingerprints.spend(key.id, key.per_second, count)
            if wait_s:
                raise RateLimited(retry_after_s=wait_s)
            quotas.add(slot, count)

    def flush(self) -> None:
        """Write the use since the last flush, of all workers, and read that of other servers.

        Raises:
            StoreError: the store cannot be written; the next flush retries.
        """
        quotas = self._use.quotas
        taken = quotas.take()
        for slot, count in list(taken.items()):
            try:
                total = self._keys.use(*slot, count)
            except EgideError:
                quotas.give_back(taken)
                raise
            del taken[slot]
            quotas.learn(slot, total)
        quotas.forget_before(int(self._now().timestamp()) // DAY_S)

    def _read(self, slot: tuple[int, int]) -> None:
        try:
            used = self._keys.use(*slot, 0)
        except StoreError:
            used = 0  # keep answering; the next successful flush corrects it
        self._use.quotas.learn(slot, used)


class KeyUse:
    """What all workers of a server have counted of each key."""

    def __init__(self, memory: Memory) -> None:
        self.requests = Rates(memory=memory)
        self.fingerprints = Rates(memory=memory)
        self.quotas = Quotas(memory)
