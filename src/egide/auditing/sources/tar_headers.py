"""Headers of tar archives, read so that they cannot exhaust memory or time."""

from __future__ import annotations

import re
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_NAME_BYTES = 1024 * 1024
_NAME_TYPES = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)
MAX_GLOBAL_HEADERS = 1000
"""A global header's records are applied to every member that follows."""
_RECORD = re.compile(rb"([0-9]{1,8}) ([^=]{1,1024})=")
_ENDLESS_NUMBER = re.compile(rb"[0-9]{256}")


class Header(tarfile.TarInfo):
    """A member whose extra header blocks cannot exhaust memory or time."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header block; refuse one that announces a name without measure."""
        member = super().frombuf(buf, encoding, errors)
        if member.type in _NAME_TYPES and member.size > MAX_NAME_BYTES:
            raise tarfile.ReadError("a name or header that is too long")
        return member

    def _proc_pax(self, archive: Any) -> Any:
        with _reading(archive, _Records):
            found = super()._proc_pax(archive)  # type: ignore[misc]
        if len(archive.pax_headers) > MAX_GLOBAL_HEADERS:
            raise tarfile.ReadError("too many headers for all members")
        return found

    # tarfile reads the map of a sparse file to its end: a packed one of 2 MB took over 150 s.

    def _proc_sparse(self, archive: Any) -> Any:
        with _reading(archive, _Bounded):
            return super()._proc_sparse(archive)  # type: ignore[misc]

    def _proc_gnusparse_10(self, member: Any, headers: Any, archive: Any) -> None:
        with _reading(archive, _Bounded):
            super()._proc_gnusparse_10(member, headers, archive)  # type: ignore[misc]


def read_records(data: bytes) -> list[tuple[bytes, int]]:
    """The name and the end of each record of a textual header, so that tarfile is in no trap.

    On an endless number, tarfile backtracks without end (CVE-2024-6232, fixed in Python 3.11.10 and
    3.12.6). It also takes what follows a record for part of the record's name.

    Raises:
        tarfile.ReadError: a record is not as it has to be.
    """
    if _ENDLESS_NUMBER.search(data):
        raise tarfile.ReadError("a header with a number that is too long")
    found, at = [], 0
    while record := _RECORD.match(data, at):
        if at + int(record[1]) < record.end():
            raise tarfile.ReadError("a record of a header that overlaps the next")
        at += int(record[1])
        found.append((record[2], at))
    if data[at : at + 1].isdigit():
        raise tarfile.ReadError("a record of a header with a name that is too long")
    return found


@contextmanager
def _reading(archive: Any, through: Callable[[Any], Any]) -> Iterator[None]:
    """Let tarfile read its stream through a wrapper."""
    stream = archive.fileobj
    archive.fileobj = through(stream)
    try:
        yield
    finally:
        archive.fileobj = stream


class _Records:
    """A stream that begins with textual header records; after them stands the next header."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._begun = False
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if not self._begun:
            read_records(data)
            self._begun = True
        return data


class _Bounded:
    """A stream that may be read for at most `MAX_NAME_BYTES`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = MAX_NAME_BYTES
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise tarfile.ReadError("a map of a sparse file that is too long")
        data: bytes = self._stream.read(size)
        return data
