"""Where a plain tar can be cut: runs of members, found by going from header to header.

Only a sound archive is cut, so that its runs read as the whole does. Of one that is damaged, cut or
unusual in any way, the whole is read from its start, and what is wrong is said once.
"""

from __future__ import annotations

import os
import re
import tarfile
from typing import IO

from egide.auditing.sources.tar_headers import MAX_NAME_BYTES, Header, read_records

RUN_BYTES = 64 * 1024 * 1024
"""A run is at least as long: some thousand pictures, several parts of an audit."""
MAX_RUNS = 1024
_BLOCK = 512
_MAX_EXTENSIONS = 8
"""tarfile calls itself for each header that extends the next."""
_MAX_TAIL_BYTES = 1024 * 1024
"""Zeros after the end mark. Tapes' blocks have 10 KB, and no more than this is looked through."""
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)
_EMPTY = (
    *(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
    *(tarfile.DIRTYPE, tarfile.FIFOTYPE),
)
_NAMES = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_IN_NUMBERS = b"01234567 \0"
_TWO_NUMBERS = re.compile(rb"[0-7] +[0-7]")


class _Unusual(Exception):
    """The archive is not one that is surely read alike in runs."""


def find_runs(stream: IO[bytes], size: int) -> list[tuple[int, int]]:
    """Return the first and last byte of each run of members, the last with the end mark.

    Args:
        stream: a file of this machine: each header costs a read of one block.
        size: of the file.

    Returns:
        the runs, in order; one alone means that the archive is not to be cut.
    """
    whole = [(0, size)]
    least = max(RUN_BYTES, -(-size // MAX_RUNS))
    if size < 2 * least:
        return whole
    starts, at = [0], 0
    try:
        while (after := _after_member(stream.fileno(), at)) is not None:
            if at - starts[-1] >= least and size - at >= least:
                starts.append(at)
            at = after
        _check_end(stream.fileno(), at, size)
    except (_Unusual, tarfile.TarError, ValueError, OSError):
        return whole
    return list(zip(starts, [*starts[1:], size], strict=True))


def _after_member(file: int, at: int) -> int | None:
    """Where the member that begins at `at` ends; None at a block of zeros."""
    for extensions in range(_MAX_EXTENSIONS):
        block = os.pread(file, _BLOCK, at)
        if not extensions and block.count(0) == _BLOCK:
            return None
        kind, size = _kind_and_size(block)
        at += _BLOCK
        after = at + -(-size // _BLOCK) * _BLOCK
        if kind in _PLAIN or (kind in _EMPTY and not size):
            return after
        if size > MAX_NAME_BYTES:
            raise _Unusual
        if kind == tarfile.XHDTYPE:
            _check_records(os.pread(file, after - at, at), size)
        elif kind not in _NAMES:
            raise _Unusual  # sparse, for all members that follow, or of a type that nobody knows
        at = after
    raise _Unusual


def _kind_and_size(block: bytes) -> tuple[bytes, int]:
    """Read what tarfile would of a header block; it takes five times as long.

    Raises:
        tarfile.TarError: it is no header.
    """
    numbers = block[100:156] + block[329:345]
    if (
        len(block) < _BLOCK
        or numbers.translate(None, _IN_NUMBERS)
        or _TWO_NUMBERS.search(numbers)
        # A folder, in the oldest archives.
        or (block[156] == 0 and block[:100].partition(b"\0")[0].endswith(b"/"))
    ):
        header = Header.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise _Unusual
        return header.type, header.size
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise _Unusual
    return block[156:157], _number(block[124:136])


def _number(field: bytes) -> int:
    return int(field.partition(b"\0")[0].strip() or b"0", 8)


def _check_records(data: bytes, size: int) -> None:
    """Let pass what says nothing of the member's size or of its map.

    Raises:
        _Unusual, tarfile.TarError: it does, or is not what tarfile reads to its end.
    """
    records, at = read_records(data), 0
    for name, end in records:
        if name in {b"size", b"hdrcharset"} or name.startswith(b"GNU.sparse"):
            raise _Unusual
        if end > size or data[end - 1 : end] != b"\n":
            raise _Unusual
        at = end
    if at != size:
        raise _Unusual


def _check_end(file: int, at: int, size: int) -> None:
    """Let pass an end mark that only zeros follow.

    Raises:
        _Unusual: it is another end.
    """
    if not _BLOCK <= size - at <= _MAX_TAIL_BYTES or os.pread(file, size - at, at).strip(b"\0"):
        raise _Unusual
