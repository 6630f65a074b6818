"""TFRecord: records of TensorFlow's examples, whose features hold pictures as bytes."""

from __future__ import annotations

import io
import struct
from typing import IO, TYPE_CHECKING

import numpy as np

from egide.auditing.sources.base import Expansion, Item, Member, Read, Reading, Shard
from egide.auditing.sources.encoded import holds_picture, is_link, pictures_in
from egide.auditing.sources.location import open_binary, whole_file
from egide.auditing.sources.nested import read_container, read_member, reads
from egide.auditing.sources.within import PIECE_BYTES
from egide.domain.coverage import Gap, GapKind
from egide.errors import FileTooLarge, SourceTruncated, SourceUnreadable, ValueMissing
from egide.media.containers import (
    HEAD_BYTES,
    Kind,
    crc32c,
    crc32c_table,
    is_record,
    kind_of,
    masked,
    named,
)
from egide.media.formats import sniff

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from egide.domain.model import Limits

_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_RECORD_BYTES = 64
"""What a record costs besides its bytes."""
_LANES = 1024
"""A checksum is computed in as many parts at once."""
_LENGTH_DELIMITED, _FIXED = 2, {1: 8, 5: 4}


class RecordSource:
    """One file is one shard: records can only be found one after another."""

    kind = "tfrecord"

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name

    def shards(self) -> Iterator[Shard]:
        """Plan the file as one shard."""
        yield whole_file(self.kind, self.url, self.name)

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Read]:
        """Yield each picture of each record; the record's number is the item's offset.

        Raises:
            SourceUnreadable: this is no such file.
            SourceTruncated: it is cut, or a length is damaged; the records before are valid.
            SourceExpands: there are too many empty records.
        """
        reading = Reading(shard.name, limits, Expansion(shard, limits))
        with open_binary(shard.url) as stream:
            yield from read_container(stream, Kind.RECORDS, reading)


@reads(Kind.RECORDS)
def read_records(stream: IO[bytes], reading: Reading) -> Iterator[Read]:
    """Yield the pictures of the records."""
    number = without = links = 0
    while header := stream.read(_HEADER_BYTES):
        if not is_record(header):
            if number == 0:
                raise SourceUnreadable(name=reading.name, reason="it is not a TFRecord file")
            raise _cut(reading.name, number, "a damaged length")
        length = struct.unpack_from("<Q", header)[0]
        label = reading.label(f"record {number}")
        reading.expansion.take(_RECORD_BYTES)
        if length > reading.limits.max_file_bytes:
            error = FileTooLarge(name=label, size=length, limit=reading.limits.max_file_bytes)
            yield Item(label, error, None, number)
            _skip(stream, length + _FOOTER_BYTES)
            number += 1
            continue
        data, footer = stream.read(length), stream.read(_FOOTER_BYTES)
        if len(data) < length or len(footer) < _FOOTER_BYTES:
            raise _cut(reading.name, number, "the last record is cut")
        found = link = False
        if masked(checksum(data)) != struct.unpack("<I", footer)[0]:
            reason = "its checksum is wrong: fetch the file again"
            yield Gap.of(label, ValueMissing(name=label, reason=reason), GapKind.ROW)
            found = True
        for key, value in _values(data):
            link = link or is_link(bytes(value[: 1 << 13]))
            for read in _read(label, value, key, number, reading):
                found = True
                yield read
        links += link and not found
        without += not found and not link
        reading.expansion.items += 1
        number += 1
    if number == 0:
        raise SourceUnreadable(name=reading.name, reason="it is empty: fetch or copy it again")
    for count, reason in (
        (links, "only a URL or a path: fetch the pictures, then audit them"),
        (without, "no value of them is a picture"),
    ):
        if count:
            name = f"{reading.name}, {count} of {number} records"
            yield Gap.of(name, ValueMissing(name=name, reason=reason), GapKind.ROW, count=count)


