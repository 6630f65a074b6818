from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.access import Key, Role
from egide.errors import QuotaExceeded, RateLimited, StoreLocked
from egide.server.http.limits import DAY_S, Allowances, Rates


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class KeyUse:
    """Stands for the table of what keys have used."""

    def __init__(self) -> None:
        self.used: dict[tuple[int, int], int] = {}
        self.locked = False

    def use(self, key_id: int, day: int, count: int) -> int:
        if self.locked:
            raise StoreLocked(store="s")
        self.used[key_id, day] = self.used.get((key_id, day), 0) + count
        return self.used[key_id, day]


def _key(per_second: int = 100, per_day: int = 1000) -> Key:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Key(
        1, "uploads", "a" * 12, Role.MATCHER, "x", None, per_second, per_day, at, "local", None,
        None,
    )  # fmt: skip


def _allowances(use: KeyUse, now: datetime) -> Allowances:
    return Allowances(use, 1000, lambda: now)  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 300)), max_size=60))
def test_rate_holds_in_the_mean_for_any_pattern(asked: list[tuple[float, int]]) -> None:
    clock = Clock()
    rates = Rates(clock)
    start_s, spent = clock.now_s, 0
    for pause_s, count in asked:
        clock.now_s += pause_s
        if rates.spend("a", 10, count) == 0:
            spent += count
            # All but the last was paid for, beside the first second's worth.
            assert spent - count <= 10 * (clock.now_s - start_s + 1) + 1e-6


def test_batch_over_a_seconds_worth_passes_and_is_paid_for() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert rates.spend("a", 100, 10_000) == 0
    wait_s = rates.spend("a", 100, 1)
    assert wait_s == 99
    assert rates.spend("b", 100, 1) == 0, "another asker does not pay"
    clock.now_s += wait_s
    assert rates.spend("a", 100, 1) == 0


def test_quota_ends_at_midnight_utc() -> None:
    now = datetime(2026, 5, 1, 23, 59, 0, tzinfo=UTC)
    allowances = _allowances(KeyUse(), now)
    key = _key(per_day=10)
    allowances.spend(key, 10)
    with pytest.raises(QuotaExceeded) as caught:
        allowances.spend(key, 1)
    assert caught.value.fields == {"quota": 10, "retry_after_s": 60}


def test_refused_question_is_not_counted() -> None:
    use = KeyUse()
    allowances = _allowances(use, datetime(2026, 5, 1, tzinfo=UTC))
    key = _key(per_second=1, per_day=100)
    allowances.spend(key, 50)
    with pytest.raises(RateLimited):
        allowances.spend(key, 1)
    with pytest.raises(QuotaExceeded):
        allowances.spend(key, 51)
    allowances.flush()
    assert list(use.used.values()) == [50]


def test_use_by_other_processes_counts_after_a_flush() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    use = KeyUse()
    allowances = _allowances(use, now)
    key = _key(per_day=100, per_second=1000)
    allowances.spend(key, 10)
    use.use(key.id, int(now.timestamp()) // DAY_S, 85)
    allowances.flush()
    allowances.spend(key, 5)
    with pytest.raises(QuotaExceeded):
        allowances.spend(key, 1)


def test_use_before_a_restart_counts() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    use = KeyUse()
    first = _allowances(use, now)
    first.spend(_key(per_day=100), 100)
    first.flush()
    with pytest.raises(QuotaExceeded):
        _allowances(use, now).spend(_key(per_day=100), 1)


def test_nothing_is_lost_when_the_store_is_locked() -> None:
    use = KeyUse()
    allowances = _allowances(use, datetime(2026, 5, 1, tzinfo=UTC))
    allowances.spend(_key(), 7)
    use.locked = True
    with pytest.raises(StoreLocked):
        allowances.flush()
    use.locked = False
    allowances.flush()
    allowances.flush()
    assert list(use.used.values()) == [7]


def test_first_question_of_a_day_needs_no_store_and_use_before_it_counts_later() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    use = KeyUse()
    use.use(1, int(now.timestamp()) // DAY_S, 95)
    use.locked = True
    allowances = _allowances(use, now)
    allowances.spend(_key(per_day=100), 3)
    use.locked = False
    allowances.flush()
    with pytest.raises(QuotaExceeded):
        allowances.spend(_key(per_day=100), 3)
