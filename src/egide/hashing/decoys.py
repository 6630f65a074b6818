"""Fingerprints of pictures that do not exist, to fill what an audit sends.

They are computed from drawn noise, by the same code as those of pictures, so that a decoy's codes
have the form of real ones: half of their bits set, eight variants of one picture. Noise is no
photograph: whoever studies many codes may learn to tell them apart.
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from egide.domain.model import Mode
from egide.hashing.anchored import anchored_query
from egide.hashing.frames import hash_frame
from egide.media import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from egide.domain.model import AnchoredQuery, Pdq

_SHEET = 512
_CELL = 128
_SIDES = (80, 96, 104, 112, 120, 128)
_ANCHORED_SIDES = (192, 208, 224, 240, 256)
_CONTRAST = 50


def decoy_pdqs() -> Iterator[Pdq]:
    """Yield PDQs of drawn noise without end, in all variants, of enough quality to be searched."""
    for frame in _frames(_SIDES, _CELL):
        pdq = hash_frame(frame, Mode.FAST)
        if pdq.matchable:
            yield pdq


def decoy_anchored() -> Iterator[AnchoredQuery]:
    """Yield anchored hashes of drawn noise without end."""
    for frame in _frames(_ANCHORED_SIDES, _SHEET // 2):
        query = anchored_query(frame)
        if query is not None:
            yield query


def _frames(sides: tuple[int, ...], cell: int) -> Iterator[Frame]:
    """Cut pictures out of sheets of noise, one of each cell, without end."""
    while True:
        chance = np.random.default_rng(secrets.randbits(256))
        sheet = _sheet(chance)
        for top, left in product(range(0, _SHEET, cell), repeat=2):
            rows, columns = chance.choice(sides, 2).tolist()
            part = sheet[top : top + rows, left : left + columns]
            levels = (part - part.mean()) / part.std() * _CONTRAST + 128
            yield Frame(levels.clip(0, 255).astype(np.uint8), rows, columns)


def _sheet(chance: np.random.Generator) -> NDArray[np.float32]:
    """Noise whose detail falls with its frequency, as that of photographs does."""
    frequency = _frequency()
    parts = chance.standard_normal((2, *frequency.shape), np.float32) / frequency
    return np.fft.irfft2(parts[0] + np.complex64(1j) * parts[1]).astype(np.float32, copy=False)


@lru_cache(maxsize=1)
def _frequency() -> NDArray[np.float32]:
    rows, columns = np.fft.fftfreq(_SHEET)[:, None], np.fft.rfftfreq(_SHEET)[None]
    frequency: NDArray[np.float32] = np.hypot(rows, columns).astype(np.float32)
    frequency[0, 0] = 1.0
    return frequency
