"""Addresses: local paths and fsspec URLs, opened alike."""

from __future__ import annotations

import hashlib
import os
import stat as stat_flags
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from egide.auditing.sources.base import Shard
from egide.errors import ProtocolUnsupported, SourceMissing, SourceUnreadable, SourceUnsupported
from egide.sandbox.starting import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_SPECIAL = "it is no regular file"
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}
_LOCAL = frozenset({"", "file", "local"})
_NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("FSSPEC_CONFIG_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
)
"""What any source on a network may need: proxies and trusted certificates."""
_CREDENTIALS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("s3", "s3a"), ("AWS_", "FSSPEC_S3")),
    **dict.fromkeys(
        ("gs", "gcs"),
        ("GOOGLE_", "GCSFS_", "GCE_", "CLOUDSDK_", "STORAGE_EMULATOR_HOST", "FSSPEC_G"),
    ),
    "hf": ("HF_", "HUGGING_FACE_", "HUGGINGFACE_", "FSSPEC_HF"),
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), ("AZURE_", "FSSPEC_A")),
    **dict.fromkeys(("sftp", "ssh"), ("SSH_AUTH_SOCK",)),
}
"""Prefixes of the variables that a protocol's sources read."""


def open_filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a path or URL, and the path in it.

    Raises:
        ProtocolUnsupported: the protocol needs an extra that is not installed.
        SourceUnsupported: there is no such protocol.
    """
    if _is_local(address):
        from fsspec.implementations.local import LocalFileSystem

        return LocalFileSystem(), os.path.abspath(address)  # noqa: PTH100 - a name, not a Path
    from fsspec.core import url_to_fs

    protocol = address.partition("://")[0]
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


def variables_for(
    addresses: Iterable[str], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment variables that the protocols of these addresses may need, and no others.

    Local sources need none.
    """
    protocols = {
        link.partition("://")[0] if "://" in link else link
        for address in addresses
        if not _is_local(address)
        for link in address.split("::")
    } - _LOCAL
    if not protocols:
        return {}
    prefixes = [prefix for one in protocols for prefix in _CREDENTIALS.get(one, ())]
    return variables(_NETWORK, prefixes, environment)


def whole_file(kind: str, url: str, name: str, columns: tuple[str, ...] = ()) -> Shard:
    """Plan a file as one shard, for a source that can only be read from its start.

    Raises:
        SourceMissing, SourceUnreadable: as `stat`.
    """
    info = stat(url)
    weight = int(info.get("size") or 0)
    state = state_of(info)
    return Shard(kind=kind, url=url, name=name, columns=columns, state=state, weight=weight)


def state_of(info: dict[str, Any]) -> str:
    """Digest what a filesystem tells of a file's version: size, time, tag."""
    known = [
        str(info.get(name))
        for name in ("size", "mtime", "ETag", "etag", "LastModified", "updated", "blob_id")
    ]
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:16]


def stat(address: str) -> dict[str, Any]:
    """Return fsspec's description of a file or folder: `type`, `size` and more.

    Raises:
        SourceMissing: there is no such file or folder.
        SourceUnreadable: it cannot be accessed, or is a device, pipe or socket.
    """
    filesystem, path = open_filesystem(address)
    try:
        info: dict[str, Any] = filesystem.info(path)
    except FileNotFoundError as error:
        raise SourceMissing(name=address) from error
    except Exception as error:
        raise SourceUnreadable(name=address, reason=_reason(error)) from error
    if info["type"] not in {"file", "directory"}:
        raise SourceUnreadable(name=address, reason=_SPECIAL)
    return info


@contextmanager
def open_binary(address: str) -> Iterator[IO[bytes]]:
    """Open a file for reading; seekable, as every fsspec file is.

    Raises:
        SourceMissing, SourceUnreadable: as `stat`.
    """
    filesystem, path = open_filesystem(address)
    try:
        stream = _open_local(path) if _is_local(address) else filesystem.open(path, "rb")
    except FileNotFoundError as error:
        raise SourceMissing(name=address) from error
    except Exception as error:
        raise SourceUnreadable(name=address, reason=_reason(error)) from error
    if stream is None:
        raise SourceUnreadable(name=address, reason=_SPECIAL)
    with stream:
        yield stream


def _is_local(address: str) -> bool:
    # Without `://` it is always a path: fsspec would take the file `a::b.tar` for a chain of
    # protocols, and `~x.tar` for a home folder.
    return "://" not in address


def _open_local(path: str) -> IO[bytes] | None:
    """Open a regular file; None for anything else. A plain open would block on a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat_flags.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__
