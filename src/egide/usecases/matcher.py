"""Connect to a register that matches for an audit: its key, and what may be reached."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from egide.errors import FetchRefused, MatcherError, MatcherKeyInvalid
from egide.net.addresses import MATCHER_NETWORKS, own_networks
from egide.partners.client import partner_policy
from egide.partners.matcher import MAX_ANSWER_BYTES, MatcherClient
from egide.security import sealing
from egide.settings import matcher_patience

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


KEY_VARIABLE = "EGIDE_MATCHER_KEY"


def connect(
    url: str,
    *,
    banks: Collection[str] | None = None,
    key_file: str | Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> MatcherClient:
    """Make the client of a register; nothing is asked yet.

    Args:
        url: of the register, without `/v1`: https, or this machine itself.
        banks: names of the banks to search; None for all that the key reaches.
        key_file: holds the key, and only its owner may read it; by default the key stands in
            `EGIDE_MATCHER_KEY`.
        environment: with the settings `EGIDE_MATCHER_…`.

    Raises:
        MatcherError: the address cannot be a register's.
        MatcherKeyInvalid: there is no key, or others may read it. No message shows it.
        SettingInvalid, UsageError: a setting is invalid.
    """
    try:
        policy = partner_policy(
            url,
            allowed_networks=own_networks(MATCHER_NETWORKS, environment),
            timeout_s=matcher_patience(environment).timeout_s,
            max_bytes=MAX_ANSWER_BYTES,
        )
    except FetchRefused as error:
        reason = str(error.fields["reason"])
        raise MatcherError(matcher="the register's address", reason=reason) from error
    host = policy.allowed_hosts[0]
    if key_file is None:
        key = environment.get(KEY_VARIABLE, "").strip()
        if not key:
            raise MatcherKeyInvalid(matcher=host, reason=f"{KEY_VARIABLE} is not set")
    else:
        try:
            key = sealing.read_key_file(Path(key_file)).strip()
        except OSError as error:
            reason = (error.strerror or "its file cannot be read").lower()
            raise MatcherKeyInvalid(matcher=host, reason=f"{key_file}: {reason}") from error
    try:
        return MatcherClient(url, key, policy, banks)
    except FetchRefused as error:
        raise MatcherError(matcher=host, reason=str(error.fields["reason"])) from error
