"""SHA-1 of files, digests of addresses, and banks of a kind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from egide.store.migrations.checks import replace_check

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
    # The database itself refuses these digests, too, on an entry that is not active.
    replace_check("entries", "ck_entries_erased", old=_OLD, new=_NEW)
