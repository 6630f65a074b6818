"""Signing keys: PEM files as OpenSSL makes them, and nothing else."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from egide.errors import SigningKeyExists, SigningKeyInvalid, SigningKeyLocked
from egide.security.signing import PublicKey, SigningKey

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None and not os.environ.get("CI"), reason="no openssl here"
)


def openssl(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(
        ["openssl", *arguments], cwd=folder, check=True, capture_output=True
    ).stdout


def private(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    path.chmod(0o600)
    return path


def test_a_key_is_written_for_its_owner_alone_read_back_and_never_replaced(tmp_path: Path) -> None:
    path, key = tmp_path / "signing.key", SigningKey.generate()
    key.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = SigningKey.read(path)
    assert read.public.key_id == key.public.key_id
    assert key.public.signed(read.sign(b"a message"), b"a message")
    assert not key.public.signed(read.sign(b"a message"), b"another")
    with pytest.raises(SigningKeyExists):
        key.write(path)
    assert "key" not in repr(key).lower().replace("signingkey", "")


@needs_openssl
def test_openssl_makes_the_same_files_and_ids(tmp_path: Path) -> None:
    openssl(tmp_path, "genpkey", "-algorithm", "ed25519", "-out", "theirs.key")
    (tmp_path / "theirs.key").chmod(0o600)
    openssl(tmp_path, "pkey", "-in", "theirs.key", "-pubout", "-out", "theirs.pub")
    key, public = SigningKey.read(tmp_path / "theirs.key"), PublicKey.read(tmp_path / "theirs.pub")
    der = openssl(tmp_path, "pkey", "-pubin", "-in", "theirs.pub", "-outform", "DER")
    assert key.public.key_id == public.key_id == hashlib.sha256(der).hexdigest()
    assert key.public.pem() == (tmp_path / "theirs.pub").read_text()
    key.write(tmp_path / "ours.key")
    assert (tmp_path / "ours.key").read_bytes() == (tmp_path / "theirs.key").read_bytes()


def test_a_passphrase_is_asked_for_once_it_is_needed(tmp_path: Path) -> None:
    path, key = tmp_path / "signing.key", SigningKey.generate()
    with pytest.raises(SigningKeyInvalid, match="under 8"):
        key.write(path, "short")
    key.write(path, "a long passphrase")
    assert SigningKey.read(path, lambda: "a long passphrase").public.key_id == key.public.key_id
    with pytest.raises(SigningKeyLocked):
        SigningKey.read(path)
    with pytest.raises(SigningKeyInvalid, match="passphrase is another"):
        SigningKey.read(path, lambda: "another passphrase")


def _pem(key: object, kind: serialization.PrivateFormat) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        serialization.Encoding.PEM, kind, serialization.NoEncryption()
    )


PKCS8 = serialization.PrivateFormat.PKCS8
OTHERS = {
    "rsa": (lambda: _pem(rsa.generate_private_key(65537, 2048), PKCS8), "kind RSA"),
    "ec": (lambda: _pem(ec.generate_private_key(ec.SECP256R1()), PKCS8), "kind"),
    "ed448": (lambda: _pem(ed448.Ed448PrivateKey.generate(), PKCS8), "kind Ed448"),
    "x25519": (lambda: _pem(x25519.X25519PrivateKey.generate(), PKCS8), "kind X25519"),
    "openssh": (
        lambda: _pem(Ed25519PrivateKey.generate(), serialization.PrivateFormat.OpenSSH),
        "not a key in PEM",
    ),
    "public": (lambda: SigningKey.generate().public.pem().encode(), "holds a public key"),
    "empty": (lambda: b"", "not a key in PEM"),
    "noise": (lambda: bytes(range(256)), "not a key in PEM"),
    "cut": (lambda: _pem(Ed25519PrivateKey.generate(), PKCS8)[:60], "not a key in PEM"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_another_key_is_refused_and_the_message_says_what_it_is(tmp_path: Path, kind: str) -> None:
    make, reason = OTHERS[kind]
    with pytest.raises(SigningKeyInvalid, match=reason):
        SigningKey.read(private(tmp_path / "a.key", make()))


def test_a_key_that_others_can_read_or_that_is_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    SigningKey.generate().write(path)
    path.chmod(0o644)
    with pytest.raises(SigningKeyInvalid, match="chmod 600"):
        SigningKey.read(path)
    with pytest.raises(SigningKeyInvalid, match="no such file"):
        SigningKey.read(tmp_path / "none.key")
    with pytest.raises(SigningKeyInvalid):
        PublicKey.read(tmp_path)


def test_who_verifies_is_not_handed_a_private_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    SigningKey.generate().write(path)
    with pytest.raises(SigningKeyInvalid, match="public-of"):
        PublicKey.read(path)
    with pytest.raises(SigningKeyInvalid, match="not a key in PEM"):
        PublicKey.read(private(tmp_path / "noise.pub", b"-----BEGIN PUBLIC KEY-----\nAA"))
