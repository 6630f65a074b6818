"""The tables of a register that is served: keys, approvals, partners, webhooks, and the log.

They are in the same database as banks and entries, so that a change and its consequences are one
transaction. Conventions are those of `egide.store.tables.register`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from egide.store.tables.register import BigId, Blob, metadata

# The chain of all acts; `seq` has no gaps, `previous` is the hash of the previous record.
log = Table(
    "log",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(48), nullable=False),
    Column("bank", Text),
    Column("revision", BigInteger),
    # Keyed references to entries, joined by commas; empty if they are too many to name.
    Column("subjects", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Blob, nullable=False),
    Column("hash", Blob, nullable=False),
    Index("ix_log_revision", "revision"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(64), nullable=False),
    # The public part of a key, by which it is looked up.
    Column("handle", String(16), nullable=False),
    Column("secret_hash", Blob, nullable=False),
    Column("role", String(16), nullable=False),
    Column("holder", Text, nullable=False),
    Column("all_banks", Boolean(create_constraint=False), nullable=False),
    Column("per_second", Integer, nullable=False),
    Column("per_day", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    CheckConstraint(
        "role IN ('matcher', 'partner', 'curator', 'moderator', 'admin', 'keeper')", name="role"
    ),
    Index("uq_keys_name", "name", unique=True),
    Index("uq_keys_handle", "handle", unique=True),
    sqlite_autoincrement=True,
)

key_banks = Table(
    "key_banks",
    metadata,
    Column("key_id", BigId, ForeignKey("keys.id"), primary_key=True, autoincrement=False),
    Column("bank_id", BigId, ForeignKey("banks.id"), primary_key=True, autoincrement=False),
)

# How many fingerprints a key has queried in a day, and how many it has added without a second
# person; days are counted from 1970, in UTC.
key_usage = Table(
    "key_usage",
    metadata,
    Column("key_id", BigId, ForeignKey("keys.id"), primary_key=True, autoincrement=False),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("used", BigInteger, nullable=False),
    Column("added", BigInteger, nullable=False),
)

# Requests that need a second person. Only a request's digest is stored: the requester repeats the
# request once it is approved.
approvals = Table(
    "approvals",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("action", String(48), nullable=False),
    Column("bank", Text),
    Column("summary", Text, nullable=False),
    Column("digest", Blob, nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested", BigInteger, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_holder", Text, nullable=False),
    Column("decided", BigInteger),
    Column("decided_by", Text),
    Column("decided_holder", Text),
    Column("expires", BigInteger, nullable=False),
    CheckConstraint("state IN ('pending', 'approved', 'refused', 'used')", name="state"),
    CheckConstraint(
        "decided_holder IS NULL OR decided_holder <> requested_holder", name="two_people"
    ),
    Index("ix_approvals_state", "state", "id"),
    sqlite_autoincrement=True,
)

# Answers to writes, so that a client that repeats one gets the first answer.
idempotency = Table(
    "idempotency",
    metadata,
    Column("key_id", BigId, ForeignKey("keys.id"), primary_key=True, autoincrement=False),
    Column("token_hash", Blob, primary_key=True),
    Column("request_digest", Blob, nullable=False),
    Column("status", SmallInteger),
    Column("response", Text),
    Column("created", BigInteger, nullable=False),
    Index("ix_idempotency_created", "created"),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("entry_id", BigId, ForeignKey("entries.id"), nullable=False),
    Column("partner", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("at", BigInteger, nullable=False),
    CheckConstraint("kind IN ('matched', 'removed', 'declined', 'false-positive')", name="kind"),
    Index("ix_feedback_entry", "entry_id", "id"),
    sqlite_autoincrement=True,
)

# Registers that this one follows. A cursor is a remote revision and an entry's number in it; ended
# entries have their own cursor, since withdrawals are fetched first.
upstreams = Table(
    "upstreams",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("key_file", Text, nullable=False),
    Column("remote_bank", String(64), nullable=False),
    Column("bank_id", BigId, ForeignKey("banks.id"), nullable=False),
    Column("trust_map", Text, nullable=False),
    Column("enabled", Boolean(create_constraint=False), nullable=False),
    Column("remote_store_id", Text),
    Column("cursor_revision", BigInteger, nullable=False),
    Column("cursor_entry", BigInteger, nullable=False),
    Column("ended_revision", BigInteger, nullable=False),
    Column("ended_entry", BigInteger, nullable=False),
    Column("feedback_sent", BigInteger, nullable=False),
    Column("last_try", BigInteger),
    Column("last_success", BigInteger),
    Column("last_error", String(48)),
    Column("failures", Integer, nullable=False),
    # The process that follows it, and the end of its lease.
    Column("leased_by", String(36)),
    Column("leased_until", BigInteger, nullable=False, server_default=text("0")),
    Index("uq_upstreams_name", "name", unique=True),
    sqlite_autoincrement=True,
)

upstream_entries = Table(
    "upstream_entries",
    metadata,
    Column("upstream_id", BigId, ForeignKey("upstreams.id"), primary_key=True, autoincrement=False),
    Column("remote_entry", BigInteger, primary_key=True, autoincrement=False),
    Column("entry_id", BigId, ForeignKey("entries.id"), nullable=False),
    # The trust that the upstream set here; if the entry's differs, somebody here has judged.
    Column("trust", String(16), nullable=False),
    # Whether it was the upstream that ended the entry, and not somebody here.
    Column("ended", Boolean(create_constraint=False), nullable=False),
    Index("ix_upstream_entries_entry", "entry_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("url", Text, nullable=False),
    # It signs messages, so it is stored in plain.
    Column("secret", Blob, nullable=False),
    Column("events", Text, nullable=False),
    Column("enabled", Boolean(create_constraint=False), nullable=False),
    Column("created", BigInteger, nullable=False),
    # The result of the last message, and the number of consecutive failures.
    Column("last_try", BigInteger),
    Column("last_success", BigInteger),
    Column("last_status", SmallInteger),
    Column("last_error", String(48)),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Index("uq_webhooks_name", "name", unique=True),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("webhook_id", BigId, ForeignKey("webhooks.id"), nullable=False),
    Column("message_id", String(48), nullable=False),
    Column("event", String(48), nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    # The due time; a process that is about to deliver postpones it, so that no other does.
    Column("next_at", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("last_status", SmallInteger),
    Column("last_error", String(48)),
    CheckConstraint("state IN ('pending', 'delivered', 'dead')", name="state"),
    Index("ix_outbox_due", "state", "next_at"),
    sqlite_autoincrement=True,
)
