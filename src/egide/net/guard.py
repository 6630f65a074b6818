"""Guard outgoing requests: strict URLs, hosts allowed by name, checked addresses.

A URL is refused unless all parsers read it alike. Its host must be allowed. The host is looked up
once, and all its addresses must be permitted. `egide.net.connect` then connects to one of these
addresses, so that a later, different answer of the name server has no effect.
"""

from __future__ import annotations

import queue
import re
import socket
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Self

from egide.errors import FetchDisabled, FetchError, FetchRefused, SettingInvalid
from egide.net.addresses import LOOPBACK, may_reach

if TYPE_CHECKING:
    from egide.net.addresses import Address, Network
    from egide.net.deadline import Deadline

MAX_URL_CHARS = 2048
_MAX_HOST_CHARS = 253
_DEFAULT_PORTS = {"http": 80, "https": 443}
# No userinfo and no percent sign in the authority; RFC 3986's characters in path and query.
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9.-]{1,253}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<rest>(?:[/?](?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*)?)"
    r"(?:\#(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*)?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# URL parsers read these as numbers, and so as IPv4 addresses (WHATWG URL, "ends in a number"):
# 2130706433, 0x7f.1, 127.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """The allowed targets of requests, and the bounds on answers.

    Attributes:
        allowed_hosts: exact names, literal addresses, or `*.example.org` for every name below
            example.org; if empty, nothing is allowed.
        allowed_networks: allowed beside the public internet, e.g. the local one; addresses in them
            are reached only through an allowed name.
        schemes: `https`, and `http` if accepted.
        ports: allowed ports.
        max_bytes: the largest answer.
        timeout_s: for everything, from the look-up to the last byte after the last redirect.
        connect_timeout_s: to reach one address, within what is left of `timeout_s`.
        max_redirects: how many are followed, each checked like the first URL.

    Raises:
        SettingInvalid: an allowed host is neither a name, an address nor `*.` and a name.
    """

    allowed_hosts: tuple[str, ...]
    allowed_networks: tuple[Network, ...] = ()
    schemes: tuple[str, ...] = ("https",)
    ports: tuple[int, ...] = (443, 80)
    max_bytes: int = 64 * 1024 * 1024
    timeout_s: float = 20.0
    connect_timeout_s: float = 5.0
    max_redirects: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed_hosts", tuple(map(_host_rule, self.allowed_hosts)))

    @classmethod
    def for_url(
        cls,
        url: str,
        *,
        allowed_networks: tuple[Network, ...] = (),
        allow_http: bool = False,
        allow_loopback: bool = False,
        **bounds: Any,
    ) -> Self:
        """Allow only the host and port of one URL, which an operator has configured.

        Args:
            url: of a webhook or a partner.
            allowed_networks: as in the policy.
            allow_http: also allow it without encryption.
            allow_loopback: allow a URL that itself names this machine (`localhost`, 127.0.0.1,
                [::1]), without encryption too.
            bounds: further fields of the policy.

        Raises:
            FetchRefused: the URL is invalid.
        """
        scheme, host, port, _ = _parts(url)
        if allow_loopback and _names_loopback(host):
            allow_http = True
            allowed_networks = (*allowed_networks, *LOOPBACK)
        schemes = ("https", "http") if allow_http else ("https",)
        policy = cls((host,), allowed_networks, schemes, (port,), **bounds)
        _require_scheme(scheme, policy)
        return policy

    def allows(self, host: str) -> bool:
        """Whether a host, in lower case, is allowed by its name."""
        return any(
            host.endswith(rule[1:]) and _address(host) is None
            if rule.startswith("*.")
            else host == rule
            for rule in self.allowed_hosts
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that is allowed as far as its text tells.

    Attributes:
        host: in lower case; an IPv6 address without brackets.
        path: with the query, as sent; never shown.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port for the `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str, policy: FetchPolicy) -> Target:
    """Parse a URL and check everything that needs no look-up.

    Raises:
        FetchDisabled: the policy allows no host at all.
        FetchRefused: the URL is not strict, or its scheme, host or port is not allowed.
    """
    if not policy.allowed_hosts:
        raise FetchDisabled
    scheme, host, port, path = _parts(url)
    _require_scheme(scheme, policy)
    if not policy.allows(host):
        raise FetchRefused(reason="its host is not among those allowed")
    if port not in policy.ports:
        raise FetchRefused(reason="its port is not among those allowed")
    return Target(scheme, host, port, path)


def resolve(target: Target, policy: FetchPolicy, deadline: Deadline) -> tuple[Address, ...]:
    """Look a host up once and check all its addresses.

    Returns:
        the addresses to connect to, at least one, in the order of the look-up.

    Raises:
        FetchRefused: one of the addresses may not be reached.
        FetchError: the host has no address.
        FetchTimeout: the look-up took too long.
    """
    literal = _address(target.host)
    addresses = (literal,) if literal else _look_up(target, deadline)
    if not all(may_reach(address, policy.allowed_networks) for address in addresses):
        raise FetchRefused(reason="its host leads to an address that is not public")
    return addresses


def _parts(url: str) -> tuple[str, str, int, str]:
    """Return scheme, host, port, and path with query."""
    if len(url) > MAX_URL_CHARS:
        raise FetchRefused(reason=f"it is longer than {MAX_URL_CHARS} characters")
    found = _URL.fullmatch(url)
    if found is None:
        raise FetchRefused(reason="it is not a plain https://host/path")
    scheme = found["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise FetchRefused(reason="its scheme is neither https nor http")
    host = _canonical_host(found["v6"] or found["name"], bracketed=found["v6"] is not None)
    if host is None:
        raise FetchRefused(reason="its host is neither a plain name nor an address")
    port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[scheme]
    if port > 65535:
        raise FetchRefused(reason="its port is not among those allowed")
    rest = found["rest"]
    return scheme, host, port, rest if rest.startswith("/") else f"/{rest}"


def _canonical_host(text: str, *, bracketed: bool) -> str | None:
    """Return a name in lower case or an address in its usual form; None if it is neither."""
    host = text.lower()
    if bracketed or _NUMBER.fullmatch(host.rpartition(".")[2]):
        address = _address(host)
        return str(address) if address and (address.version == 6) == bracketed else None
    labels = host.split(".")
    plain = len(host) <= _MAX_HOST_CHARS and all(map(_LABEL.fullmatch, labels))
    return host if plain else None


def _host_rule(text: str) -> str:
    base = text.removeprefix("*.")
    bracketed = ":" in base
    host = _canonical_host(base.strip("[]") if bracketed else base, bracketed=bracketed)
    wild = base != text
    if host is None or (wild and (_address(host) is not None or "." not in host)):
        reason = f"{text!r} is neither a host's name, an address, nor `*.` and a name"
        raise SettingInvalid(name="allowed_hosts", reason=reason)
    return f"*.{host}" if wild else host


def _require_scheme(scheme: str, policy: FetchPolicy) -> None:
    if scheme not in policy.schemes:
        raise FetchRefused(reason=f"{scheme} is not allowed")


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _names_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else any(address in net for net in LOOPBACK)


def _look_up(target: Target, deadline: Deadline) -> tuple[Address, ...]:
    # getaddrinfo has no time limit, so a thread waits for it; if it hangs, the thread ends when the
    # system's resolver gives up.
    answers: queue.SimpleQueue[list[Any] | OSError | UnicodeError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(
                socket.getaddrinfo(
                    target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
            )
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="egide-look-up", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.remaining_s())
    except queue.Empty:
        raise deadline.error() from None
    if isinstance(answer, Exception) or not answer:
        raise FetchError(reason="its host has no address")
    addresses = [_address(str(sockaddr[0])) for *_, sockaddr in answer]
    if None in addresses:
        raise FetchRefused(reason="its host leads to an address that is not public")
    return tuple(dict.fromkeys(address for address in addresses if address is not None))
