"""Tell lists of PDQs from lists of SHA-256s where nothing in them says which they are.

A PDQ sets the bits over its median: exactly 128, but where samples are equal. Of random values,
as digests are, one in twenty has as many.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import TYPE_CHECKING

from egide.domain.model import Signal
from egide.errors import HashInvalid, HashKindUnsure
from egide.hashlist.values import BadLine, Untold, meaningless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from egide.hashlist.values import Read

SAMPLE = 1000
"""Values that are told at once; a later thousand has to agree with the first."""
_MAX_PENDING = 10 * SAMPLE
"""Lines of other kinds between them that wait meanwhile."""
_ONES = 128
_OF_RANDOM = 0.05
_FEW = 10
_PDQ_SHARE = 0.9


def kind_told(ones: int, count: int) -> Signal | None:
    """The kind of `count` values of which `ones` have exactly 128 ones, or None if unsure."""
    if ones >= (_PDQ_SHARE * count if count >= _FEW else count):
        return Signal.PDQ
    random = _OF_RANDOM * count
    # A long list is told thousand by thousand: of six deviations it meets none by chance.
    spread = 6 if count >= SAMPLE else 3
    most = random + spread * sqrt(random) if count >= _FEW else count / 4
    return Signal.SHA256 if ones <= most else None


def settled(events: Iterable[Read | Untold], name: str) -> Iterator[Read]:
    """Give each value of an untold kind its kind, in order.

    Args:
        events: of a list.
        name: of the list, for the error.

    Raises:
        HashKindUnsure: the values are of neither kind throughout.
    """
    pending: list[Read | Untold] = []
    told: Signal | None = None
    untold = 0
    for read in events:
        event = _meaningful(read)
        if not isinstance(event, Untold):
            if not pending:
                yield event
                continue
            pending.append(event)
        else:
            pending.append(event)
            untold += 1
        if untold == SAMPLE or len(pending) == _MAX_PENDING:
            told = _told(pending, name, told)
            yield from (_resolved(one, told) for one in pending)
            pending.clear()
            untold = 0
    if pending:
        told = _told(pending, name, told)
        yield from (_resolved(one, told) for one in pending)


def _meaningful(event: Read | Untold) -> Read | Untold:
    """Refuse what would be no value of either kind, before it is counted."""
    if isinstance(event, Untold):
        for kind in (Signal.PDQ, Signal.SHA256):
            if (reason := meaningless(event.value, kind)) is not None:
                line = event.line
                return BadLine(line.line, reason, HashInvalid.code, line.unit)
    return event


def _told(pending: list[Read | Untold], name: str, before: Signal | None) -> Signal:
    values = [one.value for one in pending if isinstance(one, Untold)]
    count = len(values)
    ones = sum(int.from_bytes(value).bit_count() == _ONES for value in values)
    kind = kind_told(ones, count)
    if before is not None and (kind is before or count < _FEW):
        return before
    if kind is None or before is not None:
        raise HashKindUnsure(name=name, count=count, ones=ones)
    return kind


def _resolved(event: Read | Untold, kind: Signal) -> Read:
    if not isinstance(event, Untold):
        return event
    line, value = event.line, event.value
    return replace(line, pdqs=(value,)) if kind is Signal.PDQ else replace(line, sha256=value)