def _read(name: str, value: memoryview, key: str, number: int, reading: Reading) -> Iterator[Read]:
    head = bytes(value[:HEAD_BYTES])
    if kind_of(head) is not None or named("", head) is not None:
        member = Member(name, io.BytesIO(value), key, number, len(value), seekable=True)
        yield from read_member(member, reading)
    elif sniff(head) is not None:
        yield Item(name, bytes(value), key, number)
    elif head.isascii() and holds_picture(text := bytes(value)):
        for content in pictures_in(text):
            yield Item(name, content, key, number)


def _skip(stream: IO[bytes], size: int) -> None:
    while size > 0 and (piece := stream.read(min(size, PIECE_BYTES))):
        size -= len(piece)


def _cut(name: str, number: int, reason: str) -> SourceTruncated:
    return SourceTruncated(name=name, items=number, reason=reason)


# --- protocol buffers -------------------------------------------------------------------------


def _values(data: bytes) -> Iterator[tuple[str, memoryview]]:
    """Yield the features of an example as (name, bytes); of another record all of it.

    An Example is features, a map of names to lists of bytes; a SequenceExample has lists of them
    besides. Both are read alike: the name is the text that stands before a value in its entry.
    """
    whole = memoryview(data)
    if sniff(bytes(whole[:HEAD_BYTES])) is not None:
        yield "", whole
        return
    found = False
    for field, features in _fields(whole):
        # A feature is a list of bytes; of the second field each is a list of features.
        levels = {1: 2, 2: 3}.get(field, 0)
        for _, entry in _fields(features) if levels else ():
            name = ""
            for part, value in _fields(entry):
                if part == 1:
                    name = bytes(value).decode("utf-8", "replace")
                elif part == 2:
                    for one in _firsts(value, levels):
                        found = True
                        yield name, one
    if not found:
        yield "", whole


def _firsts(message: memoryview, levels: int) -> Iterator[memoryview]:
    """Yield what stands so many levels deep, each time in the field with the number 1."""
    for field, value in _fields(message):
        if field == 1 and levels == 1:
            yield value
        elif field == 1:
            yield from _firsts(value, levels - 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each field that has a length; stop where none is."""
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            if at + length > end:
                return
            yield tag >> 3, message[at : at + length]
            at += length
        else:
            return


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a number of at most ten bytes; a damaged one ends the message."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
    return 0, len(message)


# --- checksums --------------------------------------------------------------------------------


def checksum(data: bytes) -> int:
    """CRC-32C of many bytes: in parts side by side, which are then joined.

    Of 1 MB it takes 20 ms, and of a loop over its bytes 100.
    """
    length = len(data) // _LANES
    if length < 64:
        return crc32c(data)
    table = np.array(crc32c_table(), np.uint32)
    lanes = np.frombuffer(data, np.uint8, length * _LANES).reshape(_LANES, length)
    columns = np.ascontiguousarray(lanes.T)
    state = np.zeros(_LANES, np.uint32)
    state[0] = 0xFFFFFFFF
    for column in columns:
        state = table[(state ^ column) & 0xFF] ^ (state >> np.uint32(8))
    shift = _shift(length, table)
    joined = np.uint32(0)
    for part in state:
        joined = _apply(shift, joined) ^ part
    return crc32c(data[length * _LANES :], int(joined) ^ 0xFFFFFFFF)


def _shift(length: int, table: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """What `length` zero bytes make of each bit of a state."""
    bits = np.uint32(1) << np.arange(32, dtype=np.uint32)
    result = bits.copy()
    power = table[bits & 0xFF] ^ (bits >> np.uint32(8))  # of one byte
    while length:
        if length & 1:
            result = np.array([_apply(power, one) for one in result], np.uint32)
        power = np.array([_apply(power, one) for one in power], np.uint32)
        length >>= 1
    return result


def _apply(matrix: NDArray[np.uint32], state: np.uint32) -> np.uint32:
    chosen = matrix[(int(state) >> np.arange(32)) & 1 == 1]
    return np.uint32(np.bitwise_xor.reduce(chosen)) if len(chosen) else np.uint32(0)
