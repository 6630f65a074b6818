"""Merkle trees of RFC 6962, section 2.1, over SHA-256.

`merkle_root` is the definition, written down as the RFC has it. `MerkleTree` gives the same root
from a stream of leaves, and remembers one hash for each bit of their count.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

HASH_BYTES = 32
MAX_PATH = 64
"""Hashes in the audit path of a tree with 2⁶⁴ leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash the data of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two nodes into the one above them."""
    return hashlib.sha256(b"\1" + left + right).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of some leaves, by its definition.

    Source: RFC 6962, section 2.1.
    """
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(merkle_root(leaves[:split]), merkle_root(leaves[split:]))


class MerkleTree:
    """The Merkle tree hash of a stream of leaves, and the audit paths of some of them."""

    def __init__(self, wanted: Collection[int] = ()) -> None:
        """Begin an empty tree.

        Args:
            wanted: numbers of the leaves whose audit paths are needed, from 0.
        """
        self.size = 0
        self._wanted = frozenset(wanted)
        self._paths: dict[int, list[bytes]] = {}
        # Whole subtrees from left to right, each half as large as the one before or less:
        # its hash, and which wanted leaves it holds.
        self._whole: list[tuple[bytes, tuple[int, ...]]] = []

    def add(self, data: bytes) -> None:
        """Add the data of the next leaf."""
        held: tuple[int, ...] = ()
        if self.size in self._wanted:
            self._paths[self.size] = []
            held = (self.size,)
        self._whole.append((leaf_hash(data), held))
        self.size += 1
        full = self.size
        while not full & 1:
            self._join(self._whole)
            full >>= 1

    def root(self) -> bytes:
        """Return the root, and complete the paths; nothing may be added afterwards."""
        while len(self._whole) > 1:
            self._join(self._whole)
        return self._whole[0][0] if self._whole else hashlib.sha256().digest()

    def path(self, number: int) -> list[bytes]:
        """Return the audit path of a wanted leaf, from the leaf up, once the root is known."""
        return self._paths[number]

    def _join(self, whole: list[tuple[bytes, tuple[int, ...]]]) -> None:
        right, held_right = whole.pop()
        left, held_left = whole.pop()
        for number in held_left:
            self._paths[number].append(right)
        for number in held_right:
            self._paths[number].append(left)
        whole.append((node_hash(left, right), held_left + held_right))


def root_of_path(data: bytes, number: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an audit path leads to, or None if it cannot be one.

    Args:
        data: of the leaf.
        number: of the leaf, from 0.
        size: of the tree, in leaves.
        path: from the leaf up.

    Source: RFC 9162, section 2.1.3.2.
    """
    if not 0 <= number < size:
        return None
    found, last, root = number, size - 1, leaf_hash(data)
    for beside in path:
        if not last:
            return None
        if found & 1 or found == last:
            root = node_hash(beside, root)
            while found and not found & 1:
                found, last = found >> 1, last >> 1
        else:
            root = node_hash(root, beside)
        found, last = found >> 1, last >> 1
    return None if last else root
