"""Merkle trees: the definition against published vectors, the stream against the definition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.auditing.proof.merkle import MerkleTree, merkle_root, root_of_path

# Of the Certificate Transparency project's own tests (merkle_tree_test.cc): public values.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
PATHS = {
    (0, 1): (),
    (0, 8): (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ),
    (5, 8): (
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ),
    (2, 3): ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",),
    (1, 5): (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ),
}


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("number", "size"), PATHS)
def test_paths_are_the_published_ones(number: int, size: int) -> None:
    tree = MerkleTree([number])
    for leaf in LEAVES[:size]:
        tree.add(leaf)
    tree.root()
    assert tuple(each.hex() for each in tree.path(number)) == PATHS[number, size]


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_a_stream_of_leaves_gives_the_root_by_definition_and_paths_that_lead_to_it(
    leaves: list[bytes],
) -> None:
    tree = MerkleTree(range(len(leaves)))
    for leaf in leaves:
        tree.add(leaf)
    root = tree.root()
    assert root == merkle_root(leaves)
    for number, leaf in enumerate(leaves):
        assert root_of_path(leaf, number, len(leaves), tree.path(number)) == root


@given(st.integers(1, 40), st.data())
def test_a_path_holds_for_its_leaf_place_and_hashes_alone(size: int, data: st.DataObject) -> None:
    leaves = [b"%d" % number for number in range(size)]
    number = data.draw(st.integers(0, size - 1))
    tree = MerkleTree([number])
    for leaf in leaves:
        tree.add(leaf)
    root, path = tree.root(), tree.path(number)
    assert root_of_path(b"another", number, size, path) != root
    assert root_of_path(leaves[number], size, size, path) is None
    assert root_of_path(leaves[number], -1, size, path) is None
    if size > 1:
        at = data.draw(st.integers(0, len(path) - 1))
        changed = [*path]
        changed[at] = bytes(32)
        assert root_of_path(leaves[number], number, size, changed) != root
        assert root_of_path(leaves[number], number, size, path[:-1]) != root
        assert root_of_path(leaves[number], number ^ 1, size, path) != root
    assert root_of_path(leaves[number], number, size, [*path, bytes(32)]) != root
