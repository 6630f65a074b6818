"""Images, PINs, cheap hashing and a worker's app for tests of cases."""

from hashlib import sha256

import pyotp
import pytest

from egide.domain.cases import ImageKind, NewImage
from egide.security import passwords

PIN = "amande-48"


def image(number: int, kind: ImageKind = ImageKind.STILL, quality: int = 80) -> NewImage:
    """The fingerprints of a made-up file; another number is another picture."""
    pdq = sha256(b"pdq of %d" % number).digest()
    digest = sha256(b"file %d" % number).digest()
    return NewImage(kind, pdq, quality, digest)


def submission(number: int) -> bytes:
    return sha256(b"submission %d" % number).digest()


def app_code(uri: str, at_unix_s: float) -> str:
    """The code that an app with this `otpauth:` URI shows at a time."""
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    return app.at(at_unix_s)


def hash_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Argon2id take a millisecond, and half a second no longer."""
    passwords._hasher.cache_clear()
    passwords._nobodys_hash.cache_clear()
    monkeypatch.setattr(passwords, "MEMORY_KIB", 64)
    monkeypatch.setattr(passwords, "PASSES", 1)


def hash_as_ever() -> None:
    """Undo `hash_cheaply`, once its keypoints are undone."""
    passwords._hasher.cache_clear()
    passwords._nobodys_hash.cache_clear()
