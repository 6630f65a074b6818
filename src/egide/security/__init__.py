"""Secrets and proofs: passwords, one-time codes, proof of work, sealing."""
