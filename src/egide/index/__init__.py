"""Exact Hamming search over PDQ codes, and the snapshot file that it runs on."""
