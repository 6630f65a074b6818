"""Banks, entries, revisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version."""
    op.create_table(
        "store_meta",
        sa.Column("store_id", sa.Text, nullable=False),
        sa.Column("identity_key", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("store_id", name="pk_store_meta"),
    )
    op.create_table(
        "banks",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("radius_bits", sa.SmallInteger, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_banks"),
        sa.CheckConstraint("radius_bits BETWEEN 0 AND 63", name=op.f("ck_banks_radius")),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_banks_name", "banks", ["name"], unique=True)
    op.create_table(
        "revisions",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("bank_id", BIG_ID, nullable=True),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revisions"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_revisions_bank_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "entries",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("bank_id", BIG_ID, nullable=False),
        sa.Column("identity", sa.LargeBinary, nullable=False),
        sa.Column("pdqs", sa.LargeBinary, nullable=True),
        sa.Column("sha256", sa.LargeBinary, nullable=True),
        sa.Column("md5", sa.LargeBinary, nullable=True),
        sa.Column("quality", sa.SmallInteger, nullable=True),
        sa.Column("trust", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_entries_bank_id"),
        sa.CheckConstraint(
            "trust = 'unverified' OR trust = 'confirmed' OR trust = 'disputed'",
            name=op.f("ck_entries_trust"),
        ),
        sa.CheckConstraint(
            "state = 'active' OR state = 'tombstoned' OR state = 'withdrawn' OR state = 'expired'",
            name=op.f("ck_entries_state"),
        ),
        sa.CheckConstraint(
            "state = 'active' OR state = 'tombstoned'"
            " OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = '')",
            name=op.f("ck_entries_erased"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_entries_bank_identity", "entries", ["bank_id", "identity"], unique=True)
    op.create_index("ix_entries_bank", "entries", ["bank_id", "id"])
    op.create_index("ix_entries_revision", "entries", ["revision", "id"])
    op.create_index(
        "ix_entries_expires",
        "entries",
        ["state", "expires"],
        sqlite_where=sa.text("expires IS NOT NULL"),
        postgresql_where=sa.text("expires IS NOT NULL"),
    )
