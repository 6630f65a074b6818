"""Hash lists: fingerprints in text files, as others give them and as Egide exports them.

The formats are in docs/hash-lists.md.
"""

from egide.hashlist.read import read_hash_list
from egide.hashlist.values import (
    SCHEMA_VERSION,
    BadLine,
    HashLine,
    HashListFormat,
    parse_hex,
)
from egide.hashlist.write import csv_pieces, write_hash_list

__all__ = [
    "SCHEMA_VERSION",
    "BadLine",
    "HashLine",
    "HashListFormat",
    "csv_pieces",
    "parse_hex",
    "read_hash_list",
    "write_hash_list",
]
