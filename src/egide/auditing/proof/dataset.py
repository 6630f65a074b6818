"""Read a dataset again, without decoding anything, to compute its digest."""

from __future__ import annotations

import hashlib
from itertools import chain, groupby
from typing import TYPE_CHECKING

from egide.auditing.proof.leaves import Leaf, SetDigest, leaf_of
from egide.auditing.sources import Columns, Item, Other, Rows, open_source, read_shard
from egide.auditing.sources.kept_rows import KeptRow
from egide.domain.coverage import Gap
from egide.domain.model import Fingerprint
from egide.errors import EgideError, SourceError, SourceTruncated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egide.auditing.proof.attested import Tree
    from egide.auditing.proof.facts import Counting
    from egide.auditing.sources import Shard
    from egide.domain.model import Limits


def digest_dataset(
    addresses: Sequence[str], columns: Sequence[str], limits: Limits, counting: Counting
) -> Tree:
    """Return the digest of a dataset as an audit of it would have it.

    Args:
        addresses: of the sources, in the order in which the audit had them.
        columns: image columns that were named for the audit.
        limits: on what one file may ask of this machine.
        counting: is told of each item.

    Raises:
        SourceError: a source does not exist, or cannot be listed.
    """
    built = SetDigest()
    for address in addresses:
        shards = open_source(address, columns).shards()
        for _, group in groupby(shards, lambda shard: (shard.kind, shard.url)):
            leaves = chain.from_iterable(_leaves(shard, limits) for shard in group)
            built.add(counting.over(leaves))
    return built.finish()[0]


def _leaves(shard: Shard, limits: Limits) -> Iterator[Leaf]:
    """The leaves of a shard; where reading ends early, the last says why."""
    try:
        for number, thing in enumerate(read_shard(shard, limits)):
            if not isinstance(thing, Other | Columns):
                yield _leaf(number, thing)
    except SourceError as error:
        ended: EgideError = error
    except Exception:  # noqa: BLE001 - hostile archives make readers raise anything
        ended = SourceTruncated(name=shard.name, items=0, reason="reading cannot continue")
    else:
        return
    yield leaf_of(None, ended.code.encode(), compared=False)


def _leaf(number: int, thing: Item | Gap | Rows) -> Leaf:
    """The leaf of something that was read, as that of the same thing in an audit's folder."""
    row = KeptRow(number, thing)
    if isinstance(thing, Rows):
        return leaf_of(None, hashlib.sha256(row.proof).digest(), compared=False)
    if isinstance(thing, Item):
        if isinstance(thing.content, bytes):
            return leaf_of(hashlib.sha256(thing.content).digest(), b"", compared=False)
        if isinstance(thing.content, Fingerprint):
            row = KeptRow(number, thing, thing.content)
            return leaf_of(thing.content.sha256, row.proof, compared=False)
        row = KeptRow(number, thing, Gap.of(thing.name, thing.content))
    return leaf_of(None, row.proof, compared=False)
