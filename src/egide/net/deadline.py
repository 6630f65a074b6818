"""The deadline of a whole request."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from egide.errors import FetchTimeout


@dataclass(frozen=True, slots=True)
class Deadline:
    """The time when a request must be over, including look-up, redirects and the last byte.

    Attributes:
        limit_s: the total time allowed, for the message.
        end: on the monotonic clock.
    """

    limit_s: float
    end: float

    @classmethod
    def after(cls, limit_s: float) -> Self:
        """Set the deadline `limit_s` seconds from now."""
        return cls(limit_s, time.monotonic() + limit_s)

    def remaining_s(self) -> float:
        """Return the remaining seconds, more than 0.

        Raises:
            FetchTimeout: no time is left.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> FetchTimeout:
        """Return the error for a missed deadline."""
        return FetchTimeout(limit_s=f"{self.limit_s:g}")
