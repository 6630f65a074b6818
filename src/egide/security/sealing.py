"""Seal keypoints with a key that is kept outside the store.

AES-256 in Galois counter mode, from `cryptography`. A sealed set is one byte of version, a random
nonce of 96 bits, the ciphertext and a tag of 128 bits. With random nonces one key is good for 2³²
sets (NIST SP 800-38D, section 8.3), some hundred times what a store holds.

A sealed set is bound to its context: a row that is moved to another entry, bank or store does not
open there. Sealing hides neither the existence nor the length of a row.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hmac
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from egide.errors import (
    KeypointKeyExists,
    KeypointKeyInvalid,
    KeypointKeyMissing,
    KeypointsUnavailable,
    OutputUnwritable,
)
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_VARIABLE = "EGIDE_PATCH_KEY"
KEY_FILE_VARIABLE = "EGIDE_PATCH_KEY_FILE"
KEY_BYTES = 32
KEY_ID_BYTES = 8
NONCE_BYTES = 12
TAG_BYTES = 16
_VERSION = b"\x01"
_MAX_KEY_FILE_BYTES = 4096
_KEY_TEXT = re.compile(r"[A-Za-z0-9_-]{43}=?")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class SealBroken(ValueError):
    """The bytes are not a set sealed with this key and context."""


@dataclass(frozen=True, slots=True)
class KeypointKey:
    """The key that seals keypoints. Neither `repr` nor any error shows it.

    Attributes:
        secret: 32 random bytes; the encryption key and the key id are derived from them.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        """Make a new random key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def parse(cls, text: str, *, name: str) -> Self:
        """Read a key from its text, base64url of 32 bytes.

        Args:
            text: 43 characters, or 44 with padding; spaces and line ends around it are allowed.
            name: the key's name in errors.

        Raises:
            KeypointKeyInvalid: the text is not a key. The message does not repeat it.
        """
        text = text.strip()
        if not text:
            raise KeypointKeyInvalid(name=name, reason="it is empty")
        try:
            if not _KEY_TEXT.fullmatch(text):
                raise binascii.Error
            secret = base64.urlsafe_b64decode(text[:43] + "=")
        except binascii.Error:
            reason = "it is not 43 or 44 characters of base64url"
            raise KeypointKeyInvalid(name=name, reason=reason) from None
        return cls(secret)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a key from its file.

        Raises:
            KeypointKeyInvalid: the file is missing or unreadable, other users may read it, or it
                holds no key.
        """
        try:
            text = read_key_file(path)
        except OSError as error:
            reason = (error.strerror or "it cannot be read").lower()
            raise KeypointKeyInvalid(name=path, reason=reason) from error
        return cls.parse(text, name=str(path))

    @classmethod
    def load(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the key from `EGIDE_PATCH_KEY`, or from the file of `key_path`.

        Raises:
            KeypointKeyMissing: no variable is set, and there is no file in the default place.
            KeypointKeyInvalid: the value or file is not a key; or both variables are set, and it
                is unclear which key was used before.
        """
        text = environment.get(KEY_VARIABLE)
        if text and environment.get(KEY_FILE_VARIABLE):
            raise KeypointKeyInvalid(
                name=KEY_VARIABLE, reason=f"{KEY_FILE_VARIABLE} is set as well; unset one of them"
            )
        if text:
            return cls.parse(text, name=KEY_VARIABLE)
        path = key_path(environment)
        if not environment.get(KEY_FILE_VARIABLE) and not os.path.lexists(path):
            raise KeypointKeyMissing
        return cls.read(path)

    @property
    def key_id(self) -> bytes:
        """An id of this key, 8 bytes; the key cannot be derived from it."""
        return self._derive(b"id")[:KEY_ID_BYTES]

    def seal(self, data: bytes, context: bytes) -> bytes:
        """Encrypt and authenticate `data`; it opens with this key and context only.

        Raises:
            KeypointsUnavailable: `cryptography` is not installed.
        """
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + nonce + self._cipher().encrypt(nonce, data, _VERSION + context)

    def unseal(self, sealed: bytes, context: bytes) -> bytes:
        """Decrypt and authenticate a sealed set.

        Raises:
            SealBroken: it was altered or cut, or has another key, context or version.
            KeypointsUnavailable: `cryptography` is not installed.
        """
        cipher = self._cipher()
        from cryptography.exceptions import InvalidTag

        head = len(_VERSION) + NONCE_BYTES
        if len(sealed) < head + TAG_BYTES or sealed[:1] != _VERSION:
            raise SealBroken
        try:
            return cipher.decrypt(sealed[1:head], sealed[head:], _VERSION + context)
        except InvalidTag:
            raise SealBroken from None

    def write(self, path: Path) -> None:
        """Write the key to a new private file, which is on the disk on return.

        Raises:
            KeypointKeyExists: something is at `path` already; it is never replaced.
            OutputUnwritable: the file cannot be written.
        """
        text = base64.urlsafe_b64encode(self.secret) + b"\n"
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            with written_whole(path, replacing=False) as stream:
                stream.write(text)
        except FileExistsError as error:
            raise KeypointKeyExists(name=path) from error
        except OSError as error:
            raise _unwritable(path, error) from error

    def _cipher(self) -> AESGCM:
        require_cryptography()
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._derive(b"seal"))

    def _derive(self, purpose: bytes) -> bytes:
        return hmac.digest(self.secret, b"egide patches 1 " + purpose, "sha256")


def read_key_file(path: Path) -> str:
    """Read a file that holds a key of any kind, as ASCII text.

    Raises:
        OSError: it cannot be read, is not a plain file, or other users have access; `strerror`
            says which.
    """
    # Opening a pipe without a writer would block for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        if mode & _OTHERS:
            reason = f"its mode is {stat.S_IMODE(mode):04o}, so that others may use it"
            raise OSError(errno.EPERM, f"{reason}; chmod 600 it")
        return os.read(descriptor, _MAX_KEY_FILE_BYTES).decode("ascii", "replace")
    finally:
        os.close(descriptor)


def require_cryptography() -> None:
    """Check early that sealing is possible.

    Raises:
        KeypointsUnavailable: `cryptography` is not installed.
    """
    try:
        import cryptography.hazmat.primitives.ciphers.aead  # noqa: F401
    except ImportError as error:
        raise KeypointsUnavailable from error


def key_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the key's file: `EGIDE_PATCH_KEY_FILE`, or the default place.

    The default is `egide/keypoints.key` in `XDG_CONFIG_HOME`, which defaults to `~/.config`.

    Raises:
        KeypointKeyMissing: no variable is set, and the user has no home folder.
    """
    named = environment.get(KEY_FILE_VARIABLE)
    if named:
        return Path(named)
    # The XDG specification says to ignore a relative path.
    configured = environment.get("XDG_CONFIG_HOME", "")
    if configured.startswith("/"):
        return Path(configured, "egide", "patches.key")
    try:
        home = Path(environment.get("HOME") or Path.home())
    except RuntimeError as error:
        raise KeypointKeyMissing from error
    return home / ".config" / "egide" / "patches.key"


def _unwritable(path: Path, error: OSError) -> OutputUnwritable:
    return OutputUnwritable(
        name=path, reason=(error.strerror or "the disk reports an error").lower()
    )
