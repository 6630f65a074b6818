"""Times: UTC in Python, whole Unix seconds in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

CLOCKS_DIFFER_S = 60
"""How far apart the clocks of processes that share a store may be."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=4096)  # the entries of one import share their times
def moment(unix_s: int) -> datetime:
    """Unix seconds as a UTC time."""
    return _EPOCH + timedelta(seconds=unix_s)


def unix_seconds(at: datetime) -> int:
    """A time in whole Unix seconds, rounded down; a time without a zone is read as UTC."""
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // timedelta(seconds=1)
