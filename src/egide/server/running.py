"""The serving processes: their socket, their signals, and their orderly end."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import signal
import socket
import sys
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import uvicorn

from egide.compiled import MIN_CODES, SEARCH, prepare_compiled
from egide.domain.access import Role
from egide.errors import (
    AddressDenied,
    AddressInUse,
    AddressUnknown,
    AddressUnusable,
    EgideError,
    KeyExists,
    SettingInvalid,
)
from egide.live.snapshots import codes_at_hand
from egide.server.app import create_app, prepare
from egide.server.http import logs
from egide.server.http.accepting import Accepting
from egide.server.http.connections import BoundedHttp, bounded_http
from egide.server.http.shared import Shared
from egide.server.metrics import forget_gauges
from egide.server.pages.routes import ensure_bank
from egide.server.service import Service
from egide.server.workers import END_AT_ONCE, Place, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fastapi import FastAPI

    from egide.server.settings import ServerSettings
    from egide.store.access.keys import Keys

FIRST_KEY = "first-admin"
FIRST_HOLDER = "first admin"
_BACKLOG = 2048
_SUCCESSOR_PATIENCE_S = 60.0
_SWITCH_INTERVAL_S = 0.0005
# During a search, the thread that takes requests then runs ten times as often as by default. At 200
# look-ups/s among a million entries, the 99th percentile fell from 27 to 10 ms.
_MAX_FIRST_KEYS = 100
_KERNEL_BYTES = 256 * 1024
"""Kernel buffer of each connection in each direction; the kernel doubles it. By default it takes 4
to 6 MB of an answer that nobody reads: 280 connections fill a gigabyte."""
_TICKS_A_LOOK = 10
_M_MMAP_THRESHOLD = -3
"""From glibc's malloc.h."""
_LARGE_BYTES = 256 * 1024
_VARIABLE = "MALLOC_MMAP_THRESHOLD_"


def run(
    settings: ServerSettings,
    on_first_key: Callable[[str], None],
    on_listening: Callable[[str], None],
) -> None:
    """Serve until the process is told to end.

    Args:
        settings: of the server.
        on_first_key: called with the token of the first admin key, if one was made.
        on_listening: called with the address, once requests are accepted.

    Raises:
        StoreError: the store cannot be opened, for instance StoreTooOld.
        SnapshotUnwritable: the folder for the search snapshot cannot be used.
        AddressUnusable: the server cannot listen at the address; one of its kinds.
        NotReady: the decoders, or a worker, do not start.
    """
    logs.configure(settings)
    return_large_blocks()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with closing(_listen(settings)) as listening:

        def say_address() -> None:
            on_listening(settings.public_url or _shown(listening))

        if settings.workers > 1:
            _run_workers(settings, listening, on_first_key, say_address)
            return
        with closing(Service.open(settings)) as service:
            _make_keys(service, on_first_key)
            service.start()
            app = create_app(settings, service)
            prepare(app)
            say_address()
            _Server(_config(app, settings)).run(sockets=[listening])


def _run_workers(
    settings: ServerSettings,
    listening: socket.socket,
    on_first_key: Callable[[str], None],
    say_address: Callable[[], None],
) -> None:
    """Serve by several processes; this one opens the store before them, and closes it again."""
    with ExitStack() as kept:
        try:
            folder = Path(kept.enter_context(TemporaryDirectory(prefix="egide-metrics-")))
            shared = Shared(settings.workers, folder)
        except OSError as error:
            reason = f"several need a folder for temporary files: {(error.strerror or '').lower()}"
            raise SettingInvalid(name="workers", reason=reason) from error
        with closing(Service.open(settings)) as service:
            _make_keys(service, on_first_key)
            if settings.pages:
                ensure_bank(service.store, settings.pages_bank)
            codes = codes_at_hand(service.store)
        # Loaded once, before there are workers: it takes each of them 100 MB and a second to load,
        # and half a minute of a core to compile where that was not done before.
        if codes >= MIN_CODES and (compiling := prepare_compiled(SEARCH)) is not None:
            compiling.join()
        app = create_app(settings, shared=shared)
        prepare(app)
        listening.setblocking(False)

        def forget(worker: int) -> None:
            shared.forget(worker)
            forget_gauges(folder, worker)

        Workers(
            settings.workers,
            partial(_work, settings, listening, shared, app),
            forget,
            say_address,
            listening.close,
            settings.graceful_timeout_s,
        ).run()


