"""Proofs of audits: signed statements that others can check offline."""
