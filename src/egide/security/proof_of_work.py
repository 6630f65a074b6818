"""Proof of work: a form costs its sender some seconds of computing instead of a captcha.

A challenge is signed and holds its own difficulty and expiry, so none is stored.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from egide.errors import ProofExpired, ProofInvalid

if TYPE_CHECKING:
    from datetime import datetime

TTL = timedelta(hours=6)
"""How long a challenge is valid: long enough to send a form after a lost connection returns."""
_CLOCKS_DIFFER = timedelta(minutes=1)
"""How far apart the clocks of processes that check each other's challenges may be."""
MAX_BITS = 32
_VERSION = "v1"
_RANDOM_BYTES = 16
_MAX_NONCE = 2**63 - 1
_MAX_CHARS = 200


def new_challenge(key: bytes, bits: int, now: datetime) -> str:
    """Make a challenge: `v1.<bits>.<expires, Unix seconds>.<random>.<mac>`, the last two base64url.

    Args:
        key: secret; `solved` needs the same one.
        bits: zero bits that the proof needs, 0 to 32; each doubles the work.
        now: UTC.
    """
    if not 0 <= bits <= MAX_BITS:
        raise ValueError(bits)
    expires = int((now + TTL).timestamp())
    signed = f"{_VERSION}.{bits}.{expires}.{_text(secrets.token_bytes(_RANDOM_BYTES))}"
    return f"{signed}.{_mac(key, signed)}"


def solved(key: bytes, challenge: str, nonce: int, now: datetime) -> bytes:
    """Check a proof.

    Args:
        key: the key of `new_challenge`.
        challenge: as issued.
        nonce: SHA-256 of `challenge:nonce`, the nonce in decimal, must begin with as many zero
            bits as the challenge says.
        now: UTC.

    Returns:
        a unique id of the challenge, 32 bytes, independent of the nonce.

    Raises:
        ProofInvalid: the challenge is not one of ours, or the nonce does not solve it.
        ProofExpired: the challenge has expired.
    """
    # `compare_digest` takes ASCII text only.
    if len(challenge) > _MAX_CHARS or not challenge.isascii() or not 0 <= nonce <= _MAX_NONCE:
        raise ProofInvalid
    signed, _, mac = challenge.rpartition(".")
    if not hmac.compare_digest(mac, _mac(key, signed)):
        raise ProofInvalid
    _, bits, expires, _ = signed.split(".")
    left_s = int(expires) - now.timestamp()
    # Too long a remaining validity means that the issuer's clock was ahead.
    if not 0 < left_s <= (TTL + _CLOCKS_DIFFER).total_seconds():
        raise ProofExpired
    if leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < int(bits):
        raise ProofInvalid
    return sha256(f"submission:{challenge}".encode()).digest()


def leading_zero_bits(digest: bytes) -> int:
    """The number of leading zero bits of a digest."""
    return 8 * len(digest) - int.from_bytes(digest).bit_length()


def _mac(key: bytes, signed: str) -> str:
    return _text(hmac.digest(key, b"proof-of-work:" + signed.encode(), "sha256"))


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
