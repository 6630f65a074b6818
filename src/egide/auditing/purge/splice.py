"""A file made of pieces of another: copied by the kernel, and compared byte by byte afterwards."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import IO, TYPE_CHECKING

from egide.errors import ContainerNotVerified

if TYPE_CHECKING:
    from collections.abc import Iterator

BUFFER_BYTES = 512 * 1024
"""Read into one buffer again and again, which stays in the processor's cache: 8 GB/s, not 4."""
_NO_COPY = {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EBADF}


class Splice:
    """Pieces in order: spans of the source, and bytes that are new."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int] | bytes] = []

    def keep(self, start: int, stop: int) -> None:
        """Add a span of the source."""
        if stop <= start:
            return
        last = self._pieces[-1] if self._pieces else None
        if isinstance(last, tuple) and last[1] == start:
            self._pieces[-1] = (last[0], stop)
        else:
            self._pieces.append((start, stop))

    def put(self, data: bytes) -> None:
        """Add bytes of our own."""
        if data:
            self._pieces.append(data)

    @property
    def size(self) -> int:
        """Bytes of the result."""
        return sum(
            len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
            for piece in self._pieces
        )

    def write(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Write the pieces to a file.

        Raises:
            ContainerNotVerified: the source ends before a piece does.
            OSError: no space, no permission.
        """
        target.flush()
        fast = True
        for piece in self._pieces:
            if isinstance(piece, bytes):
                _write(target.fileno(), piece)
                continue
            at, stop = piece
            while at < stop:
                done = 0
                if fast:
                    try:
                        done = os.copy_file_range(
                            source.fileno(), target.fileno(), min(stop - at, 1 << 30), at
                        )
                    except OSError as error:
                        if error.errno not in _NO_COPY:
                            raise
                        fast = False
                        continue
                else:
                    data = os.pread(source.fileno(), min(BUFFER_BYTES, stop - at), at)
                    done = len(data)
                    _write(target.fileno(), data)
                if not done:
                    raise ContainerNotVerified(name=source.name, reason="it became shorter")
                at += done

    def chunks(self, source: IO[bytes]) -> Iterator[memoryview]:
        """Yield the bytes of the result from the source; each is gone once the next is asked for.

        Raises:
            ContainerNotVerified: the source ends before a piece does.
        """
        buffer = memoryview(bytearray(BUFFER_BYTES))
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield memoryview(piece)
                continue
            at, stop = piece
            while at < stop:
                size = os.preadv(source.fileno(), [buffer[: stop - at]], at)
                if not size:
                    raise ContainerNotVerified(name=source.name, reason="it became shorter")
                yield buffer[:size]
                at += size

    def compare(self, source: IO[bytes], written: IO[bytes], name: str) -> None:
        """Read back what was written.

        Raises:
            ContainerNotVerified: it is not what the pieces say.
        """
        at, buffer = 0, memoryview(bytearray(BUFFER_BYTES))
        for data in self.chunks(source):
            for start in range(0, len(data), BUFFER_BYTES):
                part = data[start : start + BUFFER_BYTES]
                size = os.preadv(written.fileno(), [buffer[: len(part)]], at)
                # Views compare number by number, bytes at once: 0.3 GB/s, and 8.
                if bytes(buffer[:size]) != bytes(part):
                    raise ContainerNotVerified(name=name, reason=f"at byte {at}")
                at += size
        if os.fstat(written.fileno()).st_size != at:
            raise ContainerNotVerified(name=name, reason="of another length")


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def digest_of(stream: IO[bytes]) -> str:
    """Return the SHA-256 of a file, without moving in it."""
    digest, at = hashlib.sha256(), 0
    buffer = memoryview(bytearray(BUFFER_BYTES))
    while size := os.preadv(stream.fileno(), [buffer], at):
        digest.update(buffer[:size])
        at += size
    return digest.hexdigest()
