"""Whether two pictures share enough keypoints, in one arrangement, to show the same.

Any overlay that two pictures share (an app's frame, a caption, a logo) has keypoints in one
arrangement too. Three guards tell it from a copy: what many registered pictures have in common does
not count (the caller says which keypoints those are); the agreeing keypoints must lie all over what
is visible; and laid over one another, both pictures must be bright and dark in the same places.
docs/decisions/0007-patches.md has the measurements.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.domain.model import KeypointEvidence, KeypointQuery, KeypointSet
from egide.hashing.keypoint_set import SIGN_GRID, KeypointView, view
from egide.matching.arrangement import (
    MIN_INLIERS,
    NORMAL_SIDE,
    Correspondence,
    arrange,
    outline,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.matching.arrangement import Floats

MAX_DESCRIPTOR_BITS = 60
"""Descriptors that differ in more bits are not of the same keypoint."""
MIN_COVERAGE = 0.2
"""Of what is visible of the registered picture, the share that must hold agreeing keypoints."""
MIN_AGREEMENT = 0.75
"""Share of the directions of brightness that must be the same; by chance half of them are."""
FEW_INLIERS = 14
"""Fewer may agree by chance, among very many pictures."""
MIN_AGREEMENT_OF_FEW = 0.92
"""What is asked instead where inliers are few."""

_FIRST_WORD_BITS = 20
# Descriptors within 60 of 256 bits are within 15 of 64 on average: a quarter of the work settles
# nearly all of the others.
_MAX_PAIRS = 300
_BEST_OF_EACH = 2

_MIN_CELLS, _MAX_CELLS = 3, 8
_KEYPOINTS_A_CELL = 6
# Coverage is counted on a grid as fine as the keypoints allow: a ninth of a collage has few.

_COMMON_WEIGHT = 2
# A block belongs to an overlay where a third of its keypoints are common: in a small bank, only
# some of an overlay's are seen to be.

_SAMPLES = 4
_CLEAR_LEVELS = 2.0


class _Pairs(NamedTuple):
    """Keypoints that look alike, best first.

    Attributes:
        entry, query: positions in either set, shape (n,).
        own: which of all the entry's keypoints lie where the picture is its own, not an overlay.
        own_blocks: the same of its 8×8 blocks.
    """

    entry: NDArray[np.intp]
    query: NDArray[np.intp]
    own: NDArray[np.bool_]
    own_blocks: NDArray[np.bool_]


def prove(
    query: KeypointQuery, mirrored: bool, entry: KeypointSet, usable: NDArray[np.bool_] | None
) -> KeypointEvidence | None:
    """Say why the query shows the entry's picture or a part of it; None if it does not.

    Args:
        query: the picture that is searched for.
        mirrored: whether to compare with its mirror image; the evidence is of the query as it is
            in either case, and the determinant of its matrix negative if mirrored.
        entry: the registered picture's keypoints.
        usable: which keypoints of that side of the query count, shape (n,); None for all.
    """
    side = query.mirrored if mirrored else query.straight
    ours, theirs = view(side), view(entry)
    pairs = _pair(ours, theirs, entry, usable)
    if len(pairs.entry) < MIN_INLIERS:
        return None
    found = arrange(_correspondence(ours, theirs, side, entry, pairs))
    if found is None:
        return None
    normal, inliers = found
    inliers = inliers[pairs.own[pairs.entry[inliers]]]
    if len(inliers) < MIN_INLIERS:
        return None
    matrix = normal * _unit(side)
    matrix[:, :2] /= _unit(entry)
    covered = _coverage(ours, theirs, side, entry, matrix, pairs, inliers)
    if covered < MIN_COVERAGE:
        return None
    if mirrored:
        matrix[0] = -matrix[0]
        matrix[0, 2] += side.width
    agreed = _agreement(query, theirs, entry, matrix, pairs.own_blocks)
    if agreed < (MIN_AGREEMENT if len(inliers) >= FEW_INLIERS else MIN_AGREEMENT_OF_FEW):
        return None
    a, b, x, c, d, y = matrix.ravel().tolist()
    ring = outline(matrix, (entry.width, entry.height), (side.width, side.height))
    return KeypointEvidence(
        inliers=len(inliers),
        coverage=covered,
        agreement=agreed,
        matrix=(a, b, x, c, d, y),
        polygon=tuple((round(x), round(y)) for x, y in ring),
    )


def _pair(
    ours: KeypointView, theirs: KeypointView, entry: KeypointSet, usable: NDArray[np.bool_] | None
) -> _Pairs:
    """Pair keypoints within `MAX_DESCRIPTOR_BITS`, each with the best few of the other picture."""
    common = np.zeros(len(theirs.words), np.bool_)
    i, j, bits = near_descriptors(theirs.words, ours.words)
    if usable is not None:
        counts = usable[j]
        common[i[~counts]] = True
        i, j, bits = i[counts], j[counts], bits[counts]
    order = np.argsort(bits, kind="stable")
    i, j = i[order], j[order]
    best = (_rank(i) < _BEST_OF_EACH) & (_rank(j) < _BEST_OF_EACH)
    blocks = _cells(theirs, entry, _MAX_CELLS)
    excess = np.bincount(blocks, np.where(common, _COMMON_WEIGHT, -1), _MAX_CELLS**2)
    own = excess <= 0
    return _Pairs(i[best][:_MAX_PAIRS], j[best][:_MAX_PAIRS], own[blocks], own)


def near_descriptors(
    first: NDArray[np.uint64], second: NDArray[np.uint64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.uint8]]:
    """Pairs of descriptors within `MAX_DESCRIPTOR_BITS`, but for few that differ mostly in front.

    Args:
        first: descriptors as words, shape (n, 4).
        second: the same, shape (m, 4).

    Returns:
        position in either, and the distance in bits, each of shape (pairs,).
    """
    # Word by word, each word of all descriptors contiguous.
    a, b = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    near = np.bitwise_count(a[0][:, None] ^ b[0]) <= _FIRST_WORD_BITS
    i, j = np.divmod(np.flatnonzero(near), max(len(second), 1))
    bits = np.bitwise_count(a[0].take(i) ^ b[0].take(j))
    for word in (1, 2, 3):
        bits += np.bitwise_count(a[word].take(i) ^ b[word].take(j))
    kept = np.flatnonzero(bits <= MAX_DESCRIPTOR_BITS)
    return i[kept], j[kept], bits[kept]


def _rank(keys: NDArray[np.intp]) -> NDArray[np.intp]:
    """How many equal keys stand before each."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    rank = np.empty(len(keys), np.intp)
    rank[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return rank


def _unit(frame: KeypointSet) -> float:
    """Stored pixels for each normal pixel."""
    return math.sqrt(frame.width * frame.height) / NORMAL_SIDE


def _correspondence(
    ours: KeypointView, theirs: KeypointView, side: KeypointSet, entry: KeypointSet, pairs: _Pairs
) -> Correspondence:
    sizes = ours.sizes[pairs.query].astype(np.float64) / _unit(side)
    turn = ours.angles[pairs.query].astype(np.float64) - theirs.angles[pairs.entry]
    return Correspondence(
        entry=theirs.points[pairs.entry].astype(np.float64) / _unit(entry),
        query=ours.points[pairs.query].astype(np.float64) / _unit(side),
        zoom=np.log(sizes * _unit(entry) / theirs.sizes[pairs.entry]),
        turn=np.radians(turn),
        sizes=sizes,
    )


def _coverage(
    ours: KeypointView,
    theirs: KeypointView,
    side: KeypointSet,
    entry: KeypointSet,
    matrix: Floats,
    pairs: _Pairs,
    inliers: NDArray[np.intp],
) -> float:
    """Share of the registered picture's visible cells with keypoints that hold an inlier.

    Visible are keypoints which count, lie in the query's frame and are of a size found there.
    """
    at = theirs.points @ matrix[:, :2].T + matrix[:, 2]
    sizes = theirs.sizes * math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    visible = ((at > 0) & (at < (side.width, side.height))).all(1) & pairs.own
    visible &= (sizes > 0.9 * ours.sizes.min()) & (sizes < 1.1 * ours.sizes.max())
    home = (ours.points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
    there = ((home > 0) & (home < (entry.width, entry.height))).all(1)
    fewest = min(int(visible.sum()), int(there.sum()))
    across = min(max(math.isqrt(fewest // _KEYPOINTS_A_CELL), _MIN_CELLS), _MAX_CELLS)
    cells = _cells(theirs, entry, across)
    seen = np.unique(cells[visible])
    if not len(seen):
        return 0.0
    return float(np.isin(seen, cells[pairs.entry[inliers]]).mean())


def _cells(theirs: KeypointView, entry: KeypointSet, across: int) -> NDArray[np.int64]:
    """Which cell of a grid over the registered picture each keypoint is in."""
    at = (theirs.points * across / (entry.width, entry.height)).astype(np.int64)
    column, row = np.minimum(at, across - 1).T
    cells: NDArray[np.int64] = row * across + column
    return cells


def _agreement(
    query: KeypointQuery,
    theirs: KeypointView,
    entry: KeypointSet,
    matrix: Floats,
    own_blocks: NDArray[np.bool_],
) -> float:
    """Share of the directions of brightness that are the same where both pictures are clear."""
    levels, told = _sample(query, entry, matrix)
    finer = SIGN_GRID // _MAX_CELLS
    told &= own_blocks.reshape(_MAX_CELLS, _MAX_CELLS).repeat(finer, 0).repeat(finer, 1)
    compared = same = 0
    for axis in (0, 1):
        # The last column, or row, is compared with the first; the entry never calls that clear.
        rise = np.roll(levels, -1, 1 - axis) - levels
        clear = theirs.clear[axis] & (np.abs(rise) > _CLEAR_LEVELS)
        clear &= told & np.roll(told, -1, 1 - axis)
        compared += int(clear.sum())
        same += int((clear & ((rise > 0) == theirs.brighter[axis])).sum())
    return same / compared if compared else 0.0


def _sample(
    query: KeypointQuery, entry: KeypointSet, matrix: Floats
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The query's brightness in each cell of the registered picture's coarse grid.

    Returns:
        levels, and which cells are wholly inside the query, each of shape (grid, grid).
    """
    luma = np.frombuffer(query.luma, np.uint8).reshape(query.luma_height, query.luma_width)
    steps = (np.arange(SIGN_GRID * _SAMPLES) + 0.5) / (SIGN_GRID * _SAMPLES)
    x, y = steps * entry.width, steps[:, None] * entry.height
    column = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) * (
        query.luma_width / query.straight.width
    )
    row = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) * (
        query.luma_height / query.straight.height
    )
    inside = (column >= 0) & (column < query.luma_width) & (row >= 0) & (row < query.luma_height)
    samples = luma[
        np.where(inside, row, 0).astype(np.intp), np.where(inside, column, 0).astype(np.intp)
    ]
    blocks = (SIGN_GRID, _SAMPLES, SIGN_GRID, _SAMPLES)
    return samples.reshape(blocks).mean((1, 3)), inside.reshape(blocks).all((1, 3))
