"""Anchored hashes of entries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; entries get anchored hashes when registered again."""
    op.create_table(
        "anchored",
        sa.Column("entry_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("codes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_anchored"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_anchored_entry_id"),
    )
