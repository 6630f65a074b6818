"""Digests of a file's bytes: equal only for equal files."""

from __future__ import annotations

import hashlib


def sha256(data: bytes) -> bytes:
    """SHA-256 of the bytes, 32 bytes."""
    return hashlib.sha256(data).digest()


def md5(data: bytes) -> bytes:
    """MD5 of the bytes, 16 bytes. Hash lists use it; it names a file and secures nothing."""
    return hashlib.md5(data, usedforsecurity=False).digest()
