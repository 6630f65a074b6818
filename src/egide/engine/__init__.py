"""Machinery behind the use cases: searching, following the store, decoding, delivering."""
