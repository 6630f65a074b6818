"""Limits on use: rates in memory, daily quotas in the store."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING

from egide.errors import EgideError, QuotaExceeded, RateLimited, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from egide.domain.access import Key
    from egide.store.access.keys import Keys

DAY_S = 86_400
_MAX_BUCKETS = 10_000


class Rates:
    """An average rate for each of many askers: after a large request, an asker waits longer.

    Each asker has one number: the time at which all its requests would be served at its rate (the
    generic cell rate algorithm). A request of any size passes if that time has come. So a batch
    larger than a second's worth passes, and the asker waits afterwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._served_at: dict[Hashable, float] = {}
        self._lock = Lock()

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
        with self._lock:
            now = self._clock()
            served_at = max(self._served_at.get(asker, 0.0), now)
            wait_s = served_at - now - burst_s
            if wait_s > 0:
                return math.ceil(wait_s)
            if asker not in self._served_at and len(self._served_at) >= _MAX_BUCKETS:
                self._forget(now)
            self._served_at[asker] = served_at + count / per_second
            return 0

    def _forget(self, now: float) -> None:
        """Drop askers that need not wait; if none, drop all, rather than refuse new ones."""
        self._served_at = {who: at for who, at in self._served_at.items() if at > now}
        if len(self._served_at) >= _MAX_BUCKETS:
            self._served_at.clear()


class Allowances:
    """What each key may still use: requests and fingerprints per second, fingerprints per day.

    Daily use is counted here, and `flush` writes it to the store each second. Processes that share
    a store can exceed a quota by what they answer between flushes, or while the store fails.
    """

    def __init__(
        self,
        keys: Keys,
        max_requests_per_second: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = keys
        self._max_requests_per_second = max_requests_per_second
        self._now = now
        self._requests = Rates()
        self._fingerprints = Rates()
        self._lock = Lock()
        self._used: dict[tuple[int, int], int] = {}
        self._unwritten: dict[tuple[int, int], int] = {}

    def count_request(self, key: Key) -> None:
        """Count a request of a key, of any kind.

        Raises:
            RateLimited: the key sends too many.
        """
        wait_s = self._requests.spend(key.id, self._max_requests_per_second, 1)
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
        if slot not in self._used:
            self._read(slot)
        with self._lock:
            if self._used[slot] + self._unwritten.get(slot, 0) + count > key.per_day:
                left_s = (day + 1) * DAY_S - int(now.timestamp())
                raise QuotaExceeded(quota=key.per_day, retry_after_s=left_s)
            wait_s = self._fingerprints.spend(key.id, key.per_second, count)
            if wait_s:
                raise RateLimited(retry_after_s=wait_s)
            self._unwritten[slot] = self._unwritten.get(slot, 0) + count

    def flush(self) -> None:
        """Write the use since the last flush, and read that of other processes.

        Raises:
            StoreError: the store cannot be written; the next flush retries.
        """
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        for slot, count in list(taken.items()):
            try:
                total = self._keys.use(*slot, count)
            except EgideError:
                with self._lock:
                    for unwritten, left in taken.items():
                        self._unwritten[unwritten] = self._unwritten.get(unwritten, 0) + left
                raise
            del taken[slot]
            with self._lock:
                self._used[slot] = total
        today = int(self._now().timestamp()) // DAY_S
        with self._lock:
            self._used = {slot: used for slot, used in self._used.items() if slot[1] >= today}

    def _read(self, slot: tuple[int, int]) -> None:
        try:
            used = self._keys.use(*slot, 0)
        except StoreError:
            used = 0  # keep answering; the next successful flush corrects it
        with self._lock:
            self._used.setdefault(slot, used)
