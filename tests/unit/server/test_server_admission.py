"""Who comes in while others hold places, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from starlette.requests import ClientDisconnect

from egide.errors import EgideError, Overloaded
from egide.server.app import create_app
from egide.server.http import kinds, places
from egide.server.http.admission import Admission
from egide.server.settings import ServerSettings

SETTINGS = ServerSettings(
    max_requests=40, keys_share=0.1, leaving_share=0.1, max_requests_per_address=4,
    max_requests_per_key=100,
)  # fmt: skip
CLEAN = "/v1/banks/a/entries/1/withdraw"


class Doors:
    """An application whose requests are worked on until they are let go."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.end = asyncio.Event()
        self.admission = Admission(self._work, SETTINGS, {"/v1": self._identify})

    async def _identify(self, request: Any) -> Any:
        return SimpleNamespace(id=int(request.headers["key"]))

    async def _work(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.working.append(scope["path"])
        await self.end.wait()
        length = (b"content-length", b"2")
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def ask(
        self, path: str, address: str, key: int = 1, send: Any = None, **further: Any
    ) -> None:
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"",
            "headers": [(b"key", str(key).encode())], "client": (address, 1),
        } | further  # fmt: skip
        await self.admission(scope, _nothing, send or _ignore)


async def _nothing() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _ignore(message: Any) -> None:
    del message


def run(walk: Callable[[Doors], Coroutine[Any, Any, None]]) -> None:
    """Walk through doors that work at once on as many as there are places."""

    async def walk_through() -> None:
        await walk(Doors())

    asyncio.run(walk_through())


@pytest.fixture(autouse=True)
def no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_AT_WORK", 100)
    monkeypatch.setattr(places, "_PATIENCE_S", 0.05)


async def _fill(doors: Doors, path: str, key: int = 1) -> list[asyncio.Task[None]]:
    """Ask from many addresses; return what is in progress."""
    asked = [asyncio.create_task(doors.ask(path, f"198.51.{n}.1", key)) for n in range(60)]
    await asyncio.sleep(0.02)
    for task in asked:
        if task.done():
            assert isinstance(task.exception(), Overloaded)
    return [task for task in asked if not task.done()]


@pytest.mark.parametrize(
    ("crowd", "count"), [("/en/how", 32), ("/v1/status", 36), ("/en/leave", 36)]
)
def test_what_is_kept_stays_free_whoever_fills_the_rest(crowd: str, count: int) -> None:
    async def walk(doors: Doors) -> None:
        held = await _fill(doors, crowd)
        assert len(held) == count
        before = len(doors.working)
        further = [path for path in ("/v1/match", "/en/case/withdraw", CLEAN) if path != crowd]
        late = [asyncio.create_task(doors.ask(path, "203.0.113.9", 2)) for path in further]
        await asyncio.sleep(0.02)
        kept = {"/en/how": 3, "/v1/status": 2, "/en/leave": 1}[crowd]
        assert len(doors.working) - before == kept
        doors.end.set()
        for task in (*held, *late):
            with suppress(Overloaded):
                await task
        await doors.ask("/en/how", "203.0.113.9")

    run(walk)


def test_one_address_waits_for_itself_alone() -> None:
    async def walk(doors: Doors) -> None:
        own = [asyncio.create_task(doors.ask("/en/how", "2001:db8::1")) for _ in range(6)]
        await asyncio.sleep(0.01)
        assert len(doors.working) == 4
        others = [
            asyncio.create_task(doors.ask("/en/how", "2001:db8:0:1::1")),
            asyncio.create_task(doors.ask("/en/leave", "2001:db8::2")),
        ]
        await asyncio.sleep(0.01)
        assert len(doors.working) == 6
        doors.end.set()
        await asyncio.gather(*own, *others)  # those that waited are served
        assert len(doors.working) == 8

    run(walk)


def test_nothing_is_made_for_who_has_gone_but_what_takes_them_out() -> None:
    async def walk(doors: Doors) -> None:
        doors.end.set()
        gone: dict[str, Any] = {"extensions": {"egide.gone": {"is": lambda: True}}}
        for path in ("/en/how", "/en/case", "/v1/status"):
            with pytest.raises(ClientDisconnect):
                await doors.ask(path, "203.0.113.1", **gone)
        await doors.ask("/en/case/withdraw", "203.0.113.1", method="POST", **gone)
        await doors.ask(CLEAN, "203.0.113.1", method="POST", **gone)
        assert doors.working == ["/en/case/withdraw", CLEAN]

    run(walk)


def test_answer_that_is_not_read_holds_no_place() -> None:
    async def walk(doors: Doors) -> None:
        doors.end.set()
        unread = asyncio.Event()

        async def send(message: Any) -> None:
            del message
            await unread.wait()

        asked = [
            asyncio.create_task(doors.ask("/v1/status", "203.0.113.1", send=send))
            for _ in range(60)
        ]
        await asyncio.sleep(0.02)
        assert not any(task.done() for task in asked)
        assert len(doors.working) == 60
        unread.set()
        await asyncio.gather(*asked)

    run(walk)


def test_query_has_an_end() -> None:
    async def walk(doors: Doors) -> None:
        scope = {
            "type": "http", "method": "GET", "path": "/en/", "query_string": b"a=1&" * 9000,
            "headers": [], "client": ("203.0.113.1", 1),
        }  # fmt: skip
        with pytest.raises(EgideError, match="query"):
            await doors.admission(scope, _nothing, _ignore)

    run(walk)


def test_paths_that_are_told_apart_exist(tmp_path: Path) -> None:
    settings = ServerSettings(store=f"sqlite:///{tmp_path / 'a.db'}", hma_enabled=True, pages=True)
    declared = {route.path for route in iter_route_contexts(create_app(settings).routes)}
    told = {kinds.FINGERPRINTS, kinds.ENTRIES, kinds.FEEDBACK}
    assert told | set(kinds.IMAGES) | set(kinds.UPLOADS) | set(kinds.LEAVING) <= declared


@pytest.mark.parametrize(
    ("path", "most", "leaving"),
    [
        ("/hma/m/compare", 65536, False),
        ("/v1/keys", 65536, False),
        ("/v1/match/fingerprints", 16 * 2**20, False),
        ("/v1/match/fingerprints/", 65536, False),
        ("/v1/feedback", 8 * 65536, False),
        ("/en/register/submit", 8 * 65536 + 100 * 64 * 68, False),
        ("/fr/case/withdraw", 65536, True),
        ("/v1/case/withdraw", 65536, False),
        (CLEAN, 65536, True),
    ],
)
def test_kind_of_a_request(path: str, most: int, leaving: bool) -> None:
    kind = kinds.Kinds(ServerSettings()).of(path)
    assert (kind.max_bytes, kind.leaving) == (most, leaving)
