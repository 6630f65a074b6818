"""Following partner registers for as long as this one is served."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from egide.usecases.following import Follower
from egide.usecases.syncing import connect

if TYPE_CHECKING:
    from egide.server.service import Service


def follower_of(service: Service) -> Follower:
    """Return what follows the upstreams of a service; to be stopped before its store is closed."""
    settings = service.settings
    return Follower(
        service.store,
        interval_s=settings.sync_interval_s,
        connect=partial(connect, allowed_networks=settings.sync_networks),
    )
