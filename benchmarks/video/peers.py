"""Peers: vPDQ's published rule, and MD5 of the file.

vPDQ keeps the PDQ of one frame a second with a quality of at least 50, each once. Two videos match
if at least 80 % of the query's hashes have one of the other's within 31 bits. Source:
ThreatExchange, vpdq/README.md, and python-threatexchange, extensions/vpdq/vpdq_util.py.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egide.domain.model import Fingerprint

RADIUS_BITS = 31
QUERY_SHARE = 0.8


def vpdq_hashes(print_: Fingerprint) -> frozenset[bytes]:
    """The hashes that vPDQ has of a video at one frame a second, taken from Egide's."""
    if print_.video is None:
        return frozenset(frame.code for frame in print_.frames if frame.matchable)
    seen = zip(print_.video.starts, print_.video.ends, print_.frames, strict=True)
    return frozenset(
        frame.code
        for start, end, frame in seen
        if frame.matchable and -(-start // 1000) * 1000 < end
    )


def vpdq_matches(query: Iterable[bytes], other: Iterable[bytes]) -> bool:
    """Whether two videos match by vPDQ's rule, with ThreatExchange's thresholds."""
    asked, held = (
        np.array([np.frombuffer(code, np.uint8) for code in codes]) for codes in (query, other)
    )
    if not len(asked) or not len(held):
        return False
    bits = np.bitwise_count(asked[:, None] ^ held[None]).sum(2)
    return bool((bits.min(1) <= RADIUS_BITS).mean() >= QUERY_SHARE)


def md5_matches(query: bytes, other: bytes) -> bool:
    """Whether two files are the same."""
    one, two = (hashlib.md5(data, usedforsecurity=False).digest() for data in (query, other))
    return one == two
