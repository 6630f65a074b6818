"""Entries for the benchmarks: codes of nobody, in a bank of no one."""

from __future__ import annotations

from datetime import UTC, datetime

from egide.domain.model import AnchoredHashes, Entry, State, Trust

BANK = "bench"
NOW = datetime.now(UTC)


def entry(
    number: int,
    pdqs: tuple[bytes, ...],
    trimmed_pdqs: tuple[bytes, ...] = (),
    *,
    anchored: AnchoredHashes | None = None,
    has_keypoints: bool = False,
) -> Entry:
    """Return an active, unverified entry that holds these codes and no digest."""
    return Entry(
        id=number,
        bank=BANK,
        pdqs=pdqs,
        sha256=None,
        md5=None,
        quality=None,
        trust=Trust.UNVERIFIED,
        state=State.ACTIVE,
        source=BANK,
        note="",
        added=NOW,
        changed=NOW,
        expires=None,
        revision=1,
        trimmed_pdqs=trimmed_pdqs,
        anchored=anchored,
        has_keypoints=has_keypoints,
    )
