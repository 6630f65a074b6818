"""Search concurrent look-ups together: one search for many costs less than many searches."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egide.domain.model import Fingerprint
    from egide.matching import Found

    Question = tuple[tuple[str, ...] | None, int | None]
    """Bank names, and the radius in bits."""
    Search = Callable[[Sequence[Fingerprint], Question], Found]

MAX_COMBINED_CODES = 512
"""Bounds the wait: this many take 30 to 50 ms of one core at a million codes."""


@dataclass(slots=True)
class _Waiting:
    """A look-up in the queue: another thread answers it, or its own thread answers the queue."""

    fingerprints: Sequence[Fingerprint]
    question: Question
    codes: int
    woken: Event = field(default_factory=Event)
    found: Found | None = None
    error: BaseException | None = None


class Combiner:
    """Let one thread search at a time, for all look-ups that arrived during the search before.

    A look-up that comes alone is searched at once. While one thread searches, the others do not
    compete for the interpreter, which is what makes many small searches slow.
    """

    def __init__(self, search: Search) -> None:
        """Combine calls of `search`, which must answer each fingerprint independently."""
        self._search = search
        self._lock = Lock()
        self._waiting: list[_Waiting] = []
        self._busy = False

    def search(self, fingerprints: Sequence[Fingerprint], question: Question) -> Found:
        """Call `search`; an error is raised to every caller with the same question."""
        codes = sum(map(_count_codes, fingerprints))
        if codes > MAX_COMBINED_CODES:
            return self._search(fingerprints, question)
        own = _Waiting(fingerprints, question, codes)
        with self._lock:
            self._waiting.append(own)
            waits = self._busy
            self._busy = True
        if waits:
            own.woken.wait()
        if own.found is None and own.error is None:
            self._search_for_all()
        if own.error is not None:
            raise own.error
        assert own.found is not None
        return own.found

    def _search_for_all(self) -> None:
        """Search for the waiting look-ups, oldest first; wake their threads and the next one."""
        with self._lock:
            taken, codes = 0, 0
            for each in self._waiting:
                codes += each.codes
                if taken and codes > MAX_COMBINED_CODES:
                    break
                taken += 1
            some, self._waiting = self._waiting[:taken], self._waiting[taken:]
        try:
            asked: dict[Question, list[_Waiting]] = {}
            for each in some:
                asked.setdefault(each.question, []).append(each)
            for question, alike in asked.items():
                self._answer(question, alike)
        finally:
            with self._lock:
                following = self._waiting[0] if self._waiting else None
                self._busy = following is not None
            if following is not None:
                following.woken.set()
            for each in some:
                each.woken.set()

    def _answer(self, question: Question, alike: Sequence[_Waiting]) -> None:
        try:
            found = self._search([one for each in alike for one in each.fingerprints], question)
        except BaseException as error:  # noqa: BLE001 - every caller raises it
            for each in alike:
                each.error = error
            return
        first = 0
        for each in alike:
            each.found = found.part(first, len(each.fingerprints))
            first += len(each.fingerprints)


def _count_codes(fingerprint: Fingerprint) -> int:
    pdqs = (*fingerprint.frames, *(region.pdq for region in fingerprint.regions))
    anchored = 0 if fingerprint.anchored is None else len(fingerprint.anchored.regions)
    return sum(8 if pdq.variants else 1 for pdq in pdqs) + anchored
