"""Threads that write to served registers and ask them, and a book of what they were promised."""

from __future__ import annotations

import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from threading import Event, Lock, Thread
from typing import Any

from urllib3 import HTTPConnectionPool, connection_from_url
from urllib3.exceptions import HTTPError
from urllib3.filepost import encode_multipart_formdata

from egide.domain.access import Role
from egide.domain.model import Entry, Registration, State
from egide.store.changing import ChangingStore as Store

DEADLINE_S = 60.0
BANK = "helpline"
STANDING = 8
"""So many entries, of the numbers below it, are there from the beginning and stay."""
BATCH = 3
_ABSENT = 10**9


def pdq(number: int) -> bytes:
    """A code far from those of all other numbers."""
    return sha256(b"load %d" % number).digest()


def until(condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S) -> float:
    """Wait; return how long it took, in seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s, f"waited in vain: {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def new_register(url: str, entries: int = STANDING) -> str:
    """Make a store with a bank of standing entries; return the token of an admin's key."""
    with Store.open(url, create=True) as store:
        store.banks.create(BANK)
        store.entries.register(
            BANK, (Registration(pdqs=(pdq(number),)) for number in range(entries))
        )
        _, token = store.keys.create(
            "load", Role.ADMIN, "a holder", per_second=10**6, per_day=10**9
        )
        return token


