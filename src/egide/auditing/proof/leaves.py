"""The digest of a set: a Merkle tree of its containers, each a Merkle tree of its items.

A second tree of the same shape says of each item whether it was compared, and whether it is gone.
Names are in neither. docs/reference/proof.md has the format for other implementations.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING

import numpy as np

from egide.auditing.proof.attested import Change, Outcomes, Tree
from egide.auditing.proof.merkle import MerkleTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from egide.auditing.results import KeptItem, Results

_FILE, _OTHER = b"f", b"p"
_PREFIX_BYTES = 8


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the trees say of one item.

    Attributes:
        data: of the leaf in the tree of the set.
        sha256: of the item's bytes, if they are known.
    """

    data: bytes
    sha256: bytes | None
    compared: bool


def leaf_of(sha256: bytes | None, proof: bytes, *, compared: bool) -> Leaf:
    """Make the leaf of an item.

    Args:
        sha256: of its bytes, if they are known.
        proof: what else stands for it: hashes from a list, or the code of what went wrong.
        compared: whether it was compared with the register.
    """
    if sha256 is not None:
        return Leaf(_FILE + sha256, sha256, compared)
    return Leaf(_OTHER + hashlib.sha256(proof).digest(), None, compared)


def outcome_data(data: bytes, *, compared: bool, gone: bool) -> bytes:
    """Data of a leaf in the tree of outcomes."""
    return data + bytes([compared + 2 * gone])


def container_data(size: int, root: bytes) -> bytes:
    """Data of a leaf in the upper trees: how many leaves a container has, and its root."""
    return size.to_bytes(8, "big") + root


def kept_leaves(results: Results) -> Iterator[Iterator[Leaf]]:
    """Yield the leaves of an audited set, container by container.

    How a large file was cut into shards makes no difference, and neither does the length of runs.
    """

    def leaf(item: KeptItem) -> Leaf:
        return leaf_of(item.sha256, item.proof, compared=item.gap is None)

    planned = groupby(results.shards(), lambda each: (each.source, each.shard.kind, each.shard.url))
    for _, shards in planned:
        yield map(leaf, chain.from_iterable(results.items(each.id) for each in shards))


class Later:
    """The files of a later set, to tell which of an earlier one are gone.

    It holds eight bytes of each digest: two files that share them pass for one, so it can take a
    file for kept that is gone, once in 10¹⁹ pairs, and never the other way round.
    """

    def __init__(self, digests: Iterable[bytes]) -> None:
        """Read the SHA-256 of all files."""
        self.prefixes = _prefixes(digests)
        self._known = np.unique(self.prefixes)

    def has(self, sha256: bytes) -> bool:
        """Whether a file of the set has this digest."""
        prefix = np.frombuffer(sha256, ">u8", 1).astype(np.uint64)
        at = int(np.searchsorted(self._known, prefix)[0])
        return at < self._known.size and bool(self._known[at] == prefix[0])

    def change(self, before: Iterable[bytes]) -> Change:
        """Count what was kept, what is gone and what is new, each copy of a file by itself."""
        both = (
            np.unique(found, return_counts=True) for found in (_prefixes(before), self.prefixes)
        )
        (old, old_counts), (new, new_counts) = both
        _, at_old, at_new = np.intersect1d(old, new, assume_unique=True, return_indices=True)
        kept = int(np.minimum(old_counts[at_old], new_counts[at_new]).sum())
        return Change(kept, int(old_counts.sum()) - kept, int(new_counts.sum()) - kept)


def _prefixes(digests: Iterable[bytes]) -> NDArray[np.uint64]:
    packed = bytearray()
    for digest in digests:
        packed += digest[:_PREFIX_BYTES]
    return np.frombuffer(bytes(packed), ">u8").astype(np.uint64)


@dataclass(frozen=True, slots=True)
class Paths:
    """Audit paths of one leaf in its container, and of the container, in both trees.

    Attributes:
        leaves: of the container.
    """

    leaf: list[bytes]
    container: list[bytes]
    leaf_outcome: list[bytes]
    container_outcome: list[bytes]
    leaves: int


class SetDigest:
    """Builds the two trees of a set from its leaves, container by container."""

    def __init__(self, later: Later | None = None, wanted: tuple[int, int] | None = None) -> None:
        """Begin with an empty set.

        Args:
            later: the set that was made from it, if one is attested.
            wanted: container and leaf whose audit paths are needed, both from 0.
        """
        self._later = later
        self._wanted = wanted
        outer = () if wanted is None else (wanted[0],)
        self._sets, self._outcomes = MerkleTree(outer), MerkleTree(outer)
        self._leaves = self._compared = self._gone = 0
        self._inner: tuple[list[bytes], list[bytes], int] | None = None

    def add(self, leaves: Iterable[Leaf]) -> None:
        """Add a container."""
        number = self._sets.size
        wanted = () if self._wanted is None or self._wanted[0] != number else (self._wanted[1],)
        items, outcomes = MerkleTree(wanted), MerkleTree(wanted)
        for leaf in leaves:
            gone = self.is_gone(leaf.sha256)
            items.add(leaf.data)
            outcomes.add(outcome_data(leaf.data, compared=leaf.compared, gone=gone))
            self._compared += leaf.compared
            self._gone += gone
        self._leaves += items.size
        self._sets.add(container_data(items.size, items.root()))
        self._outcomes.add(container_data(outcomes.size, outcomes.root()))
        for at in wanted:
            self._inner = (items.path(at), outcomes.path(at), items.size)

    def is_gone(self, sha256: bytes | None) -> bool:
        """Whether the later set has no file with this digest."""
        return self._later is not None and sha256 is not None and not self._later.has(sha256)

    def finish(self) -> tuple[Tree, Outcomes]:
        """Return both digests; nothing may be added afterwards."""
        tree = Tree(self._sets.root().hex(), self._sets.size, self._leaves)
        return tree, Outcomes(self._outcomes.root().hex(), self._compared, self._gone)

    def paths(self) -> Paths:
        """Return the audit paths of the wanted leaf, once finished."""
        assert self._wanted is not None
        assert self._inner is not None  # the wanted container was added
        container = self._wanted[0]
        leaf, outcome, leaves = self._inner
        return Paths(
            leaf, self._sets.path(container), outcome, self._outcomes.path(container), leaves
        )
