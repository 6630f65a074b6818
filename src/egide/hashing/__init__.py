"""Compute fingerprints from pixels and bytes: PDQ in two modes, SHA-256 and MD5."""

from egide.hashing.fingerprint import fingerprint, fingerprint_or_error

__all__ = ["fingerprint", "fingerprint_or_error"]
