"""How much may be asked: rates in memory, quotas of the day in the store."""

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
    """A rate for each of many askers, kept in the mean: who asked much at once waits longer.

    Each asker has one number, the time at which all that it asked for would be served at its rate
    (the generic cell rate algorithm). A question is answered if that time has come, whatever its
    size, so that a batch larger than a second's worth passes and is paid for afterwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._served_at: dict[Hashable, float] = {}
        self._lock = Lock()

    def spend(self, asker: Hashable, per_second: float, count: int, *, burst_s: float = 1.0) -> int:
        """Spend `count` of an asker's rate, if it may.

        Args:
            asker: any value that names it.
            per_second: its rate.
            count: what is asked for.
            burst_s: so many seconds' worth may be asked for at once without waiting.

        Returns:
            0, or in how many whole seconds to ask again; nothing was spent then.
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
        """Drop askers with nothing left to pay; if none is, all: better than to refuse new ones."""
        self._served_at = {who: at for who, at in self._served_at.items() if at > now}
        if len(self._served_at) >= _MAX_BUCKETS:
            self._served_at.clear()


class Allowances:
    """What each key may still ask: requests, fingerprints a second, fingerprints a day.

    A day's use is counted here and written to the store by `flush`, each second; processes that
    share a store overshoot a quota by at most what they answer in that time, or while the store
    cannot be used.
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
        """Count a request of a key, whatever it asks for.

        Raises:
            RateLimited: it sends too many.
        """
        wait_s = self._requests.spend(key.id, self._max_requests_per_second, 1)
        if wait_s:
            raise RateLimited(retry_after_s=wait_s)

    def spend(self, key: Key, count: int) -> None:
        """Count the fingerprints or pictures that a key asks about; may read the store.

        Raises:
            RateLimited: it has asked for too many in the last seconds.
            QuotaExceeded: the day's are used up, or would be.
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
        """Write what was used since the last time, and learn what other processes wrote.

        Raises:
            StoreError: the store cannot be written; it is tried again with the next flush.
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
            used = 0  # a register that is asked goes on; the next flush that succeeds knows better
        with self._lock:
            self._used.setdefault(slot, used)
