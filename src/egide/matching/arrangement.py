"""Check that similar keypoints are also arranged alike: find one affine transform for many pairs.

Each pair of keypoints alone suggests how one picture lies in the other: its shift, scale and
rotation. So every pair is a hypothesis on which the others vote. Nothing is random, and the work is
bounded by the square of the number of pairs.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MIN_INLIERS = 8
"""Pairs that must agree, all at different places."""
NORMAL_SIDE = 554.0
"""Square root of the area, that of 640×480, to which both pictures are notionally scaled."""

_MIN_VOTES = 5
_STARTS = 4
_MIN_HULL = 0.015
# Share of the registered picture's area that the inliers span: less is a logo or a word.
_CELL = 12.0
_KEYPOINT = 31.0
# Side of the square that ORB examines: larger keypoints are placed proportionally less exactly.
_COS_BEND = 0.9
_ZOOM = 0.45
# Pairs that vote for each other differ by at most 26° in rotation and 57 % in scale.
_ROUNDS = ((0.10, 7.0), (0.06, 6.0), (0.03, 4.5), (0.0, 4.0))
# For each new fit of the transform: how far a pair may be off, as a share of its distance from the
# middle of the pairs, plus a constant in normal pixels.
_MAX_SLACK = 2.5
_MAX_STRETCH = 2.2
_MIN_SCALE, _MAX_SCALE = 0.1, 8.0


class Correspondence(NamedTuple):
    """Pairs of similar keypoints, in normal pixels, best first.

    Attributes:
        entry, query: positions, shape (n, 2).
        zoom: logarithm of the query keypoint's size over the entry's, shape (n,).
        turn: rotation from the entry's keypoint to the query's, in radians, shape (n,).
        sizes: of the query's keypoints, shape (n,).
    """

    entry: Floats
    query: Floats
    zoom: Floats
    turn: Floats
    sizes: Floats


def arrange(pairs: Correspondence) -> tuple[Floats, NDArray[np.intp]] | None:
    """Find the transform that most pairs agree on.

    Returns:
        the affine transform from entry to query, shape (2, 3), and the pairs that agree, at most
        one for each 12 pixels of either picture; None if fewer than `MIN_INLIERS` agree or they
        span too little.
    """
    starts, voters = _vote(pairs)
    best: tuple[Floats, NDArray[np.intp]] | None = None
    tried = np.zeros(len(pairs.turn), np.bool_)
    left = _STARTS
    votes = np.bincount(starts, minlength=len(tried))
    ends = np.cumsum(votes)
    for start in np.argsort(-votes, kind="stable"):
        if votes[start] < _MIN_VOTES or not left:
            break
        if tried[start]:
            continue
        left -= 1
        # Votes are sorted by the pair that they are for.
        mine = voters[ends[start] - votes[start] : ends[start]]
        fitted = _refine(pairs, mine)
        tried[mine] = True
        if fitted is None:
            continue
        matrix, agreeing = fitted
        tried[agreeing] = True
        inliers = _thin(pairs, agreeing)
        if best is None or len(inliers) > len(best[1]):
            best = matrix, inliers
    if best is None or len(best[1]) < MIN_INLIERS:
        return None
    return best if hull_area(pairs.entry[best[1]]) >= _MIN_HULL * NORMAL_SIDE**2 else None


def _vote(pairs: Correspondence) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For each vote, the pair that it is for and the pair that it is from."""
    facing = np.column_stack([np.cos(pairs.turn), np.sin(pairs.turn)])
    alike = facing @ facing.T > _COS_BEND
    alike &= np.abs(pairs.zoom[:, None] - pairs.zoom) < _ZOOM
    start, voter = np.divmod(np.flatnonzero(alike), len(pairs.turn))
    entry, query = pairs.entry @ (1, 1j), pairs.query @ (1, 1j)
    turned = np.exp(pairs.zoom + 1j * pairs.turn)
    reach = 6 * np.maximum(pairs.sizes / _KEYPOINT, 1)
    moved = turned.take(start) * (entry.take(voter) - entry.take(start))
    miss = moved - (query.take(voter) - query.take(start))
    near = np.flatnonzero(_length(miss) <= reach.take(voter) + 0.15 * _length(moved))
    return start[near], voter[near]


def _length(arrows: NDArray[np.complex128]) -> Floats:
    # Takes a quarter of the time of `np.abs`, which guards against overflow.
    lengths: Floats = np.sqrt(arrows.real**2 + arrows.imag**2)
    return lengths


