"""The pages, served on loopback for a browser, in threads of the test's own process."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import uvicorn

from egide.server.app import create_app
from egide.server.service import Service
from egide.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DEADLINE_S = 30.0


@contextmanager
def pages_site(folder: Path, **settings: Any) -> Iterator[tuple[str, Service]]:
    """Serve the pages on a new store in `folder`; yield their address and what is behind them."""
    fields = {
        "store": f"sqlite:///{folder / 'egide.db'}",
        "workers": 1,
        "pages": True,
        "case_proof_bits": 8,
        "cases_per_hour": 1000,
    }
    given = ServerSettings(**(fields | settings))
    service = Service.open(given)
    try:
        service.start()
        config = uvicorn.Config(
            create_app(given, service), host="127.0.0.1", port=0, log_level="error"
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run)
        thread.start()
        try:
            ends_at = time.monotonic() + _DEADLINE_S
            while not server.started:
                assert thread.is_alive()
                assert time.monotonic() < ends_at
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}", service
        finally:
            server.should_exit = True
            thread.join(_DEADLINE_S)
    finally:
        service.close()
