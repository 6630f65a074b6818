"""How much one run does."""

from __future__ import annotations

from dataclasses import dataclass

from edits.shared_overlays import OVERLAYS
from edits.suite import EDITS


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done.

    Attributes:
        half: which half is edited; others make the distractors.
        share: of the pictures, under each edit.
        others: pictures that the keypoints of a query are compared with beside the right one.
        bank: pictures registered in the bank, the distractors among them.
        bank_share: of the queries, those that go through the bank too.
        timed: queries whose time is taken, one after the other.
        overlays: how many of the shared overlays.
        under_overlay: pictures registered under each; every query is compared with all of them.
        low_texture: pictures of each kind with next to nothing in them.
    """

    half: str
    share: float = 0.25
    others: int = 24
    bank: int = 10_000
    bank_share: float = 0.5
    timed: int = len(EDITS)
    overlays: int = len(OVERLAYS)
    under_overlay: int = 24
    low_texture: int = 20


def quick(half: str) -> Plan:
    """Enough to see that everything runs."""
    return Plan(
        half,
        share=0.04,
        others=12,
        bank=400,
        bank_share=0.5,
        timed=24,
        overlays=2,
        under_overlay=4,
        low_texture=4,
    )
