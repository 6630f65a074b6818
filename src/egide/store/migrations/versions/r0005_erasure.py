"""Erased data that is still in some file; false positives lose their fingerprints."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OLD = (
    "state = 'active' OR state = 'tombstoned'"
    " OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = '')"
)
_NEW = "state = 'active' OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = '')"


def upgrade() -> None:
    """Bring the tables to this version, and erase the fingerprints of false positives."""
    zero = sa.text("0")
    for column in (
        sa.Column("erased_revision", sa.BigInteger, nullable=False, server_default=zero),
        sa.Column("erasure_pending_since", sa.BigInteger, nullable=True),
        sa.Column("erasures", sa.BigInteger, nullable=False, server_default=zero),
    ):
        op.add_column("store_meta", column)
    op.create_table(
        "unfinished_files",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_unfinished_files"),
        sqlite_autoincrement=True,
    )
    connection = op.get_bind()
    connection.execute(
        sa.text(
            "UPDATE entries SET pdqs = NULL, trimmed = 0, sha256 = NULL, md5 = NULL, note = ''"
            " WHERE state = 'tombstoned'"
        )
    )
    # In any case: an earlier Egide may have left erased data in the files.
    last = connection.execute(sa.text("SELECT max(id) FROM revisions")).scalar()
    connection.execute(
        sa.text("UPDATE store_meta SET erased_revision = :revision, erasure_pending_since = :now"),
        {"revision": last or 0, "now": int(time.time())},
    )
    _tighten(connection)


def _tighten(connection: sa.Connection) -> None:
    """Make the database itself refuse a fingerprint on an entry that is not active."""
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_entries_erased"), "entries", type_="check")
        op.create_check_constraint(op.f("ck_entries_erased"), "entries", _NEW)
        return
    # No row changes its format, so the table's text may be replaced in place; copying ten million
    # rows took minutes. Source: https://www.sqlite.org/lang_altertable.html, section 7.
    version = connection.execute(sa.text("PRAGMA schema_version")).scalar_one()
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    done = connection.execute(
        sa.text(
            "UPDATE sqlite_master SET sql = replace(sql, :old, :new)"
            " WHERE type = 'table' AND name = 'entries' AND instr(sql, :old) > 0"
        ),
        {"old": _OLD, "new": _NEW},
    )
    if done.rowcount != 1:
        raise AssertionError("the table of entries differs from the first version's")
    connection.execute(sa.text(f"PRAGMA schema_version = {int(version) + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
