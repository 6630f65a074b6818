"""Which matches stand where a negative bank says that a picture is harmless. Pure.

A negative bank holds pictures that are known and harmless. That a query matches one of its entries
says something of the whole picture alone, and PDQ says it within some distance. So the rules are:

- Only an exact digest of the file, or the PDQ of a whole frame, vetoes; never a part of a picture,
  anchored hashes, keypoints or an address; and no entry that a reviewer disputes.
- A digest vetoes every match of that file, but an exact digest of a confirmed entry.
- A PDQ vetoes matches by the PDQ of the same whole frame, and of them those that are further away;
  where both are as near, one of a confirmed entry stands. A picture may show a harmless frame with
  a harmful part in it, so no match of a part is vetoed by PDQ.

docs/decisions/0024-negative-banks.md has the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.model import FILE_SIGNALS, BankKind, Signal, Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egide.domain.model import Match


@dataclass(frozen=True, slots=True)
class Weighed:
    """The matches of one picture, as they stand.

    Attributes:
        standing: matches with entries of positive banks that nothing vetoes.
        vetoed: those that something does.
        vetoes: the matches with entries of negative banks that veto one of them.
    """

    standing: tuple[Match, ...]
    vetoed: tuple[Match, ...]
    vetoes: tuple[Match, ...]


def weigh(matches: Sequence[Match]) -> Weighed:
    """Apply the rules above to the matches of one picture, in their order."""
    able = [match for match in matches if _may_veto(match)]
    positive = [match for match in matches if match.kind is BankKind.POSITIVE]
    if not able:
        return Weighed(tuple(positive), (), ())
    against = [[veto for veto in able if _vetoes(veto, match)] for match in positive]
    used = {veto for each in against for veto in each}
    return Weighed(
        tuple(match for match, by in zip(positive, against, strict=True) if not by),
        tuple(match for match, by in zip(positive, against, strict=True) if by),
        tuple(veto for veto in able if veto in used),
    )


def _may_veto(match: Match) -> bool:
    if match.kind is not BankKind.NEGATIVE or match.trust is Trust.DISPUTED:
        return False
    return match.signal in FILE_SIGNALS or (match.signal is Signal.PDQ and not match.by_part)


def _vetoes(veto: Match, match: Match) -> bool:
    confirmed = match.trust is Trust.CONFIRMED
    if veto.signal in FILE_SIGNALS:
        return not (match.signal in FILE_SIGNALS and confirmed)
    if match.signal is not Signal.PDQ or match.by_part or match.frame != veto.frame:
        return False
    assert veto.distance is not None  # PDQ has one
    assert match.distance is not None
    return veto.distance < match.distance or (veto.distance == match.distance and not confirmed)
