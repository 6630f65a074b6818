"""What costs every test and is the subject of few, made cheap in the process of the tests.

Programs that tests start pay in full, as do the tests of each of these things.
"""

from collections.abc import Iterator
from itertools import chain
from subprocess import Popen
from typing import Any, ClassVar

import pytest

import made_once
from egide import compiled
from egide.domain.model import Limits
from egide.sandbox.decoding import DecodingPool
from egide.sandbox.decoding_process import DecodingProcess
from egide.security import passwords
from egide.server import service
from egide.store.database import sqlite

_FULL_COST = passwords.MEMORY_KIB, passwords.PASSES


@pytest.fixture(scope="session", autouse=True)
def argon2_of_a_millisecond() -> Iterator[None]:
    """Argon2id takes a millisecond, and half a second no longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "MEMORY_KIB", 64)
        patch.setattr(passwords, "PASSES", 1)
        yield


@pytest.fixture
def argon2_at_full_cost(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2id as it is outside of tests."""
    monkeypatch.setattr(passwords, "MEMORY_KIB", _FULL_COST[0])
    monkeypatch.setattr(passwords, "PASSES", _FULL_COST[1])
    forget_hashes()
    yield
    forget_hashes()


def forget_hashes() -> None:
    """Have Argon2's parameters be read anew."""
    passwords._hasher.cache_clear()
    passwords._nobodys_hash.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def nothing_compiled_in_passing() -> Iterator[None]:
    """However many pictures are fingerprinted, Numba takes its half minute where it is asked to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "WORTH_COMPILING", 10**9)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Processes are killed here, machines are not: nothing needs to reach the disk."""
    set_up = sqlite._set_up

    def without_waiting(connection: Any, record: object) -> None:
        set_up(connection, record)
        connection.execute("PRAGMA synchronous=OFF").close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "_set_up", without_waiting)
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_work() -> Iterator[None]:
    """What is the same for each store and each application is made once."""
    with pytest.MonkeyPatch.context() as patch:
        made_once.share(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def decoders_kept() -> Iterator[None]:
    """Registers that are served one after the other use the same decoders.

    One takes half a second to load. Those that did not answer, or died, are replaced as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "DecodingPool", _PoolOfKept)
        yield
    for process in chain.from_iterable(_KeptDecoder.spare.values()):
        process.kill()
        process.communicate()


class _KeptDecoder(DecodingProcess):
    """A decoder that, once it has loaded, goes on to the next pool with the same limits."""

    spare: ClassVar[dict[Limits, list[Popen[bytes]]]] = {}

    def start(self) -> None:
        super().end()
        spare = self.spare.get(self._limits, [])
        while spare:
            process = spare.pop()
            if process.poll() is None:
                assert process.stdin is not None
                assert process.stdout is not None
                self._requests, self._answers = process.stdin.fileno(), process.stdout.fileno()
                self._process, self._ready = process, True
                return
        super().start()

    def end(self) -> None:
        process = self._process
        if self._ready and process is not None and process.poll() is None:
            self.spare.setdefault(self._limits, []).append(process)
            self._process, self._ready = None, False
        super().end()


class _PoolOfKept(DecodingPool):
    def __init__(self, limits: Limits, workers: int, *, max_waiting: int) -> None:
        super().__init__(limits, workers, max_waiting=max_waiting)
        self._children = tuple(_KeptDecoder(limits) for _ in range(workers))
