"""Find what goes from an archive among its members."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from egide.auditing.purge.plan import Cut
from egide.auditing.purge.samples import count_rest, rest_of_samples
from egide.auditing.sources.base import printable
from egide.auditing.sources.packed import unpacked_name
from egide.media.containers import Kind, kind_by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from egide.auditing.purge.plan import Doomed


def find_members(
    names: Sequence[str],
    doomed: Collection[Doomed],
    *,
    offset: Callable[[int], int | None] = lambda _at: None,
    digest: Callable[[int], str | None] = lambda _at: None,
    links: Mapping[int, str] | None = None,
) -> tuple[Cut, set[int]]:
    """Find the doomed items, and what goes with them.

    Args:
        names: of all members, in order; '' for what is no file.
        doomed: items that go.
        offset: of a member's bytes, where items have one.
        digest: of a member's bytes: asked only where a name is there more than once.
        links: the members that are links, and the names they lead to.

    Returns:
        the cut, and the positions of the members that go.
    """
    by_name: dict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        if name:
            by_name[printable(name)].append(at)
            # The one picture in a packed file: the file is the picture.
            if kind_by_name(name) is Kind.PACKED:
                by_name[printable(f"{name}/{unpacked_name(name)}")].append(at)
    gone: set[Doomed] = set()
    positions: set[int] = set()
    for one in doomed:
        found = by_name.get(one.item, [])
        if one.offset is not None:
            exact = [at for at in found if offset(at) in {None, one.offset}]
            packed = [at for at in found if printable(names[at]) != one.item]
            found = exact or packed
        if len(found) > 1 and one.sha256 is not None:
            found = [at for at in found if digest(at) in {None, one.sha256}]
        if found:
            gone.add(one)
            positions.update(found)
    more = rest_of_samples(names, positions)
    left = {names[at] for at in positions}
    lead = {
        at
        for at, target in (links or {}).items()
        if target in left and at not in positions and at not in more
    }
    with_them = count_rest(names, more)
    if lead:
        with_them["link"] += len(lead)
    copies = len(positions) - len(gone)
    return Cut(frozenset(gone), Counter(with_them), copies), positions | more | lead
