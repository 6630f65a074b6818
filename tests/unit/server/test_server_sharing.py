"""What several workers count together. One process stands for all: it says which worker it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from egide.errors import Overloaded, QuotaExceeded, SettingInvalid
from egide.server.http.memory import Memory, SharedSemaphore
from egide.server.http.places import Places, Purpose, Shares
from egide.server.http.rates import Allowances, KeyUse, Rates
from egide.server.http.shared import Shared
from egide.server.settings import ServerSettings


@pytest.fixture
def memory() -> Memory:
    return Memory(2)


def test_what_is_held_counts_in_all_workers_until_its_worker_ends(memory: Memory) -> None:
    tally = memory.tally(2)
    assert tally.add("a", 3, most=4)
    memory.worker = 1
    assert not tally.add("a", 2, most=4)
    assert tally.add("a", 1, most=4)
    assert tally.add("b")
    with pytest.raises(Overloaded):
        tally.add("c")  # two askers have room
    memory.forget(0)
    assert (tally.total("a"), tally.total("b")) == (1, 1)
    tally.give_back("b")
    assert tally.add("c")
    assert tally.total("a") == 1


def test_semaphore_of_a_worker_that_was_killed_is_free(memory: Memory) -> None:
    places = SharedSemaphore(memory, 1)
    assert places.acquire(blocking=False)
    memory.worker = 1
    assert not places.acquire(blocking=False)
    memory.forget(0)
    assert places.acquire(blocking=False)


def test_places_are_those_of_all_workers(memory: Memory) -> None:
    places = Places(ServerSettings(max_requests=10, keys_share=0.2, leaving_share=0.1), memory)

    async def fill() -> int:
        for held in range(20):
            memory.worker = held % 2
            try:
                await places.work(Purpose.KEYED).__aenter__()
            except Overloaded:
                return held
        return 20

    assert asyncio.run(fill()) == 9  # all but the one that is kept for leaving


def test_request_waits_for_those_of_its_asker_in_another_worker(memory: Memory) -> None:
    shares = Shares(10, memory)

    def elsewhere(running: int, asking: int) -> None:
        memory.worker = 1
        shares._running.add("a", running)
        shares._asking.add("a", asking)
        memory.worker = 0

    async def walk() -> None:
        entered = asyncio.Event()

        async def ask() -> None:
            async with shares.one("a", 2, 100):
                entered.set()
                await asyncio.sleep(3600)

        elsewhere(2, 3)
        asking = [asyncio.create_task(ask()) for _ in range(2)]
        await asyncio.sleep(0.05)
        assert not entered.is_set()
        elsewhere(-1, -1)
        await entered.wait()
        await asyncio.sleep(0.05)
        elsewhere(-1, 0)
        await asyncio.sleep(0.05)
        assert shares._running.total("a") == 1  # the second place is for who waits in the other
        elsewhere(0, -2)
        while shares._running.total("a") < 2:
            await asyncio.sleep(0.01)
        for one in asking:
            one.cancel()
        await asyncio.wait(asking)
        assert (shares._running.total("a"), shares._asking.total("a")) == (0, 0)

    asyncio.run(walk())


def test_rates_and_quotas_are_not_multiplied(memory: Memory) -> None:
    rates = Rates(lambda: 1000.0, memory=memory)
    used: dict[tuple[int, int], int] = {}

    def use(key: int, day: int, count: int) -> int:
        used[key, day] = used.get((key, day), 0) + count
        return used[key, day]

    now = datetime(2026, 5, 1, tzinfo=UTC)
    shared = KeyUse(memory)
    workers = [
        Allowances(SimpleNamespace(use=use), 1000, lambda: now, use=shared)  # type: ignore[arg-type]
        for _ in range(2)
    ]
    key: Any = SimpleNamespace(id=7, per_second=1000, per_day=100)
    assert rates.spend("a", 1, 5) == 0
    workers[0].spend(key, 60)
    memory.worker = 1
    assert rates.spend("a", 1, 1) == 4
    with pytest.raises(QuotaExceeded):
        workers[1].spend(key, 41)
    workers[1].spend(key, 40)
    memory.forget(0)  # it was killed before it wrote anything
    workers[1].flush()
    assert list(used.values()) == [100]
    with pytest.raises(QuotaExceeded):
        workers[0].spend(key, 1)


def test_register_is_ready_when_all_who_take_connections_are() -> None:
    shared = Shared(2)
    shared.say(ready=True)
    assert shared.all_ready  # the other does not take any yet
    shared.memory.worker = 1
    shared.say(ready=False)
    shared.memory.worker = 0
    assert not shared.all_ready
    assert shared.count_connections(3) == 3
    shared.forget(1)
    assert shared.all_ready
    assert shared.count_connections(3) == 0


def test_what_workers_divide_is_all_of_it() -> None:
    settings = ServerSettings(
        workers=3, decoders=4, max_connections=100, max_connections_per_address=7, max_waiting=3
    )
    parts = [settings.of_worker(worker) for worker in range(3)]
    assert [part.decoders for part in parts] == [2, 1, 1]
    assert [part.max_connections for part in parts] == [34, 33, 33]
    assert [part.max_connections_per_address for part in parts] == [3, 2, 2]
    assert [part.max_waiting for part in parts] == [1, 1, 1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 3, "decoders": 2},
        {"workers": 200},
        {"workers": 3, "max_waiting": 2},
        {"workers": 0},
        {"workers": -1},
        {"workers": "many"},
        {"workers": 1.5},
    ],
)
def test_more_workers_than_there_is_to_divide_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingInvalid, match="workers"):
        ServerSettings.load(**wrong)
