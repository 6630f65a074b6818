"""Ed25519 keys that sign proofs: PEM files as OpenSSL makes them.

`openssl genpkey -algorithm ed25519` makes the same private key, `openssl pkey -pubout` the same
public one. The id of a key is the SHA-256 of its public half in DER, as
`openssl pkey -pubin -outform DER | sha256sum` prints it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from egide.errors import (
    OutputUnwritable,
    SigningKeyExists,
    SigningKeyInvalid,
    SigningKeyLocked,
    SigningUnavailable,
)
from egide.files import written_whole
from egide.security.sealing import read_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PASSPHRASE_VARIABLE = "EGIDE_SIGNING_PASSPHRASE"  # noqa: S105 - the name of a variable
MIN_PASSPHRASE_CHARACTERS = 8
_MAX_KEY_BYTES = 4096
_NOT_PEM = "it is not a key in PEM, as `openssl genpkey -algorithm ed25519` writes it"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The key that checks signatures.

    Attributes:
        name: of its file, for errors.
    """

    name: str
    _key: Ed25519PublicKey = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a public key from its PEM file.

        Raises:
            SigningKeyInvalid: the file cannot be read, or holds no public Ed25519 key.
            SigningUnavailable: `cryptography` is not installed.
        """
        serialization = _serialization()
        try:
            with path.open("rb") as stream:
                text = stream.read(_MAX_KEY_BYTES)
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            raise SigningKeyInvalid(name=path, reason=reason) from error
        if b"PRIVATE KEY" in text:
            reason = (
                "it holds a private key, which no verifier may have; "
                f"`egide key signing --public-of {path.name}` prints the public one"
            )
            raise SigningKeyInvalid(name=path, reason=reason)
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            key = serialization.load_pem_public_key(text)
        except (ValueError, UnsupportedAlgorithm):
            raise SigningKeyInvalid(name=path, reason=_NOT_PEM) from None
        return cls(str(path), _ed25519(key, path))

    @property
    def key_id(self) -> str:
        """SHA-256 of the key in DER, hexadecimal."""
        serialization = _serialization()
        return hashlib.sha256(
            self._key.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).hexdigest()

    def pem(self) -> str:
        """The key as the text of a PEM file."""
        serialization = _serialization()
        return str(
            self._key.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ).decode("ascii")
        )

    def signed(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of a message is by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key that signs. Neither `repr` nor any error shows it."""

    _key: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Make a new random key.

        Raises:
            SigningUnavailable: `cryptography` is not installed.
        """
        _serialization()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path, passphrase: Callable[[], str | None] = lambda: None) -> Self:
        """Read a private key from its PEM file, in PKCS #8.

        Args:
            path: of the file, which no other user may read.
            passphrase: called if the key has one; None where nobody can be asked.

        Raises:
            SigningKeyInvalid: the file is missing, open to other users, or holds no private
                Ed25519 key; or the passphrase is wrong.
            SigningKeyLocked: the key has a passphrase, and none was given.
            SigningUnavailable: `cryptography` is not installed.
        """
        serialization = _serialization()
        from cryptography.exceptions import UnsupportedAlgorithm

        try:
            text = read_key_file(path).encode("ascii", "replace")
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            raise SigningKeyInvalid(name=path, reason=reason) from error
        given: bytes | None = None
        if b"ENCRYPTED" in text:
            if (asked := passphrase()) is None:
                raise SigningKeyLocked(name=path)
            given = asked.encode()
        elif b"PRIVATE KEY" not in text:
            held = "a public key" if b"PUBLIC KEY" in text else None
            reason = f"it holds {held}; the private one signs" if held else _NOT_PEM
            raise SigningKeyInvalid(name=path, reason=reason)
        try:
            key = serialization.load_pem_private_key(text, given)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            reason = "its passphrase is another, or it is damaged" if given else _NOT_PEM
            raise SigningKeyInvalid(name=path, reason=reason) from None
        return cls(_ed25519(key, path))

    @property
    def public(self) -> PublicKey:
        """The key that checks its signatures."""
        return PublicKey("the signing key", self._key.public_key())

    def sign(self, message: bytes) -> bytes:
        """Sign a message; 64 bytes."""
        return self._key.sign(message)

    def write(self, path: Path, passphrase: str | None = None) -> None:
        """Write the key to a new private file, which is on the disk on return.

        Raises:
            SigningKeyExists: something is at `path` already; it is never replaced.
            SigningKeyInvalid: the passphrase is too short.
            OutputUnwritable: the file cannot be written.
        """
        serialization = _serialization()
        if passphrase is not None and len(passphrase) < MIN_PASSPHRASE_CHARACTERS:
            reason = f"its passphrase has under {MIN_PASSPHRASE_CHARACTERS} characters"
            raise SigningKeyInvalid(name=path, reason=reason)
        text = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()
            if passphrase is None
            else serialization.BestAvailableEncryption(passphrase.encode()),
        )
        try:
            with written_whole(path, replacing=False) as stream:
                stream.write(text)
        except FileExistsError as error:
            raise SigningKeyExists(name=path) from error
        except OSError as error:
            raise OutputUnwritable(name=path, reason=error.strerror or error) from error


def _serialization() -> Any:
    try:
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise SigningUnavailable from error
    return serialization


def _ed25519(key: Any, path: Path) -> Any:
    """Return the key if it is of the one kind that signs proofs."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    if not isinstance(key, ed25519.Ed25519PrivateKey | ed25519.Ed25519PublicKey):
        kind = type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")
        reason = f"it is a key of the kind {kind.strip('_')}; proofs are signed with Ed25519 alone"
        raise SigningKeyInvalid(name=path, reason=reason)
    return key
