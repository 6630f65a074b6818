"""Read settings from the environment; `egide.security.sealing` reads the keypoint key's.

docs/reference/settings.md is the table of all of them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from egide.domain.model import DEFAULT_LIMITS, Limits
from egide.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_STORE = "sqlite:///egide.db"
DEFAULT_STORE_TIMEOUT_S = 30.0
PREFIX = "EGIDE_"


@dataclass(frozen=True, slots=True)
class MatcherPatience:
    """How long an audit bears with a register that matches for it.

    Attributes:
        timeout_s: for one answer, from the look-up of the name to the last byte.
        tries: how often a body is sent before the register counts as unreachable.
        max_wait_s: the longest wait for one answer, tries included; beyond, the audit ends and can
            be resumed.
    """

    timeout_s: float = 60.0
    tries: int = 8
    max_wait_s: float = 900.0


def matcher_patience(environment: Mapping[str, str] = os.environ) -> MatcherPatience:
    """Return the patience, each part overridden by `EGIDE_MATCHER_` and its name in capitals.

    Raises:
        UsageError: a value is not a number of at least 1; the message names the variable.
    """
    return _overridden(MatcherPatience(), f"{PREFIX}MATCHER_", environment)


def limits_from_environment(
    environment: Mapping[str, str] = os.environ, *, defaults: Limits = DEFAULT_LIMITS
) -> Limits:
    """Return the limits, each overridden by `EGIDE_` and its name in capitals.

    Raises:
        UsageError: a value is not a positive number; the message names the variable.
    """
    return _overridden(defaults, PREFIX, environment)


_Settings = TypeVar("_Settings", Limits, MatcherPatience)


def _overridden(defaults: _Settings, prefix: str, environment: Mapping[str, str]) -> _Settings:
    values: dict[str, Any] = {}
    for field in fields(defaults):
        name = prefix + field.name.upper()
        text = environment.get(name)
        if text is not None:
            kind = float if field.name.endswith("_s") else int
            values[field.name] = _number(text, kind, name)
    return replace(defaults, **values)


def _number(text: str, kind: type[int] | type[float], name: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = -1
    least = 0 if name.endswith("WORKER_MEMORY_BYTES") else 1
    if not least <= value < float("inf"):
        raise UsageError(reason=f"{name} must be a number of at least {least}, not {text!r}")
    return value


def store_timeout_s(environment: Mapping[str, str] = os.environ) -> float:
    """Return the time limit for answers of a database server.

    Raises:
        UsageError: it is not a number of at least 1.
    """
    name = PREFIX + "STORE_TIMEOUT_S"
    text = environment.get(name)
    return _number(text, float, name) if text else DEFAULT_STORE_TIMEOUT_S


def snapshot_dir(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder for search snapshots, or None for the store's own."""
    text = environment.get(PREFIX + "SNAPSHOT_DIR")
    return Path(text) if text else None


def cache_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the user's cache folder: `~/.cache/egide`."""
    text = environment.get("XDG_CACHE_HOME")
    return (Path(text) if text else Path.home() / ".cache") / "egide"
