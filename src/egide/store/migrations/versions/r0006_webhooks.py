"""The result of the last message to a webhook."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this version; results of earlier messages are unknown."""
    for column in (
        sa.Column("last_try", sa.BigInteger, nullable=True),
        sa.Column("last_success", sa.BigInteger, nullable=True),
        sa.Column("last_status", sa.SmallInteger, nullable=True),
        sa.Column("last_error", sa.String(48), nullable=True),
        sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("webhooks", column)
