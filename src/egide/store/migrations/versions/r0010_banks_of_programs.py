"""Banks that programs keep through HMA, and what these say of content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from egide.store.migrations.checks import replace_check

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OLD = "role IN ('matcher', 'partner', 'curator', 'moderator', 'admin')"
_NEW = "role IN ('matcher', 'partner', 'curator', 'moderator', 'admin', 'keeper')"


def upgrade() -> None:
    """Bring the tables to this version; no bank of before is a program's."""
    for column in (
        sa.Column("kept", sa.Boolean(create_constraint=False), nullable=False,
                  server_default=sa.false()),
        sa.Column("enabled_ratio", sa.Float, nullable=False, server_default=sa.text("1")),
    ):  # fmt: skip
        op.add_column("banks", column)
    op.create_table(
        "former_names",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("bank_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_former_names"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_former_names_bank_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "details",
        sa.Column("entry_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_details"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_details_entry_id"),
    )
    replace_check("keys", "ck_keys_role", old=_OLD, new=_NEW)
