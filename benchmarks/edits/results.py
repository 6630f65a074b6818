"""What a run found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from edits.edit import Group
from edits.plan import Plan
from edits.speed import Speed
from edits.suite import EDITS
from edits.tally import Tally


@dataclass(slots=True)
class Results:
    """What was found, by method.

    Attributes:
        pictures: registered of the half.
        single: edits, each query compared with pictures one by one.
        banked: edits, some of the queries, through the bank.
        single_of_banked: the same queries, one by one.
        overlays, overlays_banked: shared overlays, one by one and through their bank.
        low: pictures with next to nothing in them, all with all.
        low_pictures: how many of these; `not_enough_detail`: those of which keypoints say so.
        seconds: the whole run.
    """

    plan: Plan
    pictures: int = 0
    single: dict[str, Tally] = field(default_factory=dict)
    banked: dict[str, Tally] = field(default_factory=dict)
    single_of_banked: dict[str, Tally] = field(default_factory=dict)
    overlays: dict[str, Tally] = field(default_factory=dict)
    overlays_banked: dict[str, Tally] = field(default_factory=dict)
    low: dict[str, Tally] = field(default_factory=dict)
    low_pictures: int = 0
    not_enough_detail: int = 0
    speed: Speed | None = None
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Numbers alone: no fingerprints, and of pictures only their names in the corpus."""
        return asdict(self)


def names(group: Group) -> list[str]:
    """The edits of a group."""
    return [edit.name for edit in EDITS if edit.group is group]
