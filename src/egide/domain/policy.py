"""What follows from a picture's matches: let it pass, ask a person, or block it. Pure.

The rules, each match for itself; the strongest outcome wins:

- **Block** asks for three things at once: a reviewer confirmed the entry; the whole of a frame
  matched, whichever way it was turned or mirrored; and an exact digest or PDQ within the bank's
  radius did it. The matches must therefore come from a search at the banks' own radii.
- **Review** is what every other match asks for: of a part of a frame, of keypoints, or of an entry
  that nobody has confirmed or that a reviewer disputes.
- **Allow** is left where nothing matched. It never means that a picture is harmless: with
  `not-matchable` it means that only identical files could have been found, with
  `nothing-to-compare` that there was nothing to find.

What is stale may be reviewed for that alone: nothing is allowed then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from egide.domain.model import Signal, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Match


class Action(StrEnum):
    """What to do with a picture, from the mildest to the strongest."""

    ALLOW = "allow"
    REVIEW = "review"
    """A person has to look before anything is removed for good."""
    BLOCK = "block"


class Reason(StrEnum):
    """Why; the first of a decision's reasons is the one that decided it."""

    CONFIRMED_MATCH = "confirmed-match"
    """The whole of a frame is a confirmed entry's picture: the only reason to block."""
    PART_MATCH = "part-match"
    """Only a part of a frame matched: the rest may be anything, a news report for instance."""
    KEYPOINT_MATCH = "keypoint-match"
    """Only keypoints matched: the picture may have been changed a good deal."""
    UNVERIFIED_MATCH = "unverified-match"
    """No reviewer has looked at the entry yet."""
    DISPUTED_MATCH = "disputed-match"
    """A reviewer doubts the entry."""
    STALE_REGISTER = "stale-register"
    """The store has been silent for too long: entries may be missing."""
    NO_MATCH = "no-match"
    """Nothing matched within the banks' radii."""
    NOT_MATCHABLE = "not-matchable"
    """Too little detail for PDQ, or none is known: only identical files could be found."""
    NOTHING_TO_COMPARE = "nothing-to-compare"
    """No bank that was searched holds an entry that can match."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says to do with a picture.

    Attributes:
        reasons: at least one, in the order of `Reason`, each once.
        matches: those that the decision rests on, nearest first.
        revision: the store's revision that was searched.
    """

    action: Action
    reasons: tuple[Reason, ...]
    matches: tuple[Match, ...]
    revision: int


def decide(
    matchable: bool,
    matches: Sequence[Match],
    revision: int,
    *,
    compared: bool = True,
    review_stale: bool = False,
) -> Decision:
    """Decide by the rules above.

    Args:
        matchable: whether PDQ could be searched for, see `Fingerprint.matchable`.
        matches: of one picture, found at the banks' own radii.
        revision: the store's revision that was searched.
        compared: whether there was anything to compare with.
        review_stale: whether the answer is stale, and is to be reviewed for that.
    """
    found = {reason for match in matches for reason in _reasons(match)}
    if not matchable:
        found.add(Reason.NOT_MATCHABLE)
    elif compared and not found:
        found.add(Reason.NO_MATCH)
    if not compared:
        found.add(Reason.NOTHING_TO_COMPARE)
    if review_stale:
        found.add(Reason.STALE_REGISTER)
    if Reason.CONFIRMED_MATCH in found:
        action = Action.BLOCK
    else:
        action = Action.REVIEW if matches or review_stale else Action.ALLOW
    reasons = tuple(reason for reason in Reason if reason in found)
    return Decision(action, reasons, tuple(matches), revision)


_DOUBTS = {
    Trust.UNVERIFIED: Reason.UNVERIFIED_MATCH,
    Trust.DISPUTED: Reason.DISPUTED_MATCH,
}


def _reasons(match: Match) -> set[Reason]:
    """All that keeps a match from blocking; where nothing does, that it is confirmed."""
    doubts = set()
    if match.signal is Signal.KEYPOINTS:
        doubts.add(Reason.KEYPOINT_MATCH)
    elif match.rectangle is not None:
        doubts.add(Reason.PART_MATCH)
    if match.trust is not Trust.CONFIRMED:
        doubts.add(_DOUBTS[match.trust])
    return doubts or {Reason.CONFIRMED_MATCH}
