"""The kinds of requests: how much each may send, and which have reserved places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egide.domain.model import MAX_ANCHORED, MAX_ANCHORED_QUERY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.server.settings import ServerSettings

MAX_PAGE = 1000
"""Most items in a page of an answer, and in a list of feedback."""
MAX_ENTRIES = 10_000
"""Most entries that one request may register."""
MAX_BATCH_ANCHORED = 32 * MAX_ANCHORED_QUERY
"""Most anchored hashes that one request may search for: those of 32 pictures. In a register of ten
million they take seconds of a core."""
_SMALL_VALUES = 1000
_LIST_FACTOR = 8
"""Ratio of the limit for a whole case, or a platform's feedback, to that of a small body."""
_IMAGE_VALUES = 8
_CODE_BYTES = 68
"""An anchored hash in JSON: its digits, quotes, a comma and a space."""
_FEEDBACK_VALUES = 8
_FINGERPRINT_VALUES = 8
_ENTRY_VALUES = 40
"""Most values of one item, counted by commas and brackets. An entry with the codes of 64 frames, or
with anchored hashes, has more, but 10,000 of those do not fit into a body."""
_MAX_IMAGES = 1000

FINGERPRINTS = "/v1/match/fingerprints"
PACKED = "/v1/match/packed"
ENTRIES = "/v1/banks/{bank}/entries"
FEEDBACK = "/v1/feedback"
IMAGES = ("/{lang}/register/submit", "/{lang}/case/add/submit")
UPLOADS = (
    "/v1/match",
    "/v1/match/files",
    "/v1/compare",
    ENTRIES,
    "/hma/h/hash",
    "/hma/m/lookup",
    "/hma/c/bank/{name}/content",
)
LEAVING = (
    "/{lang}/leave",
    "/{lang}/goodbye",
    "/{lang}/case",
    "/{lang}/case/sign-out",
    "/{lang}/case/withdraw",
    "/v1/banks/{bank}/entries/{entry}/withdraw",
    "/hma/c/bank/{name}/content/{content_id}",
)
"""The way out, and all steps of a withdrawal, including signing in to a case."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a request may send.

    Attributes:
        max_bytes: of a body that is not a form with files.
        max_values: of its JSON; None if it is not JSON.
        max_upload_bytes: of a form with files; None if forms are refused.
        max_items: of its list, for the error; None without a list.
        leaving: whether places are reserved for it.
    """

    max_bytes: int
    max_values: int | None
    max_upload_bytes: int | None = None
    max_items: int | None = None
    leaving: bool = False


class Kinds:
    """Tells the kind of a request by its path."""

    def __init__(self, settings: ServerSettings) -> None:
        self._page = Kind(settings.max_small_body_bytes, None)
        self._other = Kind(settings.max_small_body_bytes, _SMALL_VALUES)
        known = dict(_told_apart(settings))  # the last kind given for a path counts
        self._kinds = list(known.values())
        self._pattern = re.compile("|".join(f"({_pattern(path)})" for path in known))

    def of(self, path: str) -> Kind:
        """Return the kind of a request for a path; unknown paths may send little."""
        found = self._pattern.fullmatch(path)
        if found is not None and found.lastindex is not None:
            return self._kinds[found.lastindex - 1]
        return self._page if _PAGE.match(path) else self._other


def _told_apart(settings: ServerSettings) -> Iterator[tuple[str, Kind]]:
    small, large = settings.max_small_body_bytes, settings.max_body_bytes
    lists = min(_LIST_FACTOR * small, large)
    upload = settings.max_upload_bytes
    for path in UPLOADS:
        yield path, Kind(small, _SMALL_VALUES, upload)
    batch = settings.max_batch
    values = _room(batch, _FINGERPRINT_VALUES) + MAX_BATCH_ANCHORED
    yield FINGERPRINTS, Kind(large, values, max_items=batch)
    yield PACKED, Kind(large, None)
    yield ENTRIES, Kind(large, _room(MAX_ENTRIES, _ENTRY_VALUES), upload, MAX_ENTRIES)
    yield FEEDBACK, Kind(lists, _room(MAX_PAGE, _FEEDBACK_VALUES), max_items=MAX_PAGE)
    anchored = settings.case_max_images * MAX_ANCHORED
    bodies = min(lists + anchored * _CODE_BYTES, large)
    for path in IMAGES:
        values = _room(_MAX_IMAGES, _IMAGE_VALUES) + anchored
        yield path, Kind(bodies, values, max_items=_MAX_IMAGES)
    for path in LEAVING:
        few = None if path.startswith("/{lang}") else _SMALL_VALUES
        yield path, Kind(small, few, leaving=True)


def _room(items: int, values: int) -> int:
    return items * values + _SMALL_VALUES


_PAGE = re.compile("/[a-z]{2}(/|$)")


def _pattern(path: str) -> str:
    """Turn a declared path into a pattern without groups."""
    named = re.escape(path).replace(r"\{lang\}", "[a-z]{2}")
    return re.sub(r"\\\{\w+\\\}", "[^/]+", named)
