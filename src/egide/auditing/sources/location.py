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
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs"})
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


_ANONYMOUS = {
    "FSSPEC_S3_ANON": "true",
    "FSSPEC_GS_TOKEN": "anon",
    "FSSPEC_ABFS_ANON": "true",
    "FSSPEC_HF_TOKEN": "false",
}
_REQUESTER_PAYS = {"FSSPEC_S3_REQUESTER_PAYS": "true", "FSSPEC_GS_REQUESTER_PAYS": "true"}
_ENDPOINTS = ("FSSPEC_S3_ENDPOINT_URL", "FSSPEC_GS_ENDPOINT_URL", "FSSPEC_HF_ENDPOINT")


def open_filesystem(address: str) -> tuple[Any, str]:
    """Return the fsspec filesystem of a path or URL, and the path in it.

    Raises:
        ProtocolUnsupported: the protocol needs an extra that is not installed.
        SourceUnsupported: there is no such protocol.
    """
    if is_local(address):
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
        if not is_local(address)
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
        raise SourceUnreadable(name=address, reason=refusal(error)) from error
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
        stream = _open_local(path) if is_local(address) else filesystem.open(path, "rb")
    except FileNotFoundError as error:
        raise SourceMissing(name=address) from error
    except Exception as error:
        raise SourceUnreadable(name=address, reason=refusal(error)) from error
    if stream is None:
        raise SourceUnreadable(name=address, reason=_SPECIAL)
    with stream:
        yield stream


def is_local(address: str) -> bool:
    """Whether an address is a path on this machine."""
    # Without `://` it is always a path: fsspec would take the file `a::b.tar` for a chain of
    # protocols, and `~x.tar` for a home folder.
    return "://" not in address


def is_prefix(address: str) -> bool:
    """Whether an address can only be a bucket or prefix; an object may have the same key."""
    protocol, _, path = address.partition("://")
    return protocol in _OBJECT_STORES and (path.endswith("/") or "/" not in path)


def _open_local(path: str) -> IO[bytes] | None:
    """Open a regular file; None for anything else. A plain open would block on a pipe."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat_flags.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return os.fdopen(descriptor, "rb")


@contextmanager
def access(
    *,
    anonymous: bool = False,
    requester_pays: bool = False,
    endpoint_url: str | None = None,
    profile: str | None = None,
) -> Iterator[None]:
    """Say how object stores are reached, as fsspec's own variables do, while the block runs.

    Args:
        anonymous: without credentials.
        requester_pays: the reader of the store agrees to pay.
        endpoint_url: of a store other than the protocol's own.
        profile: of the AWS configuration.
    """
    import fsspec.config

    wanted = {
        **(_ANONYMOUS if anonymous else {}),
        **(_REQUESTER_PAYS if requester_pays else {}),
        **(dict.fromkeys(_ENDPOINTS, endpoint_url) if endpoint_url else {}),
        **({"FSSPEC_S3_PROFILE": profile} if profile else {}),
    }
    before = {name: os.environ.get(name) for name in wanted}
    conf = {protocol: dict(values) for protocol, values in fsspec.config.conf.items()}
    os.environ.update(wanted)  # the workers read it
    fsspec.config.set_conf_env(fsspec.config.conf, {name: wanted[name] for name in wanted})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        fsspec.config.conf.clear()
        fsspec.config.conf.update(conf)


def endpoints(addresses: Iterable[str]) -> list[str]:
    """The endpoints that the environment names: an address at another one is another source."""
    return sorted(
        value for name, value in variables_for(addresses).items() if "ENDPOINT" in name.upper()
    )


def store_answer(error: BaseException | None) -> tuple[int | None, str]:
    """Return the HTTP status and the store's own code in an error, as far as it holds them."""
    while error is not None:
        answer = getattr(error, "response", None)
        if isinstance(answer, dict):  # botocore
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return status, str(answer.get("Error", {}).get("Code", ""))
        for holder in (answer, error):
            for name in ("status_code", "status", "code"):
                status = getattr(holder, name, None)
                if isinstance(status, int) and 300 <= status < 600:
                    return status, ""
        error = error.__cause__ or error.__context__
    return None, ""


def refusal(error: Exception) -> str:
    """Say why a store did not serve, and what can be done."""
    status, code = store_answer(error)
    answered = " ".join(str(part) for part in (status, code) if part and str(status) != code)
    name = type(error).__name__
    if "Credential" in name and status is None:
        return "no credentials were found: set them, or add --anonymous for a public store"
    if name == "ProfileNotFound":
        return "the AWS configuration has no such profile: check --profile or AWS_PROFILE"
    if status is None and isinstance(error, OSError) and error.strerror:
        return f"{error.strerror.lower()}: {_remedy_here(error)}"
    if status in {401, 403} or isinstance(error, PermissionError):
        remedy = "check the credentials and what they may do; --anonymous reads public stores"
        return f"the store refuses it ({answered or 'access denied'}): {remedy}"
    if status == 404 or isinstance(error, FileNotFoundError):
        return f"the store does not have it ({answered or 'not found'}): check the address"
    if (status is not None and 300 <= status < 400) or code == "AuthorizationHeaderMalformed":
        remedy = "set its region, such as AWS_DEFAULT_REGION, or --endpoint-url"
        return f"the store is elsewhere ({answered}): {remedy}"
    if status is not None and (status in {408, 429} or status >= 500):
        return f"the store does not serve at present ({answered}): run the same command again later"
    if isinstance(error, TimeoutError | ConnectionError) or "Connect" in name or "Timeout" in name:
        return f"the store cannot be reached ({name}): check the network and the endpoint"
    return (answered and f"the store answered {answered}") or name


def _remedy_here(error: OSError) -> str:
    """What can be done about an error of this system."""
    if isinstance(error, PermissionError):
        return "let the user who runs the audit read it"
    if isinstance(error, FileNotFoundError):
        return "check the path"
    return "check the disk and the network"
