"""The application: its routes, and the layers that every request passes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
from fastapi import Depends, FastAPI

from egide._version import __version__
from egide.server import health
from egide.server.api import (
    approvals,
    banks,
    changes,
    docs,
    entries,
    export,
    feedback,
    keys,
    log,
    matching,
    packed,
    status,
    upstreams,
    webhooks,
)
from egide.server.api.openapi import complete, only_known_queries, operation_id
from egide.server.chores import Chores
from egide.server.hma import OPEN, Mount, answer_as_hma, hma_router, identify_caller
from egide.server.http.admission import Admission
from egide.server.http.auth import identify
from egide.server.http.envelope import Envelope
from egide.server.http.problems import add_handlers, always_problem
from egide.server.http.shared import Shared
from egide.server.pages.routes import ensure_bank, pages_router
from egide.server.pages.site.problems import answer_on_pages
from egide.server.pages.site.site import Site
from egide.server.service import Service

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from egide.server.http.admission import Identify
    from egide.server.settings import ServerSettings

_DESCRIPTION = """\
Ask before an upload is stored, or keep a bank: matching against fingerprints of images whose people
said no. Every answer to a match is a decision with its reasons, and names the revision of the
register that was searched. Errors are problem+json with a stable `code`.
"""
_API = (
    matching,
    packed,
    banks,
    entries,
    changes,
    feedback,
    approvals,
    keys,
    webhooks,
    upstreams,
    log,
    export,
    status,
)
"""In the order of the document."""
_SPARE_THREADS = 8


def create_app(
    settings: ServerSettings, service: Service | None = None, shared: Shared | None = None
) -> FastAPI:
    """Make the application.

    Args:
        settings: of the server.
        service: a running service that the caller closes; by default the application opens one
            at its start and closes it at its end, unless `app.state.service` is one by then.
        shared: with the other workers; by default what the service shares.

    Raises:
        SettingInvalid: the pages are on, and their branding or helplines are invalid.
        BankNameInvalid, StoreError: the pages are on, and their bank cannot be made.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # A request holds a thread while it waits for the index, a decoder or the store.
        threads = settings.max_requests + _SPARE_THREADS
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        own = None
        given: Service | None = getattr(app.state, "service", None)
        if given is None:
            own = await anyio.to_thread.run_sync(Service.open, settings, shared)
        try:
            if own is not None:
                await anyio.to_thread.run_sync(own.start)
                if settings.pages:
                    await anyio.to_thread.run_sync(ensure_bank, own.store, settings.pages_bank)
            running = given or own
            assert running is not None
            app.state.service = running
            chores = Chores(running)
            await anyio.to_thread.run_sync(chores.start)
            try:
                yield
            finally:
                await anyio.to_thread.run_sync(chores.stop)
        finally:
            if own is not None:
                await anyio.to_thread.run_sync(own.close)

    app = FastAPI(
        title="Egide",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        # The redirect would lead to whatever host the request names.
        redirect_slashes=False,
        servers=[{"url": settings.public_url}] if settings.public_url else None,
        generate_unique_id_function=operation_id,
    )
    site = Site.load(settings) if settings.pages else None
    if service is not None and settings.pages:
        ensure_bank(service.store, settings.pages_bank)
    identifying: dict[str, Identify | None] = {"/v1": identify}
    answering = always_problem if site is None else partial(answer_on_pages, site)
    if settings.hma_enabled:
        identifying |= dict.fromkeys(OPEN)
        identifying["/hma/"] = identify_caller
        answering = partial(answer_as_hma, answering)
    # A request passes the last added middleware first.
    if service is not None:
        app.state.service = service
        shared = service.shared
    shared = shared or Shared()
    app.add_middleware(Admission, settings=settings, identify=identifying, memory=shared.memory)
    app.add_middleware(Envelope, answering=answering)
    if settings.hma_enabled:
        app.add_middleware(Mount, at_root=settings.hma_at_root)
    add_handlers(app, answering)
    app.include_router(health.router)
    app.include_router(docs.router)
    for module in _API:
        app.include_router(module.router, prefix="/v1", dependencies=[Depends(only_known_queries)])
    if settings.hma_enabled:
        app.include_router(hma_router(settings))
    if site is not None:
        app.state.site = site
        app.include_router(pages_router())
    complete(app)
    return app


def prepare(app: FastAPI) -> None:
    """Build in advance what the first requests would build: document, layers, templates.

    This takes a second or two of the interpreter. The first eight visitors would each compile a
    template, and nothing else would be answered meanwhile.
    """
    app.openapi()
    app.middleware_stack = app.build_middleware_stack()
    site: Site | None = getattr(app.state, "site", None)
    if site is not None:
        for name in site.templates.list_templates():
            site.templates.get_template(name)