def _work(
    settings: ServerSettings,
    listening: socket.socket,
    shared: Shared,
    app: FastAPI,
    place: Place,
) -> None:
    """Be one of several workers."""
    shared.enter(place.number, os.getpid())
    own = settings.of_worker(place.number)
    with closing(Service.open(own, shared)) as service:
        service.start()
        if place.succeeds:  # the others answer meanwhile
            service.live.wait_until_ready(_SUCCESSOR_PATIENCE_S)
        service.say_ready()
        app.state.service = service
        _Worker(_config(app, own), place, shared).run(sockets=[listening])


def _make_keys(service: Service, on_first_key: Callable[[str], None]) -> None:
    token = make_first_key(service.store.keys)
    if token is not None:
        on_first_key(token)


def _config(app: FastAPI, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=bounded_http(settings),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=settings.graceful_timeout_s,
    )


def make_first_key(keys: Keys) -> str | None:
    """Make an admin key if no live one exists; return its token, or None."""
    for number in range(1, _MAX_FIRST_KEYS):
        if keys.has_admin():
            return None
        name = FIRST_KEY if number == 1 else f"{FIRST_KEY}-{number}"
        try:
            return keys.create(name, Role.ADMIN, FIRST_HOLDER)[1]
        except KeyExists:
            continue  # revoked meanwhile, or another process just made it
    return None


def return_large_blocks() -> None:
    """Allocate blocks from 256 KiB on by mmap, so that freed ones return to the system.

    By default glibc raises this threshold with each large block that is freed, up to 32 MiB. The
    arrays of the growing live index replace each other and then leave holes: 6,000 changes left
    22 MiB, and with this 6 MiB, their true size. With another C library, or if the environment sets
    the threshold, nothing happens.
    """
    if not sys.platform.startswith("linux") or _VARIABLE in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _listen(settings: ServerSettings) -> socket.socket:
    host, port = settings.host, settings.port
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (OSError, UnicodeError) as error:
        raise AddressUnknown(host=host) from error
    try:
        listening = socket.create_server((host, port), family=found[0][0], backlog=_BACKLOG)
    except OSError as error:
        raise _refusal(error, host, port) from error
    for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        listening.setsockopt(socket.SOL_SOCKET, buffer, _KERNEL_BYTES)
    return listening


def _refusal(error: OSError, host: str, port: int) -> EgideError:
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(host=host, port=port)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return AddressDenied(host=host, port=port)
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressUnknown(host=host)
    reason = (error.strerror or "it cannot be used").lower()
    return AddressUnusable(host=host, port=port, reason=reason)


def _shown(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Ends gracefully at the first signal, at once at the second; neither counts as a failure."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals while requests are served."""
        before = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def on_tick(self, counter: int) -> bool:
        """Check the connections once a second, every ten ticks."""
        if counter % _TICKS_A_LOOK == 0:
            now = asyncio.get_running_loop().time()
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, BoundedHttp):
                    connection.look(now)
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End gracefully; at the second signal, end at once."""
        del sig, frame
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


class _Worker(_Server):
    """Takes its orders from the parent alone, see `egide.server.workers`."""

    def __init__(self, config: uvicorn.Config, place: Place, shared: Shared) -> None:
        super().__init__(config)
        self._place = place
        self._shared = shared

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals ignored, as they are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections in turn with the other workers, and say so; listen to orders."""
        await super().startup(sockets=[])
        assert sockets is not None
        self._accepting = Accepting(
            sockets[0],
            partial(
                cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class),
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            ),
            self.server_state.connections.__len__,
            self._shared,
        )
        asyncio.get_running_loop().add_reader(self._place.orders, self._obey)
        self._place.serves()

    async def on_tick(self, counter: int) -> bool:
        """Tell the other workers how many connections this one has."""
        self._accepting.tell()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no further connection, and finish those that are open."""
        self._accepting.close()
        await super().shutdown(sockets)

    def _obey(self) -> None:
        order = os.read(self._place.orders, 1)
        self.should_exit = True
        if order in {END_AT_ONCE, b""}:  # at the end of the file the parent is gone
            self.force_exit = True
            asyncio.get_running_loop().remove_reader(self._place.orders)
