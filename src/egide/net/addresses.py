"""Which network addresses belong to the public internet.

Python's own `is_global` changed between patch releases (CVE-2024-4032), so this module has its own
tables; an address is public only if both agree.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

from egide.errors import SettingInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Address = IPv4Address | IPv6Address
    Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# Source: IANA, IPv4 Special-Purpose Address Registry (RFC 6890), and 168.63.129.16, which is a
# public address but answers inside Azure with the secrets of a virtual machine.
_SPECIAL_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "168.63.129.16/32",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
# Source: IANA, IPv6 Global Unicast Address Assignments and Special-Purpose Address Registry. All
# addresses outside 2000::/3 are unassigned or local. 2001::/23 holds Teredo and 2002::/16 is 6to4:
# obsolete tunnels to an embedded IPv4 address, which nobody needs.
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
# Never connected to, whatever the settings allow; 0.0.0.0 and :: lead to this machine.
_NEVER: tuple[Network, ...] = (
    IPv4Network("0.0.0.0/8"),
    IPv4Network("224.0.0.0/4"),
    IPv4Network("240.0.0.0/4"),
    IPv6Network("::/128"),
    IPv6Network("ff00::/8"),
)


def reached(address: Address) -> Address:
    """Return the address that a connection really reaches: the IPv4 one if IPv6 only wraps it.

    Unwraps IPv4-mapped addresses and NAT64's well-known prefix (RFC 6052). A network's own NAT64
    prefix cannot be recognised.
    """
    if isinstance(address, IPv6Address) and (address in _MAPPED or address in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def may_reach(address: Address, allowed_networks: Sequence[Network]) -> bool:
    """Whether connecting to an address is allowed: it is public or in an allowed network."""
    end = reached(address)
    if any(end in network for network in _NEVER):
        return False
    return any(end in network for network in allowed_networks) or _public(end)


def _public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _SPECIAL_V4)
    # ISATAP (RFC 5214): the last half of the address names an IPv4 address to tunnel to.
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return (
        address.is_global
        and address in _GLOBAL_V6
        and address.scope_id is None
        and not any(address in network for network in _SPECIAL_V6)
    )


SYNC_NETWORKS = "EGIDE_SYNC_NETWORKS"
WEBHOOK_NETWORKS = "EGIDE_WEBHOOK_NETWORKS"
MATCHER_NETWORKS = "EGIDE_MATCHER_NETWORKS"


def own_networks(
    name: str = SYNC_NETWORKS, environment: Mapping[str, str] = os.environ
) -> tuple[Network, ...]:
    """Read allowed networks from the environment, for the command line; a server has settings.

    Args:
        name: of the variable; it holds networks such as 10.0.0.0/8, separated by commas.
        environment: to read from.

    Raises:
        SettingInvalid: a value is not a network; the message names the setting.
    """
    parts = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
    try:
        return tuple(ip_network(part) for part in parts)
    except ValueError as error:
        raise SettingInvalid(name=name, reason=str(error)) from None
