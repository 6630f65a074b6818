"""Look-ups that come at once: each caller gets its own answer, from few searches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TYPE_CHECKING

import pytest

from egide.domain.model import Fingerprint, Match, Pdq, Signal, Transform, Trust
from egide.errors import BankMissing
from egide.live.combining import MAX_COMBINED_CODES, Combiner
from egide.matching import Found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.live.combining import Question

ALL: Question = (None, None)


def asked(number: int) -> Fingerprint:
    return Fingerprint((Pdq(number.to_bytes(32), 100),))


def answer(number: int) -> list[Match]:
    return [Match(number, "b", Signal.PDQ, 0, Transform.IDENTITY, Trust.UNVERIFIED, 0, 1)]


class Searching:
    """Answers each fingerprint with its number, and holds the first search until told to go on."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Question]] = []
        self.began, self.go_on = Event(), Event()
        self._one = Lock()

    def __call__(self, fingerprints: Sequence[Fingerprint], question: Question) -> Found:
        assert self._one.acquire(blocking=False), "two searches at once"
        try:
            self.calls.append((len(fingerprints), question))
            self.began.set()
            assert self.go_on.wait(30)
            if question[0] == ("nowhere",):
                raise BankMissing(bank="nowhere")
            matches = [answer(int.from_bytes(each.frames[0].code)) for each in fingerprints]
            return Found(matches, 1, ("b",), True, ())
        finally:
            self._one.release()


def waiting(combiner: Combiner) -> int:
    with combiner._lock:
        return len(combiner._waiting)


def until_waiting(combiner: Combiner, count: int) -> None:
    pause = Event()
    for _ in range(3000):
        if waiting(combiner) == count:
            return
        pause.wait(0.01)
    raise AssertionError(f"{waiting(combiner)} wait, not {count}")


def test_who_asks_during_a_search_is_answered_by_one_more() -> None:
    searching = Searching()
    combiner = Combiner(searching)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(combiner.search, [asked(0)], ALL)
        assert searching.began.wait(30)
        others = [
            pool.submit(combiner.search, [asked(n), asked(100 + n)], ALL) for n in range(1, 9)
        ]
        until_waiting(combiner, 8)
        searching.go_on.set()
        assert first.result(30).matches == [answer(0)]
        for number, other in enumerate(others, 1):
            assert other.result(30).matches == [answer(number), answer(100 + number)]
    assert searching.calls == [(1, ALL), (16, ALL)]


def test_different_questions_are_searched_apart_and_errors_reach_who_asked() -> None:
    searching = Searching()
    combiner = Combiner(searching)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(combiner.search, [asked(0)], ALL)
        assert searching.began.wait(30)
        wrong = [pool.submit(combiner.search, [asked(1)], (("nowhere",), None)) for _ in range(2)]
        right = pool.submit(combiner.search, [asked(2)], (None, 5))
        until_waiting(combiner, 3)
        searching.go_on.set()
        assert first.result(30).matches == [answer(0)]
        for each in wrong:
            with pytest.raises(BankMissing):
                each.result(30)
        assert right.result(30).matches == [answer(2)]
    searching_again = combiner.search([asked(7)], ALL)
    assert searching_again.matches == [answer(7)]


def test_no_more_codes_are_combined_than_the_limit() -> None:
    searching = Searching()
    combiner = Combiner(searching)
    half = MAX_COMBINED_CODES // 2
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(combiner.search, [asked(0)], ALL)
        assert searching.began.wait(30)
        for place in range(3):
            pool.submit(combiner.search, [asked(n) for n in range(half)], ALL)
            until_waiting(combiner, place + 1)
        searching.go_on.set()
        assert first.result(30).matches == [answer(0)]
    assert [count for count, _ in searching.calls] == [1, 2 * half, half]


def test_a_large_batch_is_not_combined() -> None:
    searching = Searching()
    searching.go_on.set()
    combiner = Combiner(searching)
    many = [asked(number) for number in range(MAX_COMBINED_CODES + 1)]
    assert combiner.search(many, ALL).matches == [answer(number) for number in range(len(many))]
    assert combiner.search([], ALL).matches == []
