"""Whole-picture hashes: of peers and of Egide, compared by brute force."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import imagehash
import numpy as np
import pdqhash
from numpy.typing import NDArray
from PIL.Image import Image

from egide.domain.model import DEFAULT_RADIUS_BITS, PDQ_BYTES, Fingerprint

Codes = NDArray[np.uint8]  # (codes, bytes)


@dataclass(frozen=True, slots=True)
class Peer:
    """A hash of another package, as its documentation says to use it.

    Attributes:
        name: shown in the tables.
        hash: an RGB picture to its codes; the first is what is registered, all are searched for.
        radius_bits: codes so near are a match.
        why: where the radius comes from.
    """

    name: str
    hash: Callable[[Image], Codes]
    radius_bits: int
    why: str


def _pdqhash(image: Image) -> Codes:
    bits, _quality = pdqhash.compute(np.asarray(image))
    return np.packbits(bits.astype(np.uint8))[None]


def _imagehash(image: Image) -> Codes:
    return np.packbits(imagehash.phash(image).hash)[None]


_PERCEPTION: Any = import_module("perception.hashers").PHash(hash_size=16)
_PERCEPTION_ORDER = ("r0", "r90", "r180", "r270", "fv", "fh", "r90fv", "r90fh")


def _perception(image: Image) -> Codes:
    found = _PERCEPTION.compute_isometric(np.asarray(image))
    vectors = [_PERCEPTION.string_to_vector(found[turn]) for turn in _PERCEPTION_ORDER]
    return np.packbits(np.array(vectors, np.bool_), axis=1)


PEERS = (
    Peer("pdqhash", _pdqhash, 31, "ThreatExchange's default, 31 of 256 bits"),
    Peer("imagehash phash", _imagehash, 10, "10 of 64 bits, as is usual; its manual names none"),
    Peer(
        "perception PHash",
        _perception,
        51,
        "hash_size=16 and distance < 0.2 as its manual recommends, with its eight isometric hashes",
    ),
)


def whole_codes(fingerprint: Fingerprint) -> Codes:
    """Codes of the whole frames in their eight variants."""
    return stacked([pdq.variants for pdq in fingerprint.frames if pdq.matchable])


def tier0_codes(fingerprint: Fingerprint) -> Codes:
    """Codes of the whole frames and of their rectangles, in eight variants."""
    regions = [region.pdq.variants for region in fingerprint.regions if region.pdq.matchable]
    return np.concatenate([whole_codes(fingerprint), stacked(regions)])


def registered_codes(fingerprint: Fingerprint, *, trimmed: bool) -> Codes:
    """What registering keeps: codes of the frames, and of what is left without borders."""
    codes = [pdq.code for pdq in fingerprint.frames if pdq.matchable]
    if trimmed:
        codes += [region.pdq.code for region in fingerprint.regions if region.trimmed]
    return stacked(codes)


def anchored_codes(fingerprint: Fingerprint) -> Codes:
    """What registering keeps of the picture's parts."""
    query = fingerprint.anchored
    return stacked([query.registered().codes] if query is not None else [])


def stacked(codes: Sequence[bytes]) -> Codes:
    """Codes one below the other."""
    return np.frombuffer(b"".join(codes), np.uint8).reshape(-1, PDQ_BYTES)


class CodeBank:
    """Codes of registered pictures."""

    def __init__(self, codes: Sequence[Codes], radius_bits: int = DEFAULT_RADIUS_BITS) -> None:
        """Keep the codes of each picture, which may have none."""
        self._owners = np.repeat(np.arange(len(codes)), [len(each) for each in codes])
        self._codes = np.concatenate(codes).view(np.uint64)
        self._radius_bits = radius_bits

    def near(self, codes: Codes) -> set[int]:
        """Positions of the pictures that have a code within the radius of any of these."""
        queries = np.ascontiguousarray(codes).view(np.uint64)
        apart = np.bitwise_count(self._codes[:, None] ^ queries).sum(2, dtype=np.int64)
        return set(self._owners[(apart <= self._radius_bits).any(1)].tolist())
