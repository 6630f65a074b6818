"""Hash lists: fingerprints in text files, from others or exported by Egide.

The formats are in docs/reference/hash-lists.md. `egide.hashlist.write` is for
`egide.usecases.export` alone.
"""

from egide.hashlist.read import read_hash_list
from egide.hashlist.values import (
    SCHEMA_VERSION,
    BadLine,
    Cut,
    HashLine,
    HashListFormat,
    NotTaken,
    parse_hex,
)

__all__ = [
    "SCHEMA_VERSION",
    "BadLine",
    "Cut",
    "HashLine",
    "HashListFormat",
    "NotTaken",
    "parse_hex",
    "read_hash_list",
]
