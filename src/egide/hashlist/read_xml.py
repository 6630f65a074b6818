"""Read hash lists in XML as NCMEC's hash sharing gives them; no entity and no DTD is ever read.

Source: threatexchange 1.2.17, exchanges/clients/ncmec/hash_api.py.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.parsers import expat

from egide.hashlist.records import UNIT, read_record
from egide.hashlist.values import BadLine, Cut, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Signal
    from egide.hashlist.values import Read, Untold

MAX_DEPTH = 32
MAX_TEXT_CHARS = 64 * 1024
MAX_VALUES = 10_000
_PIECE = 64 * 1024
_RECORDS = frozenset({"image", "video", "hash", "entry", "media", "item", "record"})
_ENDED = frozenset({"deletedimage", "deletedvideo", "deletedhash", "deletedentry"})


class _RefusedError(ValueError):
    """What a list may not have."""


def read_xml(stream: BinaryIO, signal: Signal | None) -> Iterator[Read | Untold]:
    """Read each image or video of a list.

    Args:
        stream: read in pieces.
        signal: the kind of values whose kind their element does not tell.
    """
    reader = _Reader()
    number = 0
    cut: str | None = None
    while cut is None:
        piece = stream.read(_PIECE)
        try:
            reader.feed(piece)
        except _RefusedError as error:
            cut = str(error)
        except (expat.ExpatError, ValueError, LookupError):
            cut = "it is not XML from there on, or ends too early"
        while reader.records:
            record = reader.records.popleft()
            number += 1
            if "deleted" in record and len(record) == 1:
                yield BadLine(number, "deleted at its source, which names no hash", unit=UNIT)
            elif len(record) > MAX_VALUES:
                yield BadLine(number, f"a record of over {MAX_VALUES} values", unit=UNIT)
            else:
                yield from read_record(number, record, signal=signal)
        if not piece:
            break
    if cut is None and not number and not reader.is_list:
        cut = "it has no `image` or `video`, as NCMEC's lists do"
    if cut is not None:
        yield Cut(number, cut, UNIT)


class _Reader:
    """Collects the fields of each record; forgets all else.

    Attributes:
        is_list: whether a list of images or videos was met, be it empty.
    """

    def __init__(self) -> None:
        self.is_list = False
        self.records: deque[dict[str, Any]] = deque()
        self._depth = 0
        self._record: dict[str, Any] | None = None
        self._record_depth = 0
        self._skipped_depth = 0
        self._text: list[str] = []
        self._chars = 0
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        self._parser = parser

    def feed(self, piece: bytes) -> None:
        """Read on; no bytes mean the end."""
        self._parser.Parse(piece, not piece)

    def _refuse(self, *_: object) -> int:
        raise _RefusedError("it declares a document type or an entity, which no list needs")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _RefusedError(f"it is nested over {MAX_DEPTH} deep")
        self._text, self._chars = [], 0
        key = _local(name)
        self.is_list |= key in {"images", "videos"}
        if self._record is None:
            if key in _RECORDS or key in _ENDED:
                self._record, self._record_depth = {}, self._depth
                if key in _ENDED:
                    self._record["deleted"] = "true"
        elif key == "feedback" and not self._skipped_depth:
            self._skipped_depth = self._depth  # what others say of its hashes
        elif "type" in attributes and not self._skipped_depth:
            self._record["type"] = attributes["type"]

    def _end(self, name: str) -> None:
        if self._record is not None and self._depth == self._record_depth:
            self.records.append(self._record)
            self._record = None
        elif self._record is not None and not self._skipped_depth:
            text = "".join(self._text).strip()
            key = _local(name)
            # Of identifiers and times nothing is kept.
            if text and key not in {"member", "timestamp", "id", "classification"}:
                self._put(key, text)
        if self._depth == self._skipped_depth:
            self._skipped_depth = 0
        self._depth -= 1
        self._text, self._chars = [], 0

    def _put(self, key: str, text: str) -> None:
        assert self._record is not None
        if len(self._record) > MAX_VALUES:
            return
        if key in self._record and isinstance(self._record[key], str):
            self._record[key] = [self._record[key]]
        if isinstance(self._record.get(key), list):
            if len(self._record[key]) < MAX_VALUES:
                self._record[key].append(text)
        else:
            self._record[key] = text

    def _characters(self, text: str) -> None:
        if self._record is None or self._skipped_depth:
            return
        self._chars += len(text)
        if self._chars > MAX_TEXT_CHARS:
            raise _RefusedError(f"a text is longer than {MAX_TEXT_CHARS} characters")
        self._text.append(text)


def _local(name: str) -> str:
    return key_of(name.rpartition(":")[2])