def _refine(
    pairs: Correspondence, mine: NDArray[np.intp]
) -> tuple[Floats, NDArray[np.intp]] | None:
    """Fit a transform to some pairs, select the pairs that agree, and fit again."""
    slack = np.clip(pairs.sizes / _KEYPOINT, 1, _MAX_SLACK)
    matrix: Floats | None = None
    for far, near in _ROUNDS:
        matrix = _fit(pairs.entry[mine], pairs.query[mine])
        if matrix is None:
            return None
        guess = pairs.entry @ matrix[:, :2].T + matrix[:, 2]
        (a, b), (c, d) = matrix[:, :2]
        zoom, turn = 0.5 * math.log(a * d - b * c), math.atan2(c - b, a + d)
        off_x, off_y = (guess - pairs.query).T
        away_x, away_y = (guess - guess[mine].mean(0)).T
        agree = np.hypot(off_x, off_y) <= near * slack + far * np.hypot(away_x, away_y)
        agree &= np.cos(pairs.turn - turn) > _COS_BEND
        agree &= np.abs(pairs.zoom - zoom) < _ZOOM
        mine = np.flatnonzero(agree)
        if len(mine) < MIN_INLIERS:
            return None
    return None if matrix is None else (matrix, mine)


def _fit(entry: Floats, query: Floats) -> Floats | None:
    """The best affine transform; None if no plausible edit would cause it.

    Few points, or points in a line, do not determine an affine transform, so it is regularised
    towards the best similarity.
    """
    middle_e, middle_q = entry.mean(0), query.mean(0)
    p, q = entry - middle_e, query - middle_q
    power = float((p * p).sum())
    if power < 1:
        return None
    same = float((p * q).sum()) / power
    across = float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()) / power
    ridge = 0.02 * power + 2000.0
    (e, f), (_, g) = p.T @ p + ridge * np.eye(2)
    right = q.T @ p + ridge * np.array([[same, -across], [across, same]])
    linear = right @ np.array([[g, -f], [-f, e]]) / (e * g - f * f)
    (a, b), (c, d) = linear
    area, size = a * d - b * c, a * a + b * b + c * c + d * d
    spread = math.sqrt(max(size * size - 4 * area * area, 0.0))
    large, small = math.sqrt((size + spread) / 2), math.sqrt(max((size - spread) / 2, 0.0))
    if area <= 0 or large > _MAX_STRETCH * small or large > _MAX_SCALE or small < _MIN_SCALE:
        return None
    return np.column_stack([linear, middle_q - linear @ middle_e])


def _thin(pairs: Correspondence, inliers: NDArray[np.intp]) -> NDArray[np.intp]:
    """The best pair of each cell of either picture."""
    for points in (pairs.entry, pairs.query):
        cells = (points[inliers] // _CELL).astype(np.int64)
        _, first = np.unique(cells @ (1 << 20, 1), return_index=True)
        inliers = inliers[np.sort(first)]
    return inliers


def hull_area(points: Floats) -> float:
    """The area of the convex hull of points, shape (n, 2)."""
    ordered = sorted((x, y) for x, y in points.tolist())
    ring: list[tuple[float, float]] = []
    for walk in (ordered, ordered[::-1]):
        side: list[tuple[float, float]] = []
        for point in walk:
            while len(side) > 1 and _turn(side[-2], side[-1], point) <= 0:
                side.pop()
            side.append(point)
        ring += side[:-1]
    return polygon_area(ring)


def polygon_area(ring: list[tuple[float, float]]) -> float:
    """The area inside a closed line."""
    following = ring[1:] + ring[:1]
    return abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(ring, following, strict=True))) / 2


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def outline(
    matrix: Floats, entry_size: tuple[int, int], query_size: tuple[int, int]
) -> list[tuple[float, float]]:
    """The outline of the registered picture in the query, clipped to the query's edges.

    Args:
        matrix: from entry to query, in stored pixels.
        entry_size: width and height.
        query_size: width and height.
    """
    width, height = entry_size
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    ring = [(x, y) for x, y in (corners @ matrix[:, :2].T + matrix[:, 2]).tolist()]
    for axis, limit in enumerate(query_size):
        for edge, inward in ((0, 1), (limit, -1)):
            ring = _clip(ring, axis, edge, inward)
    return ring


def _clip(
    ring: list[tuple[float, float]], axis: int, edge: int, inward: int
) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for a, b in zip(ring, ring[1:] + ring[:1], strict=True):
        in_a, in_b = (inward * (point[axis] - edge) >= 0 for point in (a, b))
        if in_a:
            kept.append(a)
        if in_a != in_b:
            share = (edge - a[axis]) / (b[axis] - a[axis])
            kept.append((a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
    return kept
