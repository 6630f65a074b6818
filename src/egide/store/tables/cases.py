"""The tables of the pages: cases and their images, attempts to sign in, staff, sessions.

Conventions are those of `register`. No table holds an address, a person's or file's name, or a PIN
or session token in readable form.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from egide.store.tables.register import BigId, Blob, metadata

# An ended case keeps its row for a while, so that its owner can see that it has ended.
cases = Table(
    "cases",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("number", String(12), nullable=False),
    Column("bank_id", BigId, ForeignKey("banks.id"), nullable=False),
    # Argon2id, in the PHC string format.
    Column("pin_hash", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("authority", String(16), nullable=False),
    # The name of a member of staff, who may be gone by now; null for the person themselves.
    Column("opened_by", Text),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("ended", BigInteger),
    CheckConstraint("state IN ('open', 'withdrawn', 'expired')", name="state"),
    CheckConstraint(
        "authority IN ('self', 'in-person', 'by-phone', 'in-writing', 'representative')",
        name="authority",
    ),
    CheckConstraint("(state = 'open') = (ended IS NULL)", name="ended"),
    Index("uq_cases_number", "number", unique=True),
    Index("ix_cases_state", "state", "expires"),
    sqlite_autoincrement=True,
)

case_images = Table(
    "case_images",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("case_id", BigId, ForeignKey("cases.id"), nullable=False),
    Column("entry_id", BigId, ForeignKey("entries.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("added", BigInteger, nullable=False),
    CheckConstraint("kind IN ('still', 'first-frame', 'digest-only')", name="kind"),
    Index("uq_case_images_entry", "entry_id", unique=True),
    Index("ix_case_images_case", "case_id", "id"),
    sqlite_autoincrement=True,
)

# Recent submissions, so that a repeated one is done once. The digest is keyed.
submissions = Table(
    "submissions",
    metadata,
    Column("id", Blob, primary_key=True),
    Column("case_id", BigId, ForeignKey("cases.id"), nullable=False),
    Column("digest", Blob, nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("ix_submissions_case", "case_id"),
    Index("ix_submissions_created", "created"),
)

# Failures to sign in to a case. A subject is a keyed hash of a number, of an origin, or of both,
# whether or not a case has that number.
case_attempts = Table(
    "case_attempts",
    metadata,
    Column("subject", Blob, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    # The last successful sign-in of this number from this origin; null for other subjects.
    Column("succeeded", BigInteger),
    Index("ix_case_attempts_last", "last"),
)

# When a partner was first given an image; a later change of the entry does not alter it.
partner_reads = Table(
    "partner_reads",
    metadata,
    Column("image_id", BigId, ForeignKey("case_images.id"), primary_key=True, autoincrement=False),
    Column("key_id", BigId, ForeignKey("keys.id"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)

staff = Table(
    "staff",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("name", String(64), nullable=False),
    Column("password_hash", Text, nullable=False),
    # Codes are computed from it, so it is stored in plain.
    Column("totp_secret", Blob, nullable=False),
    # The step of the last accepted code, since a code works once.
    Column("last_step", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("disabled", BigInteger),
    Index("uq_staff_name", "name", unique=True),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Blob, primary_key=True),
    Column("kind", String(16), nullable=False),
    # The number of a case, or of a member of staff.
    Column("subject_id", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("ends", BigInteger, nullable=False),
    Column("idle_s", Integer, nullable=False),
    CheckConstraint("kind IN ('case', 'staff')", name="kind"),
    Index("ix_sessions_subject", "kind", "subject_id"),
    Index("ix_sessions_ends", "ends"),
)
