"""Banks that programs keep through HMA, and what these say of content."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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
    _widen(op.get_bind())


def _widen(connection: sa.Connection) -> None:
    """Let a key have the new role."""
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_keys_role"), "keys", type_="check")
        op.create_check_constraint(op.f("ck_keys_role"), "keys", _NEW)
        return
    # The table's text is replaced in place, as in 0005: other tables refer to this one.
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    done = connection.execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :old, :new)"
            " WHERE type = 'table' AND name = 'keys' AND instr(sql, :old) > 0"
        ),
        {"old": _OLD, "new": _NEW},
    )
    if done.rowcount != 1:
        raise AssertionError("the table of keys differs from the earlier versions'")
    connection.execute(sa.text(f"PRAGMA schema_version = {int(version) + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
