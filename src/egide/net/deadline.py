"""One moment at which everything about a request ends."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from egide.errors import FetchTimeout


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a request must be over, look-up, redirects and the last byte included.

    Attributes:
        limit_s: seconds that were allowed in all, for the message.
        end: on the monotonic clock.
    """

    limit_s: float
    end: float

    @classmethod
    def after(cls, limit_s: float) -> Self:
        """Count from now."""
        return cls(limit_s, time.monotonic() + limit_s)

    def remaining_s(self) -> float:
        """Return the seconds that are left, more than 0.

        Raises:
            FetchTimeout: none are.
        """
        left = self.end - time.monotonic()
        if left <= 0:
            raise self.error()
        return left

    def error(self) -> FetchTimeout:
        """Return the error that says that time is up."""
        return FetchTimeout(limit_s=f"{self.limit_s:g}")
