"""The pages, served on loopback for a browser, in threads of the test's own process."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

import uvicorn

from egide.domain.cases import ImageKind, NewImage, shown_number
from egide.domain.staff import SESSION_IDLE_S, SESSION_LONGEST_S
from egide.hashing import fingerprint
from egide.server.app import create_app
from egide.server.pages.site.page import COOKIE
from egide.server.service import Service
from egide.server.settings import ServerSettings
from page_steps import PIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from playwright.sync_api import BrowserContext

    from egide.domain.staff import SessionKind

_DEADLINE_S = 30.0


@contextmanager
def pages_site(folder: Path, **settings: Any) -> Iterator[tuple[str, Service]]:
    """Serve the pages on a new store in `folder`; yield their address and what is behind them."""
    fields = {
        "store": f"sqlite:///{folder / 'egide.db'}",
        "decoders": 1,
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


def sign_in_at_once(
    context: BrowserContext, address: str, service: Service, kind: SessionKind, subject_id: int
) -> str:
    """Put a session's cookie where signing in by hand would have put it; return what it holds."""
    token = service.store.sessions.start(
        kind, subject_id, idle_s=SESSION_IDLE_S, longest_s=SESSION_LONGEST_S
    )
    context.clear_cookies()
    # Secure, as on a site with TLS; browsers take it over loopback too.
    url = address.replace("http:", "https:")
    context.add_cookies(
        [{"name": COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True,
          "sameSite": "Strict"}]
    )  # fmt: skip
    return token


def register_at_once(
    context: BrowserContext, address: str, service: Service, files: Sequence[Path]
) -> str:
    """Be in a new case with these files, as after `page_steps.register`; return its number."""
    images = []
    for one in map(fingerprint, files):
        assert one.pdq is not None
        images.append(NewImage(ImageKind.STILL, one.pdq.code, one.pdq.quality, one.sha256))
    case = service.casework.open(images, PIN, submission=secrets.token_bytes(32))
    sign_in_at_once(context, address, service, "case", case.id)
    return shown_number(case.number)
