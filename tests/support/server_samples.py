"""A register that is served, for tests: an application on a store of its own, and keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from fastapi.testclient import TestClient

from egide.domain.access import Key, Role
from egide.server.app import create_app
from egide.server.http.connections import bounded_http
from egide.server.service import Service
from egide.server.settings import ServerSettings

PLENTY = 1_000_000_000


class Served:
    """A running application.

    Attributes:
        service: behind it.
        client: sends requests without a key.
    """

    def __init__(self, service: Service, client: TestClient) -> None:
        self.service = service
        self.client = client

    def another_client(self, **given: Any) -> TestClient:
        """A client with cookies of its own, in the one event loop that a served register has."""
        client = TestClient(self.client.app, **given)
        client.portal = self.client.portal
        return client

    def key(self, role: Role, name: str | None = None, **fields: Any) -> tuple[Key, str]:
        """Make a key and return it with its token."""
        fields = {"per_second": 1_000_000, "per_day": PLENTY} | fields
        name = name or role.value
        return self.service.store.keys.create(
            name, role, fields.pop("holder", f"holder of {name}"), **fields
        )

    def as_role(self, role: Role, **fields: Any) -> dict[str, str]:
        """Return the headers of a new key."""
        return bearer(self.key(role, **fields)[1])

    def wait_for(self, revision: int) -> None:
        """Wait until a revision is matched against."""
        import time

        end = time.monotonic() + 20
        while self.service.live.revision < revision:
            assert time.monotonic() < end, "the live index does not follow"
            time.sleep(0.01)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@contextmanager
def serve(folder: Path, **settings: Any) -> Iterator[Served]:
    """Run an application on a new store in `folder`."""
    fields = {"store": f"sqlite:///{folder / 'egide.db'}", "decoders": 1} | settings
    given = ServerSettings(**fields)
    service = Service.open(given)
    try:
        service.start()
        assert service.live.wait_until_ready(20)
        with TestClient(create_app(given, service)) as client:
            yield Served(service, client)
    finally:
        service.close()


@contextmanager
def at_address(served: Served) -> Iterator[str]:
    """Answer at an address too, by the server that is used in earnest."""
    config = uvicorn.Config(
        served.client.app,
        port=0,
        http=bounded_http(served.service.settings),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    listening = config.bind_socket()
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()
