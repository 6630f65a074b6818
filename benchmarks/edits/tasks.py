"""What the processes of the pool do; everything registered is inherited by forking."""

from __future__ import annotations

from dataclasses import dataclass, field

from PIL import Image

from edits import shared
from edits.bank import Bank, Kept, distractor, keep
from edits.corpus import Half, Photo
from edits.pairwise import Pairwise, edited_file, some_others
from edits.suite import EDITS
from edits.tally import Outcome


@dataclass(slots=True)
class Inherited:
    """Set in the parent before the pool is made."""

    half: Half = field(default_factory=lambda: Half((), ()))
    fillers: list[Image.Image] = field(default_factory=list)
    sources: list[Image.Image] = field(default_factory=list)
    pairwise: Pairwise | None = None
    bank: Bank | None = None
    overlays: dict[str, Pairwise] = field(default_factory=dict)
    overlay_bank: Bank | None = None


INHERITED = Inherited()


@dataclass(frozen=True, slots=True)
class Query:
    """One edit of one picture.

    Attributes:
        edit, photo: positions in the suite and in the half.
        others: how many other pictures keypoints are compared with.
        through_bank: whether the bank is asked, too.
    """

    edit: int
    photo: int
    others: int
    through_bank: bool


def edited(query: Query) -> tuple[list[Outcome], list[Outcome]]:
    """Edit a picture and search for it: outcomes one by one, and through the bank."""
    half, pairwise = INHERITED.half, INHERITED.pairwise
    assert pairwise is not None
    edit, photo = EDITS[query.edit], half.photos[query.photo]
    data = edited_file(edit, photo, INHERITED.fillers)
    others = some_others(edit.name, photo, half, query.others)
    single = list(pairwise.examine(edit.name, photo.key, data, others))
    if not query.through_bank:
        return single, []
    assert INHERITED.bank is not None
    return single, list(INHERITED.bank.examine(edit.name, photo.key, data))


def under_overlay(work: tuple[str, Photo]) -> tuple[list[Outcome], list[Outcome]]:
    """Search for copies of a picture under an overlay: one by one, and through their bank."""
    overlay, photo = work
    pairwise = INHERITED.overlays[overlay]
    single: list[Outcome] = []
    banked: list[Outcome] = []
    for name, data in shared.copies(overlay, photo):
        single += pairwise.examine(name, photo.key, data, range(len(pairwise.keys)))
        if INHERITED.overlay_bank is not None:
            banked += INHERITED.overlay_bank.examine(name, photo.key, data)
    return single, banked


def distracting(number: int) -> Kept:
    """Make a distractor and fingerprint it."""
    return keep(f"distractor-{number}", distractor(number, INHERITED.sources))


def registering(photo: Photo) -> Kept:
    """Fingerprint a picture."""
    return keep(photo.key, photo.data)
