"""Where a request comes from: only trusted proxies are believed."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from fastapi import Request

from egide.server.http.address import origin_of

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def request(peer: str | None, *forwarded: str) -> Request:
    headers = [(b"x-forwarded-for", told.encode()) for told in forwarded]
    client = None if peer is None else (peer, 1)
    return Request({"type": "http", "headers": headers, "client": client})


@pytest.mark.parametrize(
    ("peer", "forwarded", "origin"),
    [
        ("203.0.113.5", (), "203.0.113.5"),
        ("203.0.113.5", ("198.51.100.7",), "203.0.113.5"),
        ("10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("192.0.2.1, 198.51.100.7",), "198.51.100.7"),
        ("10.0.0.1", ("192.0.2.1", "198.51.100.7, 10.0.0.2"), "198.51.100.7"),
        ("10.0.0.1", ("what, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("::ffff:10.0.0.1", ("198.51.100.7",), "198.51.100.7"),
        ("fd00::1", ("[2001:db8:1:2:3::4]:443",), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1%eth0", (), "2001:db8:1:2::/64"),
        (None, ("198.51.100.7",), "unknown"),
    ],
)
def test_origin(peer: str | None, forwarded: tuple[str, ...], origin: str) -> None:
    assert origin_of(request(peer, *forwarded), PROXIES) == origin
