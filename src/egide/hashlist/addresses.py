"""Addresses of pictures: their canonical form, and the digests that lists hold of them.

An address is never stored, only a digest of it. docs/reference/addresses.md defines the forms.
"""

from __future__ import annotations

import re
from hashlib import md5, sha256
from typing import NamedTuple
from urllib.parse import urlsplit

from ada_url import normalize_url

MAX_ADDRESS_CHARS = 8192
"""Longer ones are refused: servers refuse them as well."""

_SCHEMES = ("http:", "https:")
# Most addresses are in their canonical form already. This says so of nine in ten, at a fifth of the
# parser's price. Of these ThreatExchange's form differs in the scheme and the case alone.
_CANONICAL = re.compile(
    r"https?://(?![^/]*--)(?:[a-z0-9_-]+\.)+[a-z][a-z0-9-]*/[A-Za-z0-9!$&'()*+,=:@_~.%/-]*"
    r"(?:\?[A-Za-z0-9!$&()*+,=:@_~.%/-]+)?"
)
_DOTS = ("/.", "/%2")
"""Before what may be `.` or `..` in a path."""
# What the WHATWG's parser takes off both ends: C0 controls and spaces.
_UNPLAIN = re.compile(r"[;\[\]\s#\\]|\?$|^(?!https?://)|[^!-~]", re.IGNORECASE)
_AROUND = "".join(map(chr, range(0x21)))


class AddressDigests(NamedTuple):
    """The digests by which a list may hold an address; the first of each is the canonical one."""

    url_sha256: tuple[bytes, ...]
    url_md5: tuple[bytes, ...]


def canonical_address(text: str) -> str | None:
    """The canonical form of the address of something on the web, or None if it is no such address.

    As a browser reads it (the WHATWG's URL standard), without the fragment: lower-case scheme and
    host, the host in Punycode, no default port, dots in the path resolved, and at least `/` as the
    path.
    """
    if len(text) > MAX_ADDRESS_CHARS or not text.strip(_AROUND)[:6].lower().startswith(_SCHEMES):
        return None
    try:
        whole = normalize_url(text)
    except ValueError:  # also a lone surrogate
        return None
    # The standard escapes every other `#`.
    return whole.partition("#")[0]


def threatexchange_address(text: str) -> str | None:
    """The form of which ThreatExchange's `url_md5` is, or None if it has none.

    Source: threatexchange 1.2.17, common.py, `normalize_url`.
    """
    if _UNPLAIN.search(text) is None:  # what the rest would give, at a tenth of the price
        return text.lower().partition("://")[2]
    try:
        parts = urlsplit(text.lower())
        return parts.geturl().replace(f"{parts.scheme}://", "", 1)
    except ValueError:
        return None


def address_digests(text: str) -> AddressDigests | None:
    """The digests of an address in each form that lists hash, or None if it is no address.

    The forms are the canonical one, the text as it is, and ThreatExchange's, for MD5 alone.
    """
    if (
        len(text) <= MAX_ADDRESS_CHARS
        and _CANONICAL.fullmatch(text) is not None
        and _DOTS[0] not in text
        and _DOTS[1] not in text
    ):
        whole = text.encode()
        field = whole.lower().partition(b"://")[2]
        return AddressDigests(
            (sha256(whole).digest(),),
            (
                md5(whole, usedforsecurity=False).digest(),
                md5(field, usedforsecurity=False).digest(),
            ),
        )
    canonical = canonical_address(text)
    if canonical is None:
        return None
    given = text.strip(_AROUND)
    forms = dict.fromkeys([canonical, given])
    fields = dict.fromkeys([*forms, threatexchange_address(given) or canonical])
    return AddressDigests(
        tuple(sha256(form.encode()).digest() for form in forms),
        tuple(md5(form.encode(), usedforsecurity=False).digest() for form in fields),
    )
