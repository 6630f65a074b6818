"""Search of band lists and brute force, compiled by Numba: the same hits as NumPy, sooner.

A random access to a list that fills gigabytes takes 80 ns where its 4 KiB page is new to the
processor, and 20 where it is not. So the probes of a band are sorted by their bucket's part of the
list, a part at a time is searched, and everything is asked for ahead of its use. Sixteen filter
words are compared at a time. Importing this module compiles it, or loads what was compiled before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from egide.index.bands import SMALL, plan, spare_bits
from egide.index.kernel import Hits, check_radius

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from egide.index.lists import BandLists

_LANES = 16
# Probes of a band that are sorted at once: 16 MiB, and a second's wait for a thread that stops.
_MAX_PROBES = 1 << 20
# Probes of one part of a list, on average: its lines stay in the second-level cache.
_PROBES_PER_PART = 512
_MAX_PARTS = 4096
_STEP = 32
_SURVIVORS = 2048
_FIRST_HITS = 1024
_PREFETCHED_WORDS = 256
_MAX_QUERIES = 1 << 16
# The cost of a probe in rows of brute force.
_MIN_ROWS_PER_PROBE = 16
_DAMAGED = -1


@intrinsic
def _prefetch(context: Any, array: Any, place: Any) -> Any:
    """Ask for the line of an element, counted over the whole array."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        options = [ir.Constant(number, value) for value in (0, 3, 1)]  # read, keep, data
        builder.call(function, [builder.bitcast(builder.gep(data, [arguments[1]]), byte), *options])
        return context.get_dummy_value()

    return types.void(array, place), generate


@intrinsic
def _count(context: Any, word: Any) -> Any:
    """The number of set bits."""
    return word(word), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@intrinsic
def _lowest(context: Any, word: Any) -> Any:
    """The place of the lowest set bit."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return word(word), generate


@intrinsic
def _passing(context: Any, filters: Any, place: Any, wanted: Any, limit: Any) -> Any:
    """Compare 16 filter words from a place on: a set bit for each that differs in few bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        lanes = ir.VectorType(ir.IntType(16), _LANES)
        none, first = ir.Constant(lanes, ir.Undefined), ir.Constant(ir.IntType(32), 0)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _LANES), [0] * _LANES)

        def spread(value: Any) -> Any:
            return builder.shuffle_vector(
                builder.insert_element(none, value, first), none, everywhere
            )

        place = builder.bitcast(builder.gep(data, [arguments[1]]), lanes.as_pointer())
        words = builder.load(place, align=2)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes]), f"llvm.ctpop.v{_LANES}i16"
        )
        differing = builder.call(function, [builder.xor(words, spread(arguments[2]))])
        passed = builder.icmp_unsigned("<=", differing, spread(arguments[3]))
        return builder.zext(builder.bitcast(passed, ir.IntType(_LANES)), ir.IntType(32))

    return types.uint32(filters, place, types.uint16, types.uint16), generate


