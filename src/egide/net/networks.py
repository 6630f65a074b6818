"""Networks of one's own, beside the public internet, as the environment names them."""

from __future__ import annotations

import os
from ipaddress import ip_network
from typing import TYPE_CHECKING

from egide.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egide.net.addresses import Network

SYNC_NETWORKS = "EGIDE_SYNC_NETWORKS"
WEBHOOK_NETWORKS = "EGIDE_WEBHOOK_NETWORKS"


def own_networks(
    name: str = SYNC_NETWORKS, environment: Mapping[str, str] = os.environ
) -> tuple[Network, ...]:
    """Read a setting of the command line; a served register has it in its own settings.

    Args:
        name: of the variable; it holds networks such as 10.0.0.0/8, separated by commas.
        environment: to read from.

    Raises:
        SettingInvalid: naming the setting.
    """
    parts = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as error:
        raise SettingInvalid(name=name, reason=str(error)) from None
