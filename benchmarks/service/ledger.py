"""What a register was told and has acknowledged, and so what it has to answer: the reference."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import TYPE_CHECKING

from service.plan import EFFECT_S

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

_RECENT = 64


class Verdict(StrEnum):
    """What an answer about one code is worth."""

    RIGHT = "right"
    OPEN = "open"
    """The change is so young, or still under way, that either answer would be right."""
    WRONG = "wrong"


@dataclass(slots=True, eq=False)
class Told:
    """A code and what the register was told of it; times are seconds of one clock.

    Attributes:
        code: 32 bytes.
        entry: what the register calls it.
        added_s: when its registration was acknowledged.
        ending_s: when its withdrawal began to be sent, or None.
        ended_s: when that was acknowledged, or None.
    """

    code: bytes
    entry: int
    added_s: float
    ending_s: float | None = None
    ended_s: float | None = None

    def judge(self, found: bool, sent_s: float) -> Verdict:
        """Say whether a look-up that was sent at a time, and is answered now, found what it had to.

        Args:
            found: whether the entry was among the matches.
            sent_s: when the look-up was sent; what was acknowledged over `EFFECT_S` before counts.
        """
        if self.ended_s is not None and sent_s - self.ended_s >= EFFECT_S:
            return Verdict.WRONG if found else Verdict.RIGHT
        # Whether a withdrawal was under way before the answer came: it is read after that.
        if self.ending_s is None and sent_s - self.added_s >= EFFECT_S:
            return Verdict.RIGHT if found else Verdict.WRONG
        return Verdict.OPEN

    def lag_s(self, found: bool, sent_s: float) -> float:
        """How old the last acknowledged change was that an answer did not know of; 0 if it did."""
        if self.ended_s is not None:
            return max(0.0, sent_s - self.ended_s) if found else 0.0
        if self.ending_s is None and not found:
            return max(0.0, sent_s - self.added_s)
        return 0.0


class Ledger:
    """All codes of which something is known. For any thread."""

    def __init__(self, standing: Sequence[Told]) -> None:
        """Begin with codes that are registered, as of long ago."""
        self._lock = Lock()
        self._active = list(standing)
        self._told = list(standing)
        self._recent: deque[Told] = deque(standing[:_RECENT], maxlen=_RECENT)

    @property
    def told(self) -> list[Told]:
        """All of them, withdrawn ones too."""
        with self._lock:
            return list(self._told)

    def added(self, codes: Sequence[bytes], entries: Sequence[int], at_s: float) -> None:
        """Write down that a registration was acknowledged."""
        new = [Told(code, entry, at_s) for code, entry in zip(codes, entries, strict=True)]
        with self._lock:
            self._active += new
            self._told += new
            self._recent.extend(new)

    def begin_withdrawal(self, rng: Random, at_s: float) -> Told:
        """Choose one that is active, and write down that its withdrawal is about to be sent."""
        with self._lock:
            place = rng.randrange(len(self._active))
            self._active[place], self._active[-1] = self._active[-1], self._active[place]
            chosen = self._active.pop()
            chosen.ending_s = at_s
            return chosen

    def withdrawn(self, one: Told, at_s: float) -> None:
        """Write down that a withdrawal was acknowledged."""
        with self._lock:
            one.ended_s = at_s
            self._recent.append(one)

    def sample(self, rng: Random, recent: int, others: int) -> list[Told]:
        """Return some that changed lately, and some of all."""
        with self._lock:
            lately = rng.sample(list(self._recent), min(recent, len(self._recent)))
            return lately + rng.sample(self._told, others)