def _compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile now; keep the machine code if there is a folder for it."""

    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return njit(signature, cache=True, nogil=True)(function)
        except RuntimeError:  # no such folder: compiled anew in each process
            return njit(signature, nogil=True)(function)

    return compile_


def _read_only(scalar: Any, dimensions: int) -> Any:
    return types.Array(scalar, dimensions, "C", readonly=True)


_FOUND = types.Tuple((types.int64[::1], types.int64[::1], types.uint8[::1], types.int64))


@njit
def _bits(word: Any, start: Any, count: Any) -> Any:
    """Cut up to 32 bits from a code of four words, round the ring."""
    place, shift = (start >> 6) & 3, start & 63
    found = word[place] >> np.uint64(shift)
    if shift + count > 64:
        found |= word[(place + 1) & 3] << np.uint64(64 - shift)
    return found & ((np.uint64(1) << np.uint64(count)) - np.uint64(1))


@njit
def _distance(codes: Any, place: Any, queries: Any, number: Any) -> Any:
    return np.int64(
        _count(codes[place, 0] ^ queries[number, 0])
        + _count(codes[place, 1] ^ queries[number, 1])
        + _count(codes[place, 2] ^ queries[number, 2])
        + _count(codes[place, 3] ^ queries[number, 3])
    )


@njit
def _longer(array: Any) -> Any:
    twice = np.empty(2 * len(array), array.dtype)
    twice[: len(array)] = array
    return twice


@njit
def _first_band(one: Any, other: Any, starts: Any, allowances: Any) -> Any:
    """The first band that is bound to find a row within the radius."""
    bands = len(allowances)
    differing = np.empty(4, np.uint64)
    for place in range(4):
        differing[place] = one[place] ^ other[place]
    bits = np.empty(bands, np.int64)
    for band in range(bands):
        bits[band] = _count(_bits(differing, starts[band], starts[band + 1] - starts[band]))
    for band in range(bands):
        limit, total = -1, 0
        bound = True
        for step in range(3):
            limit += allowances[(band + step) % bands]
            total += bits[(band + step) % bands]
            bound = bound and total <= limit
        if bound:
            return band
    return bands


@_compiled(_FOUND(_read_only(types.uint64, 2), _read_only(types.uint64, 2), types.int64))
def _all_pairs(codes: Any, queries: Any, radius_bits: Any) -> Any:
    """Brute force."""
    query = np.empty(_FIRST_HITS, np.int64)
    row = np.empty(_FIRST_HITS, np.int64)
    distance = np.empty(_FIRST_HITS, np.uint8)
    found = 0
    for first in range(0, len(codes), 512):
        for number in range(len(queries)):
            for place in range(first, min(first + 512, len(codes))):
                apart = _distance(codes, place, queries, number)
                if apart <= radius_bits:
                    if found == len(query):
                        query, row, distance = _longer(query), _longer(row), _longer(distance)
                    query[found], row[found], distance[found] = number, place, apart
                    found += 1
    return query, row, distance, found


# The two functions of the innermost loops change no array's name: Numba would count references.


@njit
def _find_buckets(some: Any, words: Any, list_offsets: Any, rows: Any, begin: Any, end: Any) -> Any:
    """Read where the buckets of some probes begin and end, and ask for their filter words.

    Returns:
        whether all are within the list: the file may be damaged.
    """
    for place in range(len(some)):
        _prefetch(list_offsets, np.int64(some[place] >> np.uint64(32)))
    for place in range(len(some)):
        bucket = np.int64(some[place] >> np.uint64(32))
        begin[place], end[place] = list_offsets[bucket], list_offsets[bucket + 1]
        if begin[place] > end[place] or end[place] > rows:
            return False
        line, stop = begin[place], min(end[place], begin[place] + _PREFETCHED_WORDS)
        while line < stop:
            _prefetch(words, line)
            line += 32
    return True


@njit
def _scan(
    some: Any,
    words: Any,
    list_rows: Any,
    begin: Any,
    end: Any,
    filters_wanted: Any,
    allowed: Any,
    two: Any,
    rest_mask: Any,
    survivors: Any,
    waiting: Any,
    place: Any,
    at: Any,
) -> Any:
    """Compare the filter words of some probes' buckets, until all are read or survivors is full.

    A survivor is a place of the list, and the query with the number of bits that differ so far.

    Returns:
        the probe and the place in its bucket where to go on, and the number of survivors.
    """
    while place < len(some):
        number = np.int64(some[place] & np.uint64(0xFFFFFF))
        bits = np.int64(some[place] >> np.uint64(24) & np.uint64(255))
        wanted, limit, stop = filters_wanted[number], np.uint16(two - bits), end[place]
        while at < stop:
            passed = _passing(words, at, wanted, limit)
            if stop - at < _LANES:
                passed &= np.uint32((1 << (stop - at)) - 1)
            while passed:
                spot = at + np.int64(_lowest(passed))
                passed &= passed - np.uint32(1)
                differing = np.uint64(words[spot] ^ wanted)
                if bits + np.int64(_count(differing & rest_mask)) < allowed:
                    survivors[waiting, 0] = spot
                    survivors[waiting, 1] = number << 8 | (bits + np.int64(_count(differing)))
                    waiting += 1
                    _prefetch(list_rows, spot)
            at += _LANES
            if waiting >= _SURVIVORS:
                return place, at, waiting
        place += 1
        if place < len(some):
            at = begin[place]
    return place, at, waiting


@njit
def _confirm(
    survivors: Any,
    waiting: Any,
    codes: Any,
    list_rows: Any,
    queries: Any,
    radius_bits: Any,
    band: Any,
    spare_wanted: Any,
    spare: Any,
    two_mask: Any,
    two: Any,
    three: Any,
    starts: Any,
    allowances: Any,
    hits: Any,
) -> Any:
    """Compare survivors by their spare bits, then by their codes; add those that are hits."""
    query, row, distance, found = hits
    row_mask = np.uint64((1 << (32 - spare)) - 1)
    near = 0
    for each in range(waiting):
        held = np.uint64(list_rows[survivors[each, 0]])
        number, bits = survivors[each, 1] >> 8, survivors[each, 1] & 255
        more = (held >> np.uint64(32 - spare)) ^ np.uint64(spare_wanted[number])
        if bits + np.int64(_count(more & two_mask)) > two:
            continue
        if bits + np.int64(_count(more)) > three:
            continue
        here = np.int64(held & row_mask)
        if here >= len(codes):
            return query, row, distance, np.int64(_DAMAGED)
        _prefetch(codes, here * 4)
        survivors[near, 0], survivors[near, 1] = here, number
        near += 1
    for each in range(near):
        here, number = survivors[each, 0], survivors[each, 1]
        apart = _distance(codes, here, queries, number)
        if apart <= radius_bits and band == _first_band(
            codes[here], queries[number], starts, allowances
        ):
            if found == len(query):
                query, row, distance = _longer(query), _longer(row), _longer(distance)
            query[found], row[found], distance[found] = number, here, apart
            found += 1
    return query, row, distance, found


@njit
def _sort_probes(
    sorted_probes: Any,
    queries: Any,
    first: Any,
    last: Any,
    start: Any,
    key_bits: Any,
    allowed: Any,
    masks: Any,
    mask_counts: Any,
) -> Any:
    """Write the probes of queries first to last, those of one part of the list together.

    A probe is the bucket, the number of bits in which it differs from the key, and the query.
    """
    probes = mask_counts[allowed - 1]
    part_bits = 0
    while (
        (last - first) * probes >> part_bits > _PROBES_PER_PART
        and part_bits < key_bits
        and 2 << part_bits <= _MAX_PARTS
    ):
        part_bits += 1
    shift = np.uint64(key_bits - part_bits)
    places = np.zeros((1 << part_bits) + 1, np.int64)
    for number in range(first, last):
        key = _bits(queries[number], start, key_bits)
        for place in range(probes):
            places[np.int64((key ^ np.uint64(masks[place])) >> shift) + 1] += 1
    for part in range(1 << part_bits):
        places[part + 1] += places[part]
    for number in range(first, last):
        key = _bits(queries[number], start, key_bits)
        for bits in range(allowed):
            low = np.uint64(bits << 24 | number)
            for place in range(mask_counts[bits - 1] if bits else 0, mask_counts[bits]):
                bucket = key ^ np.uint64(masks[place])
                part = np.int64(bucket >> shift)
                sorted_probes[places[part]] = bucket << np.uint64(32) | low
                places[part] += 1


@_compiled(
    _FOUND(
        _read_only(types.uint64, 2),
        _read_only(types.uint16, 2),
        _read_only(types.uint32, 2),
        types.int64,
        types.int64,
        types.int64,
        types.int64,
        _read_only(types.int64, 1),
        _read_only(types.int64, 1),
        _read_only(types.uint32, 1),
        _read_only(types.int64, 1),
        _read_only(types.uint64, 2),
        types.int64,
    )
)
def _by_lists(
    codes: Any,
    filters: Any,
    lists: Any,
    rows_at: Any,
    offsets_at: Any,
    key_bits: Any,
    spare: Any,
    starts: Any,
    allowances: Any,
    masks: Any,
    mask_counts: Any,
    queries: Any,
    radius_bits: Any,
) -> Any:
    """Search the lists; fewer queries than 2^24."""
    query = np.empty(_FIRST_HITS, np.int64)
    row = np.empty(_FIRST_HITS, np.int64)
    distance = np.empty(_FIRST_HITS, np.uint8)
    hits = (query, row, distance, np.int64(0))
    bands = len(allowances)
    begin, end = np.empty(_STEP, np.int64), np.empty(_STEP, np.int64)
    survivors = np.empty((_SURVIVORS + _LANES, 2), np.int64)
    filters_wanted = np.empty(len(queries), np.uint16)
    spare_wanted = np.empty(len(queries), np.uint16)
    for band in range(bands):
        allowed = allowances[band]
        if allowed == 0:
            continue
        after = (band + 1) % bands
        two = allowed + allowances[after] - 1
        three = two + allowances[(band + 2) % bands]
        start = starts[band]
        rest = starts[band + 1] - start - key_bits
        rest_mask = np.uint64((1 << rest) - 1)
        # Of the spare bits, the first ones may still belong to the next band.
        of_two = min(max(rest + starts[after + 1] - starts[after] - 16, 0), spare)
        two_mask = np.uint64((1 << of_two) - 1)
        words = filters[band]
        list_rows, list_offsets = lists[band, rows_at:], lists[band, offsets_at:]
        for number in range(len(queries)):
            filters_wanted[number] = _bits(queries[number], start + key_bits, 16)
            spare_wanted[number] = _bits(queries[number], start + key_bits + 16, spare)
        probes = mask_counts[allowed - 1]
        per_block = max(1, _MAX_PROBES // probes)
        sorted_probes = np.empty(min(per_block, len(queries)) * probes, np.uint64)
        for first in range(0, len(queries), per_block):
            last = min(first + per_block, len(queries))
            _sort_probes(
                sorted_probes, queries, first, last, start, key_bits, allowed, masks, mask_counts
            )
            total = (last - first) * probes
            waiting = 0
            for step in range(0, total, _STEP):
                size = min(_STEP, total - step)
                some = sorted_probes[step : step + size]
                if not _find_buckets(some, words, list_offsets, len(codes), begin, end):
                    return query, row, distance, np.int64(_DAMAGED)
                place, at = 0, begin[0]
                while place < size:
                    place, at, waiting = _scan(
                        some, words, list_rows, begin, end, filters_wanted, allowed, two,
                        rest_mask, survivors, waiting, place, at,
                    )  # fmt: skip
                    if waiting >= _SURVIVORS:
                        hits = _confirm(
                            survivors, waiting, codes, list_rows, queries, radius_bits, band,
                            spare_wanted, spare, two_mask, two, three, starts, allowances, hits,
                        )  # fmt: skip
                        waiting = 0
                        if hits[3] == _DAMAGED:
                            return hits
            hits = _confirm(
                survivors, waiting, codes, list_rows, queries, radius_bits, band,
                spare_wanted, spare, two_mask, two, three, starts, allowances, hits,
            )  # fmt: skip
            if hits[3] == _DAMAGED:
                return hits
    return hits


def search(
    codes: NDArray[np.uint8],
    lists: BandLists | None,
    queries: NDArray[np.uint8],
    radius_bits: int,
    *,
    min_rows_per_probe: int = _MIN_ROWS_PER_PROBE,
) -> Hits:
    """Find every code within radius_bits of each query, as `MultiIndex.search` does.

    Args:
        codes: shape (n, 32).
        lists: of these codes; None for brute force only.
        queries: shape (q, 32).
        radius_bits: 0–63.
        min_rows_per_probe: with fewer rows, brute force is used.

    Raises:
        RadiusInvalid: the radius is outside 0–63.
        IndexError: the lists are damaged.
    """
    check_radius(radius_bits)
    words, wanted = codes.view("<u8"), queries.view("<u8")
    probes = plan(SMALL if lists is None else lists.layout, radius_bits)
    pieces = []
    for first in range(0, len(queries), _MAX_QUERIES):
        some = wanted[first : first + _MAX_QUERIES]
        if lists is None or len(codes) < probes.probes * min_rows_per_probe:
            found = _all_pairs(words, some, radius_bits)
        else:
            found = _by_lists(
                words,
                lists.lines.reshape(lists.layout.bands, -1),
                lists.words,
                lists.rows_at,
                lists.offsets_at,
                lists.layout.key_bits,
                spare_bits(len(codes)),
                lists.layout.starts,
                probes.allowances,
                probes.masks,
                probes.mask_counts,
                some,
                radius_bits,
            )
        query, row, distance, count = found
        if count == _DAMAGED:
            raise IndexError("bucket or row")
        pieces.append((query[:count] + first, row[:count], distance[:count]))
    return Hits.of(pieces)
