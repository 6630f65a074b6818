"""Compute fingerprints from pixels and bytes: PDQ in two modes, SHA-256 and MD5."""

from egide.hashing.fingerprint import fingerprint

__all__ = ["fingerprint"]
