"""SHA-1 of files, digests of addresses, and banks of a kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
_OLD = "state = 'active' OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = '')"
_NEW = (
    "state = 'active' OR (pdqs IS NULL AND sha256 IS NULL AND md5 IS NULL AND note = ''"
    " AND sha1 IS NULL AND url_sha256 IS NULL AND url_md5 IS NULL)"
)


def upgrade() -> None:
    """Bring the tables to this version; no entry has any of the new digests yet."""
    for name in ("sha1", "url_sha256", "url_md5"):
        op.add_column("entries", sa.Column(name, sa.LargeBinary, nullable=True))
    op.add_column(
        "banks",
        sa.Column("kind", sa.String(16), nullable=False, server_default=sa.text("'positive'")),
    )
    _tighten(op.get_bind())


def _tighten(connection: sa.Connection) -> None:
    """Make the database itself refuse these digests, too, on an entry that is not active."""
    if connection.dialect.name != "sqlite":
        op.drop_constraint(op.f("ck_entries_erased"), "entries", type_="check")
        op.create_check_constraint(op.f("ck_entries_erased"), "entries", _NEW)
        return
    # In place, as in 0005: no row changes its format.
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
        raise AssertionError("the table of entries differs from the version before")
    connection.execute(sa.text(f"PRAGMA schema_version = {int(version) + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
