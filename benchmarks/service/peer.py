"""The index that HMA serves, in this process: no HTTP, no key, no decision before or after it.

HMA 1.1.7 looks up with threatexchange's `PDQIndex`, one code a request.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from service.plan import RADIUS_BITS
from service.progress import say

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.plan import Plan

_SINGLES = 200
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Peer:
    """How quick the peer's index is, in queries a second; medians of rounds.

    Attributes:
        version: of threatexchange.
        build_s: seconds to make the index.
        singles_per_s: one code a call, one call after the other.
        batch_per_s: a thousand codes a call, over all cores as faiss does by itself.
    """

    version: str
    build_s: float
    singles_per_s: float
    batch_per_s: float


def measure_peer(codes: NDArray[np.uint8], plan: Plan) -> Peer:
    """Build the peer's index of the same codes and look random ones up in it."""
    from threatexchange.signal_type.pdq.pdq_index import PDQIndex

    say("building the peer's index")
    index: Any = PDQIndex()
    began = time.perf_counter()
    index.add_all((code.tobytes().hex(), row) for row, code in enumerate(codes))
    build_s = time.perf_counter() - began
    rng = np.random.default_rng(7)
    singles, batches = [], []
    for number in range(plan.peer_rounds + 1):
        drawn = rng.integers(0, 256, (_BATCH, 32), dtype=np.uint8)
        drawn[::2] = codes[rng.integers(0, len(codes), len(drawn[::2]))]
        asked = [code.tobytes().hex() for code in drawn]
        began = time.perf_counter()
        for one in asked[:_SINGLES]:
            index.query(one)
        singles_s = time.perf_counter() - began
        began = time.perf_counter()
        index.index.search_with_distance_in_result(asked, RADIUS_BITS)
        batch_s = time.perf_counter() - began
        if number:
            singles.append(_SINGLES / singles_s)
            batches.append(_BATCH / batch_s)
    return Peer(
        version("threatexchange"), build_s, statistics.median(singles), statistics.median(batches)
    )
