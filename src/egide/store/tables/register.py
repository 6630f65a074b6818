"""The tables of a store, and which versions of them this Egide knows.

Times are whole Unix seconds: they compare and sort alike in every database, and no driver can guess
a time zone. States and trust levels are the words of `model`, so that any SQL client can read a
store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    false,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class Blob(LargeBinary):
    """Bytes that are passed to and from the driver unchanged.

    The drivers take and return `bytes`; SQLAlchemy's wrapping took a fifth of an import's time.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> None:
        """Pass bytes in unchanged."""

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        """Pass bytes out unchanged."""


SCHEMA_REVISIONS = (
    *("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011"),
)
"""Every Alembic migration in order; this Egide writes the last one."""

MAX_ENTRY_ID = 2**63 - 1
"""A greater number cannot be bound to a statement, so no entry can have one."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# SQLite numbers rows by itself only in a column of type INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

store_meta = Table(
    "store_meta",
    metadata,
    Column("store_id", Text, primary_key=True),
    Column("identity_key", Blob, nullable=False),
    Column("created", BigInteger, nullable=False),
    # The last revision that erased a fingerprint; a snapshot of an earlier one may hold it.
    Column("erased_revision", BigInteger, nullable=False, server_default=text("0")),
    # Since when the database's files may hold erased data; null if they do not.
    Column("erasure_pending_since", BigInteger),
    # The number of erasures, so that one during the cleaning of the files is noticed.
    Column("erasures", BigInteger, nullable=False, server_default=text("0")),
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("bank_id", BigId, ForeignKey("banks.id")),
    Column("entries", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Files with fingerprints that a process is writing; if it is killed, the next process removes them.
unfinished_files = Table(
    "unfinished_files",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("host", Text, nullable=False),
    Column("path", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Paths of possible search snapshots of this store: the process that erases may have other settings
# than the one that built a snapshot.
snapshot_files = Table(
    "snapshot_files",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("path", Text, nullable=False),
    sqlite_autoincrement=True,
)

banks = Table(
    "banks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("radius_bits", SmallInteger, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean(create_constraint=False), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False, server_default=text("'positive'")),
    # Made by a program through HMA, which may therefore rename and delete it.
    Column("kept", Boolean(create_constraint=False), nullable=False, server_default=false()),
    # In how many of HMA's look-ups it takes part; one that is disabled in none.
    Column("enabled_ratio", Float, nullable=False, server_default=text("1")),
    CheckConstraint("radius_bits BETWEEN 0 AND 63", name="radius"),
    Index("uq_banks_name", "name", unique=True),
    sqlite_autoincrement=True,
)

# The log names banks as they were called at the time.
former_names = Table(
    "former_names",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("bank_id", BigId, ForeignKey("banks.id"), nullable=False),
    Column("name", String(64), nullable=False),
    # The last revision that knows the bank by this name.
    Column("until", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

entries = Table(
    "entries",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("bank_id", BigId, ForeignKey("banks.id"), nullable=False),
    Column("identity", Blob, nullable=False),
    Column("pdqs", Blob),
    Column("sha256", Blob),
    Column("md5", Blob),
    Column("quality", SmallInteger),
    Column("trust", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revision", BigInteger, nullable=False),
    # How many codes at the end of `pdqs` are of frames without their borders.
    Column("trimmed", SmallInteger, nullable=False, server_default=text("0")),
    Column("sha1", Blob),
    # Of the address of a picture.
    Column("url_sha256", Blob),
    Column("url_md5", Blob),
    # Chains of OR, most frequent word first: with IN, SQLite builds a table for each row, and the
    # three checks took 40 % of an insert's time.
    CheckConstraint(
        "trust = 'unverified' OR trust = 'confirmed' OR trust = 'disputed'", name="trust"
    ),
    CheckConstraint(
        "state = 'active' OR state = 'tombstoned' OR state = 'withdrawn' OR state = 'expired'",
        name="state",
    ),
    # Only an active entry has a fingerprint; the database itself enforces this.
    CheckConstraint(
        "state = 'active' OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = ''"
        " AND sha1 IS NULL AND url_sha256 IS NULL AND url_md5 IS NULL)",
        name="erased",
    ),
    Index("uq_entries_bank_identity", "bank_id", "identity", unique=True),
    Index("ix_entries_bank", "bank_id", "id"),
    Index("ix_entries_revision", "revision", "id"),
    sqlite_autoincrement=True,
)

# Partial: most entries never expire and then cost the index nothing.
Index(
    "ix_entries_expires",
    entries.c.state,
    entries.c.expires,
    sqlite_where=entries.c.expires.is_not(None),
    postgresql_where=entries.c.expires.is_not(None),
)

# A separate table too: searching whole pictures never reads it.
anchored = Table(
    "anchored",
    metadata,
    Column("entry_id", BigId, ForeignKey("entries.id"), primary_key=True, autoincrement=False),
    # Of the definition of the codes' regions.
    Column("version", SmallInteger, nullable=False),
    Column("codes", Blob, nullable=False),
)

# When the codes of an entry are seen in the video that it is of; few entries are videos.
videos = Table(
    "videos",
    metadata,
    Column("entry_id", BigId, ForeignKey("entries.id"), primary_key=True, autoincrement=False),
    # Of the way in which frames are chosen.
    Column("version", SmallInteger, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    # Start and end of each code in `entries.pdqs`, in its order.
    Column("times", Blob, nullable=False),
    CheckConstraint("duration_ms >= 0", name="duration"),
)

# What a program says of an entry, as JSON; erased with it.
details = Table(
    "details",
    metadata,
    Column("entry_id", BigId, ForeignKey("entries.id"), primary_key=True, autoincrement=False),
    Column("metadata", Text, nullable=False),
)

# A separate table: rows of 20 KB among the entries would slow down every list of entries.
keypoints = Table(
    "patches",
    metadata,
    Column("entry_id", BigId, ForeignKey("entries.id"), primary_key=True, autoincrement=False),
    Column("key_id", Blob, nullable=False),
    Column("sealed", Blob, nullable=False),
    # Finds the key ids, and counts, without reading the rows themselves.
    Index("ix_patches_key", "key_id", "entry_id"),
)
