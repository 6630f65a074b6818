"""Addresses: local paths and fsspec URLs, opened alike."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from egide.errors import (
    ProtocolUnsupported,
    SourceMissing,
    SourceUnreadable,
    SourceUnsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}


def open_filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a path or URL, and the path in it.

    Raises:
        ProtocolUnsupported: the protocol needs an extra that is not installed.
        SourceUnsupported: no such protocol.
    """
    from fsspec.core import url_to_fs

    protocol = address.partition("://")[0] if "://" in address else "file"
    try:
        filesystem, path = url_to_fs(address)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        if extra is None:
            raise SourceUnsupported(
                name=address, reason=f"the protocol {protocol} is not supported"
            ) from error
        raise ProtocolUnsupported(name=address, extra=extra) from error
    except ValueError as error:
        raise SourceUnsupported(
            name=address, reason=f"the protocol {protocol} is not known"
        ) from error
    return filesystem, path


def state_of(info: dict[str, Any]) -> str:
    """Digest what a filesystem says of a file's version: size, time, tag."""
    known = [
        str(info.get(name))
        for name in ("size", "mtime", "ETag", "etag", "LastModified", "updated", "blob_id")
    ]
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:16]


def stat(address: str) -> dict[str, Any]:
    """Return fsspec's description of a file or folder: `type`, `size` and more.

    Raises:
        SourceMissing: nothing stands there.
        SourceUnreadable: it cannot be looked at.
    """
    filesystem, path = open_filesystem(address)
    try:
        info: dict[str, Any] = filesystem.info(path)
    except FileNotFoundError as error:
        raise SourceMissing(name=address) from error
    except Exception as error:
        raise SourceUnreadable(name=address, reason=_reason(error)) from error
    return info


@contextmanager
def open_binary(address: str) -> Iterator[IO[bytes]]:
    """Open a file for reading; seekable, as every fsspec file is.

    Raises:
        SourceMissing, SourceUnreadable: as `stat`.
    """
    filesystem, path = open_filesystem(address)
    try:
        stream = filesystem.open(path, "rb")
    except FileNotFoundError as error:
        raise SourceMissing(name=address) from error
    except Exception as error:
        raise SourceUnreadable(name=address, reason=_reason(error)) from error
    with stream:
        yield stream


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
