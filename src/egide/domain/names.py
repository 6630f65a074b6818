"""The rules for names, and the prefixes of source names."""

from __future__ import annotations

import re

from egide.errors import NameInvalid

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Names of banks, keys, webhooks and upstreams."""
PERSON_SOURCE = "person-"
"""Prefix of the sources of cases' entries; each image has its own source."""
FOLLOWED = "sync:"
"""Prefix of the sources of entries from another register."""
KEYED = "key:"
"""Prefix of the sources of entries that came with a key; then its name, and perhaps `/…`."""
_ACTORS = {"local", "egide"}


def check_name(name: str) -> None:
    """Check that a name can identify one actor in the log.

    Raises:
        NameInvalid: it breaks the rule for names, or the log uses it for another actor.
    """
    if not NAME.fullmatch(name) or name in _ACTORS:
        raise NameInvalid(name=name)


def folded(name: str) -> str:
    """The stored form of a name, in small letters: telephones capitalise the first letter."""
    return name.strip().lower()


def source_of(name: str) -> str:
    """The source of an upstream's entries in this store."""
    return f"{FOLLOWED}{name}"