class Client:
    """One keep-alive connection to a served register.

    Attributes:
        answered: the numbers of requests whose answers arrived.
        asked_at: when the request that was not answered yet was sent, by the monotonic clock.
    """

    def __init__(self, address: str, token: str) -> None:
        self.answered: set[str] = set()
        self.asked_at = math.inf
        self._pool: HTTPConnectionPool = connection_from_url(address, retries=False, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Send a request; return its status and what the answer's JSON says."""
        return self.send(method, path, body=None if body is None else json.dumps(body).encode())

    def upload(self, picture: bytes) -> tuple[int, Any]:
        """Ask whether a picture matches."""
        body, kind = encode_multipart_formdata({"file": ("picture", picture)})
        return self.send("POST", "/v1/match", body=body, headers={"Content-Type": kind})

    def send(
        self, method: str, path: str, *, body: bytes | None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Send a request with a body of any kind."""
        given = self._headers | (headers or {})
        self.asked_at = time.monotonic()
        answer = self._pool.request(method, path, body=body, headers=given)
        self.asked_at = math.inf
        self.answered.add(answer.headers["X-Request-Id"])
        if answer.status >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json", answer.data
        return answer.status, json.loads(answer.data)

    def matched(self, numbers: Sequence[int]) -> list[list[int]]:
        """Ask for the codes of some numbers; return the entries that each of them met."""
        asked = [{"pdq": pdq(number).hex()} for number in numbers]
        status, said = self.ask("POST", "/v1/match/fingerprints", {"fingerprints": asked})
        assert status == 200, said
        return [[match["entry"] for match in one["matches"]] for one in said["results"]]

    def readiness(self) -> tuple[int, str]:
        """What /readyz says: its status, and its code."""
        status, said = self.ask("GET", "/readyz")
        return status, said.get("code", "")

    def close(self) -> None:
        self._pool.close()


@contextmanager
def client(address: str, token: str) -> Iterator[Client]:
    opened = Client(address, token)
    try:
        yield opened
    finally:
        opened.close()


@dataclass(slots=True)
class Batch:
    """Codes that are registered by one request, all of them or none.

    Attributes:
        number: of its first code; the others follow.
        entries: what the register called them, where it answered.
        withdrawn: whether it said that the first of them was withdrawn.
        open: whether a request about it got no answer, or none that says what was done.
    """

    number: int
    entries: list[int] = field(default_factory=list)
    withdrawn: bool = False
    open: bool = False

    @property
    def numbers(self) -> range:
        return range(self.number, self.number + BATCH)


class Load:
    """Writers and readers, each in a thread with a connection of its own.

    Attributes:
        answered: the numbers of requests whose answers arrived.
        refused: answers other than a success, by status and code.
        wrong: what readers were told that was not so.
    """

    def __init__(self, token: str) -> None:
        self.answered: set[str] = set()
        self.refused: Counter[tuple[int, str]] = Counter()
        self.wrong: list[str] = []
        self._token = token
        self._batches: list[Batch] = []
        self._clients: list[Client] = []
        self._done: Counter[str] = Counter()
        self._numbers = count(STANDING * 1000, BATCH)
        self._lock = Lock()
        self._stopping = Event()
        self._threads: list[Thread] = []

    def write_to(self, address: str, threads: int = 2) -> None:
        """Begin to register and withdraw, until the process there is gone."""
        self._start(self._write, address, threads)

    def repeat(self, act: Callable[[Client], object], address: str, threads: int = 1) -> None:
        """Begin to do something else, again and again, until the process there is gone."""
        self._start(lambda own, _: act(own), address, threads)

    def waiting(self, before: float) -> int:
        """How many requests were sent before a moment, and were not answered."""
        return sum(own.asked_at < before for own in self._clients)

    def read_from(self, address: str, threads: int = 1) -> None:
        """Begin to ask for what stands, until the process there is gone."""
        self._start(self._read, address, threads)

    def done(self, address: str) -> int:
        """How many writes a process has acknowledged."""
        return self._done[address]

    def await_done(self, address: str, more: int) -> None:
        """Wait until a process has acknowledged so many more writes."""
        enough = self._done[address] + more
        until(lambda: self._done[address] >= enough, f"writes to {address}: {self.refused}")

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    def check(self, store: Store, *addresses: str, undone: bool = False) -> None:
        """See that all that was promised is so, in the store and in what processes match.

        Args:
            store: of the register.
            addresses: of processes that serve it.
            undone: whether what was not answered must not have been done either.
        """
        assert not self.wrong, self.wrong[:3]
        held: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in store.entries.list(BANK):
            held[entry.source].append(entry)
        standing = held.pop("local")
        assert [entry.pdqs for entry in standing[:STANDING]] == [
            (pdq(number),) for number in range(STANDING)
        ]
        expected: dict[int, list[int]] = {}
        for batch in self._batches:
            found = held.pop(f"key:load/{batch.number}", [])
            assert len(found) == BATCH or (batch.open and not found), "a request was half done"
            assert not (undone and found) or batch.entries, "it was done, and not answered"
            ids = [entry.id for entry in found]
            assert batch.entries in (ids, []), "an entry was lost, or is there twice"
            active = [entry.state is State.ACTIVE for entry in found]
            assert all(active[1:]), "nobody withdrew that"
            if found and (undone or not batch.open):
                assert active[0] is not batch.withdrawn, "a withdrawal was lost, or came unasked"
            for number, id_, live in zip(batch.numbers, ids, active, strict=False):
                expected[number] = [id_] if live else []
        assert not held, "entries that nobody asked for"
        store.log.verify()
        for address in addresses:
            with client(address, self._token) as asking:
                until(
                    lambda asking=asking: asking.matched(list(expected)) == list(expected.values()),  # type: ignore[misc]
                    f"{address} to match what the store holds",
                )

    def _start(self, act: Callable[[Client, str], object], address: str, threads: int) -> None:
        def run() -> None:
            with client(address, self._token) as own:
                self._clients.append(own)
                try:
                    while not self._stopping.is_set():
                        act(own, address)
                except HTTPError:
                    pass  # the process is gone
                except AssertionError as error:
                    self.wrong.append(str(error))
                self.answered |= own.answered

        for _ in range(threads):
            thread = Thread(target=run)
            thread.start()
            self._threads.append(thread)

    def _write(self, own: Client, address: str) -> None:
        with self._lock:
            batch = Batch(next(self._numbers))
            self._batches.append(batch)
        said = self._try(own, batch, address, f"/v1/banks/{BANK}/entries", {
            "entries": [
                {"pdq": [pdq(number).hex()], "source": str(batch.number)}
                for number in batch.numbers
            ]
        })  # fmt: skip
        if said is None:
            return
        batch.entries = [one["entry"] for one in said["outcomes"]]
        path = f"/v1/banks/{BANK}/entries/{batch.entries[0]}/withdraw"
        if batch.number % 2 and self._try(own, batch, address, path, None) is not None:
            batch.withdrawn = True

    def _try(self, own: Client, batch: Batch, address: str, path: str, body: Any) -> Any:
        """Write; None where it was not acknowledged."""
        batch.open = True
        status, said = own.ask("POST", path, body)
        if status >= 400:
            self.refused[status, said["code"]] += 1
            time.sleep(0.05)
            return None
        batch.open = False
        self._done[address] += 1
        return said

    def _read(self, own: Client, _address: str) -> None:
        found = own.matched([*range(STANDING), _ABSENT])
        expected = [[number + 1] for number in range(STANDING)]
        assert found == [*expected, []], found
        time.sleep(0.01)
