"""What things may be called, and how the names of sources begin."""

from __future__ import annotations

import re

from egide.errors import NameInvalid

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What banks, keys, webhooks and upstreams may be called."""
PERSON_SOURCE = "person-"
"""The sources of the entries of cases begin like this; each image has one of its own."""
FOLLOWED = "sync:"
"""The sources of entries that came from another register begin like this."""
_ACTORS = {"local", "egide"}


def check_name(name: str) -> None:
    """Refuse what the log could not call an actor, or would call two.

    Raises:
        NameInvalid: it breaks the rule of bank names, or is what the log calls somebody else.
    """
    if not NAME.fullmatch(name) or name in _ACTORS:
        raise NameInvalid(name=name)


def folded(name: str) -> str:
    """A name as it is kept: telephones begin words with a capital."""
    return name.strip().lower()


def source_of(name: str) -> str:
    """What the entries of an upstream have for a source here."""
    return f"{FOLLOWED}{name}"
