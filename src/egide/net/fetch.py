"""Fetch one file from a client's URL without opening a way into the local network."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

from egide.errors import FetchError, FetchRefused
from egide.net.connect import read_answer, request
from egide.net.deadline import Deadline
from egide.net.guard import check_url

if TYPE_CHECKING:
    from egide.net.guard import FetchPolicy, Target

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def fetch(url: str, policy: FetchPolicy) -> bytes:
    """Fetch a URL and follow redirects, each of which is checked like the URL itself.

    Args:
        url: from a client.
        policy: the allowed hosts and the bounds.

    Returns:
        the body of an answer with status 200.

    Raises:
        FetchDisabled: the policy allows no host.
        FetchRefused: the URL or a redirect is not allowed.
        FetchTooLarge: the body is over `policy.max_bytes`.
        FetchTimeout: the fetch took longer than `policy.timeout_s`.
        FetchError: anything else, with the status if it is not 200. No message contains a part of
            the URL or an address.
    """
    deadline = Deadline.after(policy.timeout_s)
    target = check_url(url, policy)
    for _ in range(policy.max_redirects + 1):
        answer = _ask(target, policy, deadline)
        if isinstance(answer, bytes):
            return answer
        try:
            url = urljoin(url, answer)
        except ValueError:
            raise FetchRefused(reason="it redirects to an invalid URL") from None
        following = check_url(url, policy)
        if (target.scheme, following.scheme) == ("https", "http"):
            raise FetchRefused(reason="it redirects from https to http")
        target = following
    raise FetchError(reason=f"it redirects more than {policy.max_redirects} times")


def _ask(target: Target, policy: FetchPolicy, deadline: Deadline) -> bytes | str:
    """Return the body, or the URL of a redirect."""
    with request("GET", target, policy, deadline, headers={"Accept": "*/*"}) as response:
        if response.status == 200:
            return read_answer(response, policy.max_bytes)
        locations = response.headers.get_all("Location", [])
        if response.status not in _REDIRECTS or len(locations) != 1:
            raise FetchError(reason=f"its server answered {response.status}")
        return locations[0].strip()
