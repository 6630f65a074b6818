"""Additions and withdrawals for minutes while others ask, every answer judged by a reference."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from random import Random
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

import egide
from egide.domain.model import State
from egide.errors import EgideError
from entries import BANK
from service.client import Connection
from service.growth import Growth, growth_of
from service.ledger import Ledger, Told, Verdict
from service.plan import EFFECT_S, RADIUS_BITS
from service.processes import MemorySampler
from service.progress import say
from service.questions import PATH, body_of, changed
from service.writes import WriteRefusedError, register, withdraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.plan import Plan
    from service.prepared import Keys
    from service.served import Server

ADDED_TOGETHER = (1, 1, 1, 5, 20)
"""Entries that a registration may bring."""
ADDED_SHARE = 0.6
"""Of the changes; the others are withdrawals, each of one entry."""
_STANDING = 4000
"""Codes of the store from before that are asked for too, and may be withdrawn."""
_RECENT, _OTHERS, _ABSENT = 4, 4, 2
"""Codes of one look-up: changed lately, of all that is known of, never registered."""
_PROGRESS_S = 30.0
_CHECK_BATCH = 5000
_WRITES_END = 0.97
"""Of the time: the last changes are due then, so that the end sees them take effect."""
_SHOWN = 5


@dataclass(slots=True)
class Judged:
    """What one reader, or all, found.

    Attributes:
        requests: that were answered.
        verdicts: of the codes that were asked about.
        lag_s: the longest that a change had been acknowledged of which an answer did not know.
        errors: answers that were none, or worse.
        wrong: what was wrong with wrong answers, the first few.
        latencies_s: of the requests.
    """

    requests: int = 0
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    lag_s: float = 0.0
    errors: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)

    def add(self, other: Judged) -> None:
        """Take in what another found."""
        self.requests += other.requests
        self.verdicts += other.verdicts
        self.lag_s = max(self.lag_s, other.lag_s)
        self.errors += other.errors
        self.wrong += other.wrong
        self.latencies_s += other.latencies_s

    def note(self, verdict: Verdict, what: str) -> None:
        """Count a verdict."""
        self.verdicts[verdict] += 1
        if verdict is Verdict.WRONG and len(self.wrong) < _SHOWN:
            self.wrong.append(what)


@dataclass(frozen=True, slots=True)
class Endurance:
    """How a register stood it.

    Attributes:
        database: `sqlite` or `postgresql`.
        seconds: from the first change to the last.
        added, withdrawn: entries.
        write_ms_p50, write_ms_p99: of a registration or withdrawal.
        writes_late_s: how far behind their schedule writes were at the worst.
        requests: of look-ups, each about ten codes.
        read_ms_p50, read_ms_p99: of a look-up.
        codes: that were asked about, by what the answer was worth.
        lag_s: the longest that a change had been acknowledged of which an answer did not know.
        errors: how many requests failed, and the first of them.
        wrong: what was wrong, the first of it.
        checked_at_end: codes that were all asked about once more after the last change.
        kept: whether the store holds as many entries as it should, and its log verifies.
        growth: of the server's memory.
    """

    database: str
    seconds: float
    added: int
    withdrawn: int
    write_ms_p50: float
    write_ms_p99: float
    writes_late_s: float
    requests: int
    read_ms_p50: float
    read_ms_p99: float
    codes: dict[str, int]
    lag_s: float
    errors: tuple[int, str]
    wrong: tuple[str, ...]
    checked_at_end: int
    kept: bool
    growth: Growth


def measure_endurance(
    url: str, server: Server, keys: Keys, codes: NDArray[np.uint8], plan: Plan
) -> Endurance:
    """Change and ask for as long as planned, then ask about everything once more.

    Args:
        url: of the store that is served.
        server: that serves it.
        keys: for asking and for changing.
        codes: that it holds as the entries 1 to n.
        plan: how long, and how much.
    """
    database = url.partition(":")[0].partition("+")[0]
    standing = np.random.default_rng(4).permutation(len(codes))[:_STANDING]
    ledger = Ledger([Told(codes[row].tobytes(), int(row) + 1, -EFFECT_S) for row in standing])
    writing = _Writing(ledger, plan)
    judged = Judged()
    ended = Event()
    with (
        MemorySampler(server.pid) as memory,
        ThreadPoolExecutor(plan.readers + plan.writers) as threads,
    ):
        began = time.monotonic()
        readers = [
            threads.submit(
                _read, server.address, keys.matcher, ledger, Random(seed), plan.pause_s, ended
            )
            for seed in range(plan.readers)
        ]
        writers = [
            threads.submit(writing.work, server.address, keys.curator, Random(1000 + number))
            for number in range(plan.writers)
        ]
        try:
            while time.monotonic() - began < plan.endurance_s or not all(
                writer.done() for writer in writers
            ):
                time.sleep(min(_PROGRESS_S, plan.endurance_s / 4))
                own = memory.samples[-1].own if memory.samples else 0.0
                say(f"{database}: {writing.done:,} changes, own memory {own:.0f} MiB")
        finally:
            writing.stop()
            ended.set()
        for reader in readers:
            judged.add(reader.result())
        for writer in writers:
            writer.result()
    seconds = writing.ended_s - began
    time.sleep(2 * EFFECT_S)
    final = _check_all(server.address, keys.matcher, ledger)
    judged.errors += writing.errors + final.errors
    judged.wrong += final.wrong
    judged.verdicts[Verdict.WRONG] += final.verdicts[Verdict.WRONG]
    write_p50, write_p99 = np.percentile(writing.latencies_s, (50, 99)) * 1e3
    read_p50, read_p99 = np.percentile(judged.latencies_s, (50, 99)) * 1e3
    return Endurance(
        database,
        seconds,
        writing.added,
        writing.withdrawn,
        float(write_p50),
        float(write_p99),
        writing.late_s,
        judged.requests,
        float(read_p50),
        float(read_p99),
        {verdict.value: judged.verdicts[verdict] for verdict in Verdict},
        judged.lag_s,
        (len(judged.errors), judged.errors[0] if judged.errors else ""),
        tuple(judged.wrong[:_SHOWN]),
        sum(final.verdicts.values()),
        _kept(url, len(codes) + writing.added - writing.withdrawn),
        growth_of(memory.samples),
    )


class _Writing:
    """Changes that are due at even distances, for threads that take one after the other."""

    def __init__(self, ledger: Ledger, plan: Plan) -> None:
        self.added = 0
        self.withdrawn = 0
        self.late_s = 0.0
        self.ended_s = 0.0
        self.latencies_s: list[float] = []
        self.errors: list[str] = []
        self._ledger = ledger
        self._sizes = _planned(plan.changes)
        self._between_s = _WRITES_END * plan.endurance_s / len(self._sizes)
        self._began = time.monotonic()
        self._numbers = count()
        self._lock = Lock()
        self._stopped = False

    @property
    def done(self) -> int:
        """How many entries were added or withdrawn so far."""
        return self.added + self.withdrawn

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    def work(self, address: str, token: str, rng: Random) -> None:
        """Send what is due next, until nothing is."""
        with Connection(address, token) as curator:
            while (number := next(self._numbers)) < len(self._sizes) and not self._stopped:
                early_s = self._began + number * self._between_s - time.monotonic()
                if early_s > 0:
                    time.sleep(early_s)
                try:
                    self._change(curator, self._sizes[number], rng, -early_s)
                except (WriteRefusedError, OSError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}")
                    if isinstance(error, OSError):
                        return
        self.ended_s = max(self.ended_s, time.monotonic())

    def _change(self, curator: Connection, size: int, rng: Random, late_s: float) -> None:
        """Register so many codes, or withdraw one for 0."""
        sent_s = time.monotonic()
        if size:
            codes = [rng.randbytes(32) for _ in range(size)]
            entries = register(curator, codes)
            at_s = time.monotonic()
            self._ledger.added(codes, entries, at_s)
        else:
            one = self._ledger.begin_withdrawal(rng, sent_s)
            withdraw(curator, one.entry)
            at_s = time.monotonic()
            self._ledger.withdrawn(one, at_s)
        with self._lock:
            self.added += size
            self.withdrawn += not size
            self.late_s = max(self.late_s, late_s)
            self.latencies_s.append(at_s - sent_s)


def _planned(changes: int) -> list[int]:
    """The sizes of all registrations, and 0 for each withdrawal, in random order."""
    rng = Random(5)
    sizes = []
    left = round(changes * ADDED_SHARE)
    while left:
        sizes.append(min(left, rng.choice(ADDED_TOGETHER)))
        left -= sizes[-1]
    sizes += [0] * (changes - round(changes * ADDED_SHARE))
    rng.shuffle(sizes)
    return sizes


def _read(
    address: str, token: str, ledger: Ledger, rng: Random, pause_s: float, ended: Event
) -> Judged:
    """Ask, with a pause after each answer, until told to end."""
    judged = Judged()
    draw = np.random.default_rng(rng.randrange(1 << 32))
    with Connection(address, token) as matcher:
        while not ended.wait(pause_s):
            told = ledger.sample(rng, _RECENT, _OTHERS)
            try:
                _ask(matcher, told, _ABSENT, judged, draw)
            except (OSError, ValueError, KeyError) as error:
                judged.errors.append(f"{type(error).__name__}: {error}")
                if isinstance(error, OSError):
                    break
    return judged


def _ask(
    matcher: Connection,
    told: list[Told],
    absent: int,
    judged: Judged,
    draw: np.random.Generator,
) -> None:
    """Ask about codes, some of whose bits are changed, and judge the answer."""
    known = np.frombuffer(b"".join(one.code for one in told), np.uint8).reshape(-1, 32)
    distances = draw.integers(0, RADIUS_BITS + 1, len(told)).tolist()
    asked = [changed(code, bits, draw) for code, bits in zip(known, distances, strict=True)]
    strangers = draw.integers(0, 256, (absent, 32), dtype=np.uint8)
    body = body_of(np.concatenate([np.array(asked, np.uint8), strangers]))
    sent_s = time.monotonic()
    answer = matcher.ask("POST", PATH, body)
    judged.latencies_s.append(time.monotonic() - sent_s)
    judged.requests += 1
    if answer.status != 200:
        judged.errors.append(f"status {answer.status}: {answer.body[:300]!r}")
        return
    results = json.loads(answer.body)["results"]
    found = [[(one["entry"], one["distance"]) for one in each["matches"]] for each in results]
    for one, distance, matches in zip(told, distances, found[: len(told)], strict=True):
        if matches not in ([], [(one.entry, distance)]):
            judged.note(Verdict.WRONG, f"{one.entry} at {distance} bits: {matches}")
            continue
        judged.lag_s = max(judged.lag_s, one.lag_s(bool(matches), sent_s))
        verdict = one.judge(bool(matches), sent_s)
        judged.note(verdict, f"entry {one.entry} was {'' if matches else 'not '}found")
    for matches in found[len(told) :]:
        verdict = Verdict.WRONG if matches else Verdict.RIGHT
        judged.note(verdict, f"a code that was never registered met {matches}")


def _kept(url: str, active: int) -> bool:
    """Whether the store itself holds what it should, and its log tells of all of it."""
    try:
        with egide.open_store(url) as store:
            store.log.verify()
            return store.banks.counts(BANK).state(State.ACTIVE) == active
    except EgideError as error:
        say(f"the store does not verify: {error.code}")
        return False


def _check_all(address: str, token: str, ledger: Ledger) -> Judged:
    """Ask about everything that was ever told, now that nothing changes any more."""
    judged = Judged()
    draw = np.random.default_rng(6)
    told = ledger.told
    with Connection(address, token) as matcher:
        for first in range(0, len(told), _CHECK_BATCH):
            _ask(matcher, told[first : first + _CHECK_BATCH], 0, judged, draw)
    return judged
