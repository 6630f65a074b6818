"""Paths of possible search snapshots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; snapshots in the default places need no row."""
    op.create_table(
        "snapshot_files",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_snapshot_files"),
        sqlite_autoincrement=True,
    )
