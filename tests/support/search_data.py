"""Codes and entries for the tests of search, drawn from a seeded generator."""

from __future__ import annotations

from datetime import UTC, datetime

from egide.domain.model import Bank, Entry, State, Trust

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def bank(
    name: str = "helpline", number: int = 1, radius: int = 31, *, enabled: bool = True
) -> Bank:
    return Bank(id=number, name=name, radius_bits=radius, description="", enabled=enabled)


def entry(
    number: int,
    *codes: bytes,
    bank: str = "helpline",
    sha256: bytes | None = None,
    md5: bytes | None = None,
    trust: Trust = Trust.UNVERIFIED,
    state: State = State.ACTIVE,
    expires: datetime | None = None,
) -> Entry:
    return Entry(
        id=number,
        bank=bank,
        pdqs=codes,
        sha256=sha256,
        md5=md5,
        quality=None,
        trust=trust,
        state=state,
        source="test",
        note="",
        added=NOW,
        changed=NOW,
        expires=expires,
        revision=1,
    )
