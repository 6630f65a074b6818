"""Decide from a picture's matches whether to allow it, review it or block it. Pure.

The rules apply to each match; the strongest outcome wins:

- **Block** needs three things at once: a reviewer confirmed the entry; a whole frame matched,
  in any rotation or reflection; and it matched by an exact digest, or by PDQ within the bank's
  radius. The matches must therefore come from a search at the banks' own radii.
- **Review** follows from every other match: of a part of a frame, by a rectangle or by anchored
  hashes; of keypoints; or of an entry that nobody has confirmed or that a reviewer disputes.
  So does a match of an address, at which something else may be now.
- **Allow** remains if nothing matched, or if all that matched is vetoed (`egide.domain.veto`). It
  never means that a picture is harmless. With `not-matchable` only identical files could have been
  found, with `nothing-to-compare` there was nothing to find.

A platform may choose to block by a part as well: `block_by_part`. The rest of the picture may be
anything, a news report or a collage, and nobody looks before it is gone.

A stale register may be reason enough for review; nothing is allowed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.domain.model import URL_SIGNALS, Signal, Trust
from egide.domain.veto import weigh

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Match


class Action(StrEnum):
    """What to do with a picture, from mildest to strongest."""

    ALLOW = "allow"
    REVIEW = "review"
    """A person must look before anything is removed for good."""
    BLOCK = "block"


class Reason(StrEnum):
    """The reason for a decision; the first of several is the decisive one."""

    CONFIRMED_MATCH = "confirmed-match"
    """A whole frame matches a confirmed entry: reason to block."""
    PART_MATCH = "part-match"
    """Only a part of a frame matched: the rest may be anything, such as a news report. Alone, it is
    reason to block only where the platform chose so."""
    KEYPOINT_MATCH = "keypoint-match"
    """Only keypoints matched: the picture may differ considerably."""
    UNVERIFIED_MATCH = "unverified-match"
    """No reviewer has looked at the entry yet."""
    DISPUTED_MATCH = "disputed-match"
    """A reviewer doubts the entry."""
    STALE_REGISTER = "stale-register"
    """The store has not been reached for too long: entries may be missing."""
    ADDRESS_MATCH = "address-match"
    """Only the picture's address matched: something else may be there now."""
    VETOED = "vetoed"
    """Something matched, and a negative bank says that the picture is harmless."""
    NO_MATCH = "no-match"
    """Nothing matched within the banks' radii."""
    NOT_MATCHABLE = "not-matchable"
    """There is too little detail for PDQ, or no PDQ is known: only identical files can match."""
    NOTHING_TO_COMPARE = "nothing-to-compare"
    """No searched bank holds an entry that can match."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The policy's decision about a picture.

    Attributes:
        reasons: at least one, in the order of `Reason`, each once.
        matches: the matches that the decision rests on, nearest first.
        vetoed: matches that it does not rest on, because of `vetoed_by`.
        vetoed_by: matches with entries of negative banks.
        revision: the store's revision that was searched.
    """

    action: Action
    reasons: tuple[Reason, ...]
    matches: tuple[Match, ...]
    revision: int
    vetoed: tuple[Match, ...] = ()
    vetoed_by: tuple[Match, ...] = ()


def decide(
    matchable: bool,
    matches: Sequence[Match],
    revision: int,
    *,
    compared: bool = True,
    review_stale: bool = False,
    block_by_part: bool = False,
) -> Decision:
    """Decide by the rules above.

    Args:
        matchable: whether PDQ could be searched, see `Fingerprint.matchable`.
        matches: of one picture, found at the banks' own radii, in negative banks too.
        revision: the store's revision that was searched.
        compared: whether there was anything to compare with.
        review_stale: whether the answer is stale and must be reviewed for that reason.
        block_by_part: whether a confirmed entry blocks a picture of which only a part matched.
    """
    weighed = weigh(matches)
    reasons_of = [_reasons(match) for match in weighed.standing]
    found = set().union(*reasons_of)
    if weighed.vetoed:
        found.add(Reason.VETOED)
    if not matchable:
        found.add(Reason.NOT_MATCHABLE)
    elif compared and not found:
        found.add(Reason.NO_MATCH)
    if not compared:
        found.add(Reason.NOTHING_TO_COMPARE)
    if review_stale:
        found.add(Reason.STALE_REGISTER)
    if Reason.CONFIRMED_MATCH in found or (block_by_part and {Reason.PART_MATCH} in reasons_of):
        action = Action.BLOCK
    else:
        action = Action.REVIEW if weighed.standing or review_stale else Action.ALLOW
    reasons = tuple(reason for reason in Reason if reason in found)
    return Decision(action, reasons, weighed.standing, revision, weighed.vetoed, weighed.vetoes)


_DOUBTS = {
    Trust.UNVERIFIED: Reason.UNVERIFIED_MATCH,
    Trust.DISPUTED: Reason.DISPUTED_MATCH,
}


def _reasons(match: Match) -> set[Reason]:
    """Every reason not to block on this match; if there is none, `CONFIRMED_MATCH`."""
    doubts = set()
    if match.signal is Signal.KEYPOINTS:
        doubts.add(Reason.KEYPOINT_MATCH)
    elif match.signal in URL_SIGNALS:
        doubts.add(Reason.ADDRESS_MATCH)
    elif match.by_part:
        doubts.add(Reason.PART_MATCH)
    if match.trust is not Trust.CONFIRMED:
        doubts.add(_DOUBTS[match.trust])
    return doubts or {Reason.CONFIRMED_MATCH}
