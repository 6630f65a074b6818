"""Anchored hashes as values: what is such a list, and what a query keeps of its own."""

import re

import pytest

from egide.domain.model import (
    MAX_ANCHORED,
    MAX_ANCHORED_QUERY,
    REGISTERED_ANCHORED,
    AnchoredHashes,
    AnchoredQuery,
)
from egide.errors import AnchoredInvalid


def code(number: int) -> bytes:
    """A code of 128 ones, another for each number under 2⁶⁴."""
    half = number.to_bytes(16)
    return half + bytes(255 - byte for byte in half)


def test_codes_are_sorted_and_each_kept_once() -> None:
    kept = AnchoredHashes.of([code(3), code(1), code(3), code(2)])
    assert [*kept] == [code(1), code(2), code(3)]
    assert kept == AnchoredHashes.of([code(2), code(3), code(1)])


@pytest.mark.parametrize(
    ("codes", "version", "reason"),
    [
        (b"", 1, "0 bytes"),
        (code(1)[:-1], 1, "31 bytes"),
        (bytes(32), 1, "128 ones"),
        (b"\xff" * 32, 1, "128 ones"),
        (code(2) + code(1), 1, "not sorted"),
        (code(1) + code(1), 1, "twice"),
        (b"".join(code(each) for each in range(MAX_ANCHORED + 1)), 1, "they are 65"),
        (code(1), 2, "version 2"),
    ],
)
def test_what_is_no_such_list_is_refused(codes: bytes, version: int, reason: str) -> None:
    with pytest.raises(AnchoredInvalid, match=re.escape(reason)):
        AnchoredHashes(codes, version)


def test_nothing_of_the_codes_is_told_by_repr_or_by_an_error() -> None:
    kept = AnchoredHashes.of([code(0xABCDEF)])
    assert "abcdef" not in repr(kept).lower()
    with pytest.raises(AnchoredInvalid) as raised:
        AnchoredHashes(code(0xABCDEF) * 2)
    assert "abcdef" not in str(raised.value).lower()


def test_a_query_keeps_the_first_code_of_each_of_its_strongest_regions() -> None:
    regions = [region for region in range(MAX_ANCHORED + 6) for _ in range(2)]
    query = AnchoredQuery(
        b"".join(code(1000 + place) for place in range(len(regions))), bytes(regions)
    )
    assert [*query.registered()] == [
        code(1000 + 2 * region) for region in range(REGISTERED_ANCHORED)
    ]


@pytest.mark.parametrize(
    ("count", "regions"), [(1, 1), (256, 256), (257, 129), (MAX_ANCHORED_QUERY, 255)]
)
def test_codes_alone_are_each_a_region_of_its_own_as_far_as_numbers_go(
    count: int, regions: int
) -> None:
    query = AnchoredQuery.of([code(place) for place in range(count)])
    assert len([*query]) == len(query.regions) == count
    assert len(set(query.regions)) == regions


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        ([], "they are 0"),
        ([code(1)] * (MAX_ANCHORED_QUERY + 1), "they are 511"),
        ([code(1), code(2)[:-1]], "32 bytes"),
        ([code(1), bytes(32)], "128 ones"),
    ],
)
def test_what_nothing_can_be_searched_by_is_refused(codes: list[bytes], reason: str) -> None:
    with pytest.raises(AnchoredInvalid, match=re.escape(reason)):
        AnchoredQuery.of(codes)
