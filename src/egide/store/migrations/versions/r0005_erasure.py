"""Erased data that is still in some file; false positives lose their fingerprints."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

from egide.store.migrations.checks import replace_check

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
    # The database itself refuses a fingerprint on an entry that is not active.
    replace_check("entries", "ck_entries_erased", old=_OLD, new=_NEW)
