"""Cases and their images, attempts to sign in, images given to partners, staff, sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; existing rows are not rewritten."""
    op.create_table(
        "cases",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("number", sa.String(12), nullable=False),
        sa.Column("bank_id", BIG_ID, nullable=False),
        sa.Column("pin_hash", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("authority", sa.String(16), nullable=False),
        sa.Column("opened_by", sa.Text, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_cases_bank_id"),
        sa.CheckConstraint(
            "state IN ('open', 'withdrawn', 'expired')", name=op.f("ck_cases_state")
        ),
        sa.CheckConstraint(
            "authority IN ('self', 'in-person', 'by-phone', 'in-writing', 'representative')",
            name=op.f("ck_cases_authority"),
        ),
        sa.CheckConstraint("(state = 'open') = (ended IS NULL)", name=op.f("ck_cases_ended")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_cases_number", "cases", ["number"], unique=True)
    op.create_index("ix_cases_state", "cases", ["state", "expires"])
    op.create_table(
        "case_images",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("case_id", BIG_ID, nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_case_images"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_case_images_case_id"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_case_images_entry_id"),
        sa.CheckConstraint(
            "kind IN ('still', 'first-frame', 'digest-only')", name=op.f("ck_case_images_kind")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_case_images_entry", "case_images", ["entry_id"], unique=True)
    op.create_index("ix_case_images_case", "case_images", ["case_id", "id"])
    op.create_table(
        "submissions",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("case_id", BIG_ID, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_submissions"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_submissions_case_id"),
    )
    op.create_index("ix_submissions_case", "submissions", ["case_id"])
    op.create_index("ix_submissions_created", "submissions", ["created"])
    op.create_table(
        "case_attempts",
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("succeeded", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("subject", name="pk_case_attempts"),
    )
    op.create_index("ix_case_attempts_last", "case_attempts", ["last"])
    op.create_table(
        "partner_reads",
        sa.Column("image_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("key_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("image_id", "key_id", name="pk_partner_reads"),
        sa.ForeignKeyConstraint(["image_id"], ["case_images.id"], name="fk_partner_reads_image_id"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_partner_reads_key_id"),
    )
    op.create_table(
        "staff",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("totp_secret", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_staff"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_staff_name", "staff", ["name"], unique=True)
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject_id", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("ends", sa.BigInteger, nullable=False),
        sa.Column("idle_s", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_sessions"),
        sa.CheckConstraint("kind IN ('case', 'staff')", name=op.f("ck_sessions_kind")),
    )
    op.create_index("ix_sessions_subject", "sessions", ["kind", "subject_id"])
    op.create_index("ix_sessions_ends", "sessions", ["ends"])
