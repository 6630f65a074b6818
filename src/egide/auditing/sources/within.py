"""Look for pictures in files of no known kind: written out in a text, or among other bytes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from egide.auditing.sources.base import Item, Other, Read
from egide.auditing.sources.encoded import begins_picture, holds_picture, pictures_in
from egide.auditing.sources.metadata_columns import names_of_hashes
from egide.domain.coverage import Gap, GapKind
from egide.errors import ArchiveUnsupported, ColumnUnread, FileTooLarge
from egide.media.containers import suffix_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.auditing.sources.base import Member, Reading

PIECE_BYTES = 1 << 20
TEXT_SUFFIXES = frozenset(
    {
        ".csv",
        ".htm",
        ".html",
        ".json",
        ".jsonl",
        ".md",
        ".mhtml",
        ".ndjson",
        ".tsv",
        ".xml",
        ".yaml",
    }
)
"""Texts whatever their first bytes; of other files these say it."""
_TABLES = {".csv": False, ".tsv": False, ".jsonl": True, ".ndjson": True}
# Whether their lines are JSON.
_IN_ARCHIVE = (
    "in an archive hashes and addresses are not compared: take the table out, and name it as a "
    "source of its own"
)
_BEGINNINGS = re.compile(
    rb"\xff\xd8\xff(?:\xe0..JFIF\0|\xe1..(?:Exif\0|http)|\xe2..(?:ICC_|MPF\0)|\xed..Photoshop"
    rb"|\xee..Adobe|\xdb\0[\x43\x84\xc5]|\xfe[\0-\x0f].)"
    rb"|\x89PNG\r\n\x1a\n\0\0\0\rIHDR|GIF8[79]a.[\0-\x1f].[\0-\x1f][\x80-\xf7]"
    rb"|RIFF....WEBPVP8[ LX]|\0\0\0.ftyp(?:avi[fs]|hei[cx]|mif1)"
    rb"|PK\x03\x04[\x0a\x14\x2d\x33\x3f][\0\x03]..[\0\x08\x09\x0c\x0e\x5d\x5f]\0|Rar!\x1a\x07|7z\xbc\xaf\x27\x1c",
    re.DOTALL,
)
"""How pictures and archives begin, in so many bits that chance makes none."""
_ANCHORS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0", b"GIF8", b"WEBPVP8", b"ftyp"),
    *(b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c"),
)
"""One of these stands in each: they are found twenty times faster than the expression is."""
_OVERLAP = 24
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MAX_WRAPPED = 130
"""Base64 and digits are broken after 60, 64, 76 or 128 characters; and some space stands before."""
_WRAPPED = re.compile(rb"[A-Za-z0-9+/_-]*+={0,2}(?:[^\w\s+/=-].*)?")
_GOES_ON = re.compile(rb"[A-Za-z0-9+/_-]{4}\Z")
_SPACE = b" \t\r>"
"""Around a line of a broken text; a quoted mail has the last of them."""


def look_within(member: Member, head: bytes, reading: Reading) -> Iterator[Read]:
    """Yield the pictures that are written in a text, and a gap where others stand among bytes.

    Of a file that is no text `max_file_bytes` are searched.

    Raises:
        SourceExpands: it, and what stood before, expand beyond the limit.
    """
    suffix = suffix_of(member.name)
    if suffix in _TABLES and not member.seekable:  # it stands in an archive
        line = head.partition(b"\n")[0].decode("utf-8-sig", "replace")
        for column in names_of_hashes(line, json_lines=_TABLES[suffix]):
            name = f"{member.name}, column {column}"
            yield Gap.of(name, ColumnUnread(name=name, reason=_IN_ARCHIVE), GapKind.COLUMN)
    if suffix in TEXT_SUFFIXES or _is_text(head):
        yield from _in_text(member, head, reading)
    elif _holds_beginning(member, head, reading):
        yield _unopened(member.name)
    else:
        yield Other(suffix_of(member.name))


def _unopened(name: str) -> Gap:
    words = "a file of another kind with pictures or archives in it"
    return Gap.of(name, ArchiveUnsupported(name=name, format=words), GapKind.ARCHIVE)


def _is_text(head: bytes) -> bool:
    """Whether bytes are characters, each of one, two or four bytes."""
    plain = head.replace(b"\0", b"")
    return 4 * len(plain) + 4 >= len(head) and not _CONTROL.search(plain)


def _holds_beginning(member: Member, head: bytes, reading: Reading) -> bool:
    left, kept, piece = reading.limits.max_file_bytes, b"", head
    while piece:
        if holds_beginning(kept + piece):
            return True
        left -= len(piece)
        kept = piece[-_OVERLAP:]
        piece = member.stream.read(min(PIECE_BYTES, max(left, 0)))
        if member.counts:
            reading.expansion.take(len(piece))
    return False


def holds_beginning(piece: bytes) -> bool:
    """Whether a picture or an archive begins somewhere in bytes."""
    return any(map(piece.__contains__, _ANCHORS)) and _BEGINNINGS.search(piece) is not None


def _in_text(member: Member, head: bytes, reading: Reading) -> Iterator[Read]:
    """Yield the pictures that stand in the lines of a text; by itself it is none.

    A picture that is broken into many lines is read as one, and named by the first.
    """
    limit = 2 * reading.limits.max_file_bytes
    held: list[bytes] = []  # lines that belong together
    begun: list[bytes] = []
    piece, number, length = head, 1, 0
    kept, among = b"", False
    while piece:
        # After the head of a message, or of a page, bytes may follow.
        among = among or holds_beginning(kept + piece)
        kept = piece[-_OVERLAP:]
        # Characters of two or four bytes have zeros, those in which pictures are written.
        first, *lines = piece.replace(b"\0", b"").split(b"\n")
        begun.append(first)
        length += len(first)
        for line in lines:
            ended = b"".join(begun)
            if held and _continues(held, ended):
                held[-1] = held[-1].rstrip()
                held.append(ended.strip(_SPACE))
            else:
                yield from _in_line(held, number, member, reading)
                held, length = [ended], len(ended)
            begun = [line]
            length += len(line)
            number += 1
        if length > limit:
            name = f"{member.name}, line {number}"
            error = FileTooLarge(name=name, size=length, limit=limit)
            yield Gap.of(name, error, GapKind.ROW)
            break
        piece = member.stream.read(PIECE_BYTES)
        if member.counts:
            reading.expansion.take(len(piece))
    else:
        ended = b"".join(begun)
        if held and _continues(held, ended):
            held[-1] = held[-1].rstrip()
            yield from _in_line([*held, ended.strip(_SPACE)], number + 1, member, reading)
        else:
            yield from _in_line(held, number, member, reading)
            yield from _in_line([ended], number + 1, member, reading)
    yield _unopened(member.name) if among else Other(suffix_of(member.name))


def _continues(held: list[bytes], line: bytes) -> bool:
    """Whether a line goes on with a picture that was begun in the lines before."""
    last = held[-1].rstrip()
    if len(line) > _MAX_WRAPPED or len(last) > _MAX_WRAPPED:
        return False
    begun = len(held) > 1 or begins_picture(last)
    return (
        begun
        and _GOES_ON.search(last) is not None
        and _WRAPPED.fullmatch(line.strip(_SPACE)) is not None
    )


def _in_line(held: list[bytes], number: int, member: Member, reading: Reading) -> Iterator[Item]:
    """Yield the pictures of lines that belong together, before the line of a number."""
    line = b"".join(held)
    if not holds_picture(line):
        return
    number -= len(held)
    name, limit = f"{member.name}, line {number}", reading.limits.max_file_bytes
    for content in pictures_in(line):
        if len(content) > limit:
            error = FileTooLarge(name=name, size=len(content), limit=limit)
            yield Item(name, error, member.key, number)
        else:
            yield Item(name, content, member.key, number)
