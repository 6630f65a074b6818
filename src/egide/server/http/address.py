"""The client's address behind proxies, to count rates and attempts. None is written to disk."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from ipaddress import IPv4Network, IPv6Network

    from fastapi import Request

_UNKNOWN = "unknown"
_MAX_HOPS = 16
_IPV6_SITE_BITS = 64
"""One subscriber has a whole /64, so a rate per single address would limit nothing."""


def origin_of(request: Request, trusted: Sequence[IPv4Network | IPv6Network]) -> str:
    """Return where a request comes from: an IPv4 address, or the /64 of an IPv6 one.

    Args:
        request: its `X-Forwarded-For` counts only if the peer, and each hop on the way back, is in
            a trusted network.
        trusted: networks of the operator's proxies.
    """
    hop = _address(request.client.host if request.client else "")
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for told in reversed(forwarded[-_MAX_HOPS:]):
        if hop is None or not _within(hop, trusted):
            break
        further = _address(told)
        if further is None:
            break
        hop = further
    return _UNKNOWN if hop is None else _site(hop)


def site_of(text: str) -> str:
    """Return the unit that an address is counted in: itself, or the /64 of an IPv6 one."""
    address = _address(text)
    return _UNKNOWN if address is None else _site(address)


def is_within(text: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether an address is in one of these networks."""
    address = _address(text)
    return address is not None and _within(address, networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text.strip().removeprefix("[").partition("]")[0].partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _within(
    address: IPv4Address | IPv6Address, networks: Iterable[IPv4Network | IPv6Network]
) -> bool:
    return any(address in network for network in networks)


def _site(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _IPV6_SITE_BITS), strict=False))
