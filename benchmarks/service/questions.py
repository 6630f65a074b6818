"""Look-ups whose right answers are known."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from service.plan import RADIUS_BITS, BenchmarkFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.client import Answer

PATH = "/v1/match/fingerprints"


@dataclass(frozen=True, slots=True)
class Question:
    """One request about some codes.

    Attributes:
        body: what is sent.
        entries: the entry that each code has to meet, 0 for none.
        distances: how many bits lie between the two.
    """

    body: bytes
    entries: tuple[int, ...]
    distances: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many codes it asks about."""
        return len(self.entries)


def draw(
    codes: NDArray[np.uint8], size: int, rng: np.random.Generator, *, first: int = 0
) -> Question:
    """Ask about codes of which every second is registered, with up to 31 of its bits changed.

    Args:
        codes: uint8[n, 32], registered as the entries 1 to n.
        size: codes to ask about.
        rng: what draws them.
        first: the place of the first registered one, 0 or 1.
    """
    asked = rng.integers(0, 256, (size, codes.shape[1]), dtype=np.uint8)
    planted = np.arange(first, size, 2)
    rows = rng.integers(0, len(codes), len(planted))
    asked[planted] = codes[rows]
    entries = np.zeros(size, np.int64)
    entries[planted] = rows + 1
    distances = np.zeros(size, np.int64)
    distances[planted] = rng.integers(0, RADIUS_BITS + 1, len(planted))
    for place in planted:
        asked[place] = changed(asked[place], int(distances[place]), rng)
    return Question(body_of(asked), tuple(entries.tolist()), tuple(distances.tolist()))


def changed(code: NDArray[np.uint8], distance: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a code with so many of its bits changed."""
    bits = np.unpackbits(code)
    bits[rng.permutation(len(bits))[:distance]] ^= 1
    return np.packbits(bits)


def body_of(codes: NDArray[np.uint8]) -> bytes:
    """Return the body of a request about codes, uint8[q, 32]."""
    return json.dumps({"fingerprints": [{"pdq": code.tobytes().hex()} for code in codes]}).encode()


def check(question: Question, answer: Answer) -> None:
    """See that an answer is right.

    Raises:
        BenchmarkFailed: it is not.
    """
    if answer.status != 200:
        raise BenchmarkFailed(f"status {answer.status}: {answer.body[:300]!r}")
    results: list[dict[str, Any]] = json.loads(answer.body)["results"]
    found = [
        [(match["entry"], match["distance"]) for match in result["matches"]] for result in results
    ]
    expected = [
        [(entry, distance)] if entry else []
        for entry, distance in zip(question.entries, question.distances, strict=True)
    ]
    if found != expected:
        wrong = sum(one != other for one, other in zip(found, expected, strict=False))
        raise BenchmarkFailed(f"{wrong} of {question.size} answers are wrong")
