"""Prove that two pictures show the same: enough shared keypoints in one arrangement.

An overlay that two pictures share (an app's frame, a caption, a logo) has keypoints in one
arrangement too. Three guards distinguish it from a copy. Keypoints that many registered pictures
share do not count; the caller says which those are. The agreeing keypoints must cover the visible
part. And the aligned pictures must be bright and dark in the same places.
docs/decisions/0007-patches.md has the measurements.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from egide.domain.model import KeypointEvidence, KeypointQuery, KeypointSet
from egide.hashing.keypoint_set import SIGN_GRID, KeypointView, view
from egide.matching.arrangement import MIN_INLIERS, NORMAL_SIDE, Correspondence, arrange, outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from egide.matching.arrangement import Floats

MAX_DESCRIPTOR_BITS = 60
"""Descriptors that differ in more bits are of different keypoints."""
MIN_COVERAGE = 0.2
"""The share of the registered picture's visible part that must hold agreeing keypoints."""
MIN_AGREEMENT = 0.75
"""The share of brightness directions that must agree; by chance half of them do."""
FEW_INLIERS = 14
"""Among very many pictures, fewer inliers may agree by chance."""
MIN_AGREEMENT_OF_FEW = 0.92
"""Replaces `MIN_AGREEMENT` if there are few inliers."""

_FIRST_WORD_BITS = 20
# Descriptors within 60 of 256 bits are within 15 of 64 on average: a quarter of the work rejects
# nearly all others.
_MAX_PAIRS = 300
_BEST_OF_EACH = 2

_MIN_CELLS, _MAX_CELLS = 3, 8
_KEYPOINTS_A_CELL = 6
# The coverage grid is as fine as the keypoints allow: a ninth of a collage has few.

_COMMON_WEIGHT = 2
# A block belongs to an overlay if a third of its keypoints are common: in a small bank, only some
# of an overlay's keypoints are recognised as common.

_SAMPLES = 4
_CLEAR_LEVELS = 2.0


class _Pairs(NamedTuple):
    """Pairs of similar keypoints, best first.

    Attributes:
        entry, query: positions in either set, shape (n,).
        own: which of all the entry's keypoints lie outside overlays.
        own_blocks: the same for its 8×8 blocks.
    """

    entry: NDArray[np.intp]
    query: NDArray[np.intp]
    own: NDArray[np.bool_]
    own_blocks: NDArray[np.bool_]


def prove(
    query: KeypointQuery, mirrored: bool, entry: KeypointSet, usable: NDArray[np.bool_] | None
) -> KeypointEvidence | None:
    """The evidence that the query shows the entry's picture or a part of it; None if it does not.

    Args:
        query: the query picture.
        mirrored: whether to compare with the query's mirror image. The evidence always refers to
            the unmirrored query; if mirrored, the determinant of its matrix is negative.
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
    """Pair keypoints within `MAX_DESCRIPTOR_BITS`, each with its best few in the other picture."""
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
    """Pairs of descriptors within `MAX_DESCRIPTOR_BITS`; misses few, whose first word differs much.

    Args:
        first: descriptors as words, shape (n, 4).
        second: the same, shape (m, 4).

    Returns:
        the positions in both, and the distance in bits, each of shape (pairs,).
    """
    # Transposed, so that each word of all descriptors is contiguous.
    a, b = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    near = np.bitwise_count(a[0][:, None] ^ b[0]) <= _FIRST_WORD_BITS
    i, j = np.divmod(np.flatnonzero(near), max(len(second), 1))
    bits = np.bitwise_count(a[0].take(i) ^ b[0].take(j))
    for word in (1, 2, 3):
        bits += np.bitwise_count(a[word].take(i) ^ b[word].take(j))
    kept = np.flatnonzero(bits <= MAX_DESCRIPTOR_BITS)
    return i[kept], j[kept], bits[kept]


def _rank(keys: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each key, the number of equal keys before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    rank = np.empty(len(keys), np.intp)
    rank[order] = np.arange(len(keys)) - np.searchsorted(ordered, ordered)
    return rank


def _unit(frame: KeypointSet) -> float:
    """Stored pixels per normal pixel."""
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
    """The share of the registered picture's visible cells with keypoints that hold an inlier.

    A keypoint is visible if it counts, lies in the query's frame and has a size found there.
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
    """Each keypoint's cell in a grid over the registered picture."""
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
    """The share of brightness directions that agree, among those clear in both pictures."""
    levels, told = _sample(query, entry, matrix)
    finer = SIGN_GRID // _MAX_CELLS
    told &= own_blocks.reshape(_MAX_CELLS, _MAX_CELLS).repeat(finer, 0).repeat(finer, 1)
    compared = same = 0
    for axis in (0, 1):
        # The last column or row is compared with the first, which is never clear in the entry.
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
        levels, and which cells are completely inside the query, each of shape (grid, grid).
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
