from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest

from egide.domain.access import Key, Role, new_token
from egide.errors import EgideError, RateLimited, StoreUnreadable, Unauthorized
from egide.server.http.auth import CACHE_S, STALE_S, Authenticator


class StoredKeys:
    """Stands for the table of keys."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[Key, bytes]] = {}
        self.reads = 0
        self.broken = False

    def find(self, handle: str) -> tuple[Key, bytes] | None:
        self.reads += 1
        if self.broken:
            raise StoreUnreadable(store="s", reason="gone")
        return self.found.get(handle)

    def add(self, **fields: datetime | None) -> str:
        handle, secret_hash, token = new_token()
        times: dict[str, datetime | None] = {"expires": None, "revoked": None} | fields
        at = datetime(2026, 1, 1, tzinfo=UTC)
        key = Key(1, "k", handle, Role.MATCHER, "x", None, 1, 1, at, "local", **times)
        self.found[handle] = (key, secret_hash)
        return token


class Tried:
    def __init__(self, failures: int = 1000) -> None:
        self.now_s = 100.0
        self.keys = StoredKeys()
        self.authenticator = Authenticator(self.keys, failures, lambda: self.now_s)  # type: ignore[arg-type]

    def __call__(self, header: str | None, address: str = "192.0.2.1") -> str:
        try:
            key = asyncio.run(self.authenticator.authenticate(header, address))
        except EgideError as error:
            return f"{error.code}: {error.message}"
        return key.name


PAST = datetime.now(UTC) - timedelta(seconds=1)
UNAUTHORIZED = f"unauthorized: {Unauthorized().message}"


def test_valid_key_opens() -> None:
    tried = Tried()
    token = tried.keys.add(expires=datetime.now(UTC) + timedelta(days=1))
    assert tried(f"Bearer {token}") == "k"
    assert tried(f"bearer  {token}") == "k"


def test_every_wrong_key_gets_the_same_answer() -> None:
    tried = Tried()
    token = tried.keys.add()
    expired, revoked = tried.keys.add(expires=PAST), tried.keys.add(revoked=PAST)
    _, _, unknown = new_token()
    wrong_secret = token[:-43] + unknown[-43:]
    for header in (
        None, "", "Bearer", "Bearer ", f"Basic {token}", token, f"Bearer {token}x",
        f"Bearer {token[:-1]}", f"Bearer {token} {token}", f"Bearer {wrong_secret}",
        f"Bearer {unknown}", f"Bearer {expired}", f"Bearer {revoked}", "Bearer \x00", "Bearer é",
    ):  # fmt: skip
        assert tried(header) == UNAUTHORIZED, header


def test_every_wrong_key_costs_the_same_look_up() -> None:
    for header in (None, f"Bearer {new_token()[2]}", "Bearer rubbish"):
        tried = Tried()
        tried(header)
        assert tried.keys.reads == 1, header


def test_revocation_takes_effect_within_a_second() -> None:
    tried = Tried()
    token = tried.keys.add()
    assert tried(f"Bearer {token}") == "k"
    tried.keys.found.clear()
    assert tried(f"Bearer {token}") == "k", "from the cache"
    tried.now_s += CACHE_S
    assert tried(f"Bearer {token}") == UNAUTHORIZED
    assert CACHE_S < 1


def test_known_key_opens_for_a_while_without_the_store() -> None:
    tried = Tried()
    token, other = tried.keys.add(), tried.keys.add()
    assert tried(f"Bearer {token}") == "k"
    tried.keys.broken = True
    tried.now_s += STALE_S - 1
    assert tried(f"Bearer {token}") == "k"
    assert tried(f"Bearer {other}").startswith("store-unreadable")
    tried.now_s += 2
    assert tried(f"Bearer {token}").startswith("store-unreadable")


def test_guessing_is_limited_by_address_and_valid_keys_are_not() -> None:
    tried = Tried(failures=30)
    token = tried.keys.add()
    answers = [tried("Bearer x") for _ in range(200)]
    allowed = answers.count(UNAUTHORIZED)
    assert 30 <= allowed <= 62
    assert answers[-1].startswith(RateLimited.code)
    assert tried(f"Bearer {token}") == "k"
    assert tried("Bearer x", "192.0.2.2") == UNAUTHORIZED


@pytest.mark.parametrize("count", [5000])
def test_guesses_do_not_fill_memory(count: int) -> None:
    tried = Tried(failures=10_000_000)

    async def guess() -> None:
        for _ in range(count):
            with pytest.raises(Unauthorized):
                await tried.authenticator.authenticate(f"Bearer {new_token()[2]}", "a")

    asyncio.run(guess())
    assert len(tried.authenticator._cache) <= 4096


def test_while_one_request_waits_for_the_store_no_other_does() -> None:
    """With a store that hangs, all threads would wait for it otherwise."""
    tried = Tried()
    header = f"Bearer {tried.keys.add()}"
    tried(header)
    tried.now_s += CACHE_S + 0.1
    back, find = Event(), tried.keys.find

    def hang(handle: str) -> tuple[Key, bytes] | None:
        assert back.wait(30)
        return find(handle)

    tried.keys.find = hang  # type: ignore[method-assign]

    async def ask() -> list[str]:
        first = asyncio.create_task(tried.authenticator.authenticate(header, "192.0.2.1"))
        await asyncio.sleep(0.05)
        others = [await tried.authenticator.authenticate(header, "192.0.2.1") for _ in range(3)]
        assert not first.done()
        back.set()
        return [key.name for key in (await first, *others)]

    assert asyncio.run(ask()) == 4 * ["k"]
    assert tried.keys.reads == 2
