"""Proof of work: a form costs its sender some seconds of computing, and no foreign captcha.

A challenge is signed and says itself how hard it is and until when it holds, so that none is kept.
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
"""How long a challenge holds: a connection that comes back late can still send what it was for."""
_CLOCKS_DIFFER = timedelta(minutes=1)
"""So far the clocks of processes that check each other's challenges may be apart."""
MAX_BITS = 32
_VERSION = "v1"
_RANDOM_BYTES = 16
_MAX_NONCE = 2**63 - 1
_MAX_CHARS = 200


def new_challenge(key: bytes, bits: int, now: datetime) -> str:
    """Make a challenge: `v1.<bits>.<expires, Unix seconds>.<random>.<mac>`, the last two base64url.

    Args:
        key: secret, the same where it is checked.
        bits: how many zero bits the proof needs, 0 to 32; each doubles the work.
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
        key: that the challenge was made with.
        challenge: as it was given out.
        nonce: such that SHA-256 of `challenge:nonce`, the nonce in decimal, begins with as many
            zero bits as the challenge says.
        now: UTC.

    Returns:
        what tells this challenge from every other, whatever nonce solves it: 32 bytes.

    Raises:
        ProofInvalid: the challenge is not one of ours, or the nonce does not solve it.
        ProofExpired: it was given out too long ago.
    """
    # ASCII first: `compare_digest` takes no other text.
    if len(challenge) > _MAX_CHARS or not challenge.isascii() or not 0 <= nonce <= _MAX_NONCE:
        raise ProofInvalid
    signed, _, mac = challenge.rpartition(".")
    if not hmac.compare_digest(mac, _mac(key, signed)):
        raise ProofInvalid
    _, bits, expires, _ = signed.split(".")
    left_s = int(expires) - now.timestamp()
    # One that would hold for longer than any does was given out by a clock that was ahead.
    if not 0 < left_s <= (TTL + _CLOCKS_DIFFER).total_seconds():
        raise ProofExpired
    if leading_zero_bits(sha256(f"{challenge}:{nonce}".encode()).digest()) < int(bits):
        raise ProofInvalid
    return sha256(f"submission:{challenge}".encode()).digest()


def leading_zero_bits(digest: bytes) -> int:
    """How many bits of a digest are zero before its first that is not."""
    return 8 * len(digest) - int.from_bytes(digest).bit_length()


def _mac(key: bytes, signed: str) -> str:
    return _text(hmac.digest(key, b"proof-of-work:" + signed.encode(), "sha256"))


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")
