"""Sealed keypoints of entries; the number of an entry's codes for frames without borders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; no entry is rewritten."""
    op.add_column(
        "entries",
        sa.Column("trimmed", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
    )
    op.create_table(
        "patches",
        sa.Column("entry_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("key_id", sa.LargeBinary, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_patches"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_patches_entry_id"),
    )
    op.create_index("ix_patches_key", "patches", ["key_id", "entry_id"])
