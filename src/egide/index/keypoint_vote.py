"""Rank pictures by keypoints that they share with a query in one arrangement, before any proof."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

VOTE_BITS = 48
"""Keypoints that differ in more bits do not vote: 300 of five million unrelated ones are within."""
_TURNS = 8
_FINALISTS = 160
# (picture, side) pairs whose votes are compared with each other.
_VOTES_EACH = 48
# The nearest votes of a pair that are compared; bounds the work at finalists · votes².
_MAX_TURN = 0.35
_MAX_ZOOM = 0.45
_SLACK = 0.01
_BEND = 0.2
# Tolerances between two votes: radians, natural logarithm, √(width · height), share of the shift.


@dataclass(frozen=True, slots=True)
class Places:
    """Positions of keypoints, independent of their frame's size.

    Attributes:
        x, y: in units of √(width · height), from the top left corner.
        size: natural logarithm of the diameter in the same unit.
        angle: radians.
    """

    x: Floats
    y: Floats
    size: Floats
    angle: Floats


@dataclass(frozen=True, slots=True)
class Votes:
    """Pairs of similar keypoints, one of the query and one of a picture, sorted by `target`.

    Attributes:
        target: int64[k], twice the picture, plus one if the query is mirrored.
        bits: uint8[k], the number of bits in which the two differ.
        query: the positions of the query's keypoints, k of them.
        entry: the positions of the picture's keypoints.
    """

    target: NDArray[np.int64]
    bits: NDArray[np.uint8]
    query: Places
    entry: Places


def rank(votes: Votes, limit: int) -> tuple[NDArray[np.int64], Floats]:
    """Find the targets whose votes agree best on one arrangement.

    Two votes agree if the same turn, zoom and shift explain both, with tolerance for a warp.

    Returns:
        at most `limit` targets and their scores, best first. A score is the weight of the votes
        that agree with the target's best supported vote.
    """
    weight = ((64 - votes.bits.astype(np.float32)) / 32).astype(np.float32)
    turn = votes.query.angle - votes.entry.angle
    chosen = _finalists(votes.target, weight, turn)
    if not len(chosen):
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    target, first, second = _pairs(votes.target, weight, chosen)
    query, entry = votes.query, votes.entry
    zoom = query.size - entry.size
    bend = np.abs((turn[first] - turn[second] + math.pi) % (2 * math.pi) - math.pi)
    like = (bend < _MAX_TURN) & (np.abs(zoom[first] - zoom[second]) < _MAX_ZOOM)
    target, first, second = target[like], first[like], second[like]
    scale = np.exp(zoom[first])
    cosine, sine = scale * np.cos(turn[first]), scale * np.sin(turn[first])
    dx, dy = entry.x[second] - entry.x[first], entry.y[second] - entry.y[first]
    miss_x = cosine * dx - sine * dy - (query.x[second] - query.x[first])
    miss_y = sine * dx + cosine * dy - (query.y[second] - query.y[first])
    slack = _SLACK + _BEND * scale * np.hypot(dx, dy)
    near = np.hypot(miss_x, miss_y) <= slack
    support = np.bincount(first[near], weight[second[near]], len(weight)).astype(np.float32)
    best = np.zeros(int(votes.target[-1]) + 1, np.float32)
    np.maximum.at(best, votes.target, support)
    order = chosen[np.argsort(-best[chosen], kind="stable")][:limit]
    return order, best[order]


def _finalists(target: NDArray[np.int64], weight: Floats, turn: Floats) -> NDArray[np.int64]:
    """Return the targets with the most weight within a quarter turn, in ascending order."""
    turns = np.floor(turn * (_TURNS / (2 * math.pi))).astype(np.int64) % _TURNS
    targets = int(target[-1]) + 1 if len(target) else 0
    heap = np.bincount(target * _TURNS + turns, weight, targets * _TURNS).reshape(-1, _TURNS)
    score = (heap + np.roll(heap, 1, axis=1)).max(axis=1, initial=0)
    if targets > _FINALISTS:
        score[np.argpartition(score, -_FINALISTS)[:-_FINALISTS]] = 0
    return np.flatnonzero(score)


def _pairs(
    target: NDArray[np.int64], weight: Floats, chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of votes for the same chosen target, each vote with itself too."""
    mine = np.flatnonzero(np.isin(target, chosen))
    mine = mine[np.lexsort((-weight[mine], target[mine]))]
    starts = np.searchsorted(target[mine], chosen)
    ends = np.searchsorted(target[mine], chosen, "right")
    counts = np.minimum(ends - starts, _VOTES_EACH)
    squares = counts * counts
    owner = np.repeat(np.arange(len(chosen)), squares)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(squares) - squares, squares)
    row, column = np.divmod(place, counts[owner])
    return chosen[owner], mine[starts[owner] + row], mine[starts[owner] + column]
