"""When the frames of a registered video are seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; no entry of before is a video."""
    op.create_table(
        "videos",
        sa.Column("entry_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("times", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_videos"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_videos_entry_id"),
        sa.CheckConstraint("duration_ms >= 0", name=op.f("ck_videos_duration")),
    )
