"""Keys, approvals, partner registers, webhooks, feedback, and the log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None
BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Bring the tables to this version; existing rows are not rewritten."""
    op.create_table(
        "log",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(48), nullable=False),
        sa.Column("bank", sa.Text, nullable=True),
        sa.Column("revision", sa.BigInteger, nullable=True),
        sa.Column("subjects", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_log"),
    )
    op.create_index("ix_log_revision", "log", ["revision"])
    op.create_table(
        "keys",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("handle", sa.String(16), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("all_banks", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("per_second", sa.Integer, nullable=False),
        sa.Column("per_day", sa.BigInteger, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=True),
        sa.Column("revoked", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.CheckConstraint(
            "role IN ('matcher', 'partner', 'curator', 'moderator', 'admin')",
            name=op.f("ck_keys_role"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_keys_handle", "keys", ["handle"], unique=True)
    op.create_index("uq_keys_name", "keys", ["name"], unique=True)
    op.create_table(
        "key_banks",
        sa.Column("key_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("bank_id", BIG_ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "bank_id", name="pk_key_banks"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_banks_key_id"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_key_banks_bank_id"),
    )
    op.create_table(
        "key_usage",
        sa.Column("key_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "day", name="pk_key_usage"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_usage_key_id"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("action", sa.String(48), nullable=False),
        sa.Column("bank", sa.Text, nullable=True),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("requested_holder", sa.Text, nullable=False),
        sa.Column("decided", sa.BigInteger, nullable=True),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("decided_holder", sa.Text, nullable=True),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'refused', 'used')", name=op.f("ck_approvals_state")
        ),
        sa.CheckConstraint(
            "decided_holder IS NULL OR decided_holder <> requested_holder",
            name=op.f("ck_approvals_two_people"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_approvals_state", "approvals", ["state", "id"])
    op.create_table(
        "idempotency",
        sa.Column("key_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, autoincrement=False, nullable=False),
        sa.Column("request_digest", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=True),
        sa.Column("response", sa.Text, nullable=True),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "token_hash", name="pk_idempotency"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_idempotency_key_id"),
    )
    op.create_index("ix_idempotency_created", "idempotency", ["created"])
    op.create_table(
        "feedback",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("partner", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_feedback_entry_id"),
        sa.CheckConstraint(
            "kind IN ('matched', 'removed', 'declined', 'false-positive')",
            name=op.f("ck_feedback_kind"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_feedback_entry", "feedback", ["entry_id", "id"])
    op.create_table(
        "upstreams",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("key_file", sa.Text, nullable=False),
        sa.Column("remote_bank", sa.String(64), nullable=False),
        sa.Column("bank_id", BIG_ID, nullable=False),
        sa.Column("trust_map", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("remote_store_id", sa.Text, nullable=True),
        sa.Column("cursor_revision", sa.BigInteger, nullable=False),
        sa.Column("cursor_entry", sa.BigInteger, nullable=False),
        sa.Column("ended_revision", sa.BigInteger, nullable=False),
        sa.Column("ended_entry", sa.BigInteger, nullable=False),
        sa.Column("feedback_sent", sa.BigInteger, nullable=False),
        sa.Column("last_try", sa.BigInteger, nullable=True),
        sa.Column("last_success", sa.BigInteger, nullable=True),
        sa.Column("last_error", sa.String(48), nullable=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("leased_by", sa.String(36), nullable=True),
        sa.Column("leased_until", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_upstreams"),
        sa.ForeignKeyConstraint(["bank_id"], ["banks.id"], name="fk_upstreams_bank_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_upstreams_name", "upstreams", ["name"], unique=True)
    op.create_table(
        "upstream_entries",
        sa.Column("upstream_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("remote_entry", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("entry_id", BIG_ID, nullable=False),
        sa.Column("trust", sa.String(16), nullable=False),
        sa.Column("ended", sa.Boolean(create_constraint=False), nullable=False),
        sa.PrimaryKeyConstraint("upstream_id", "remote_entry", name="pk_upstream_entries"),
        sa.ForeignKeyConstraint(
            ["upstream_id"], ["upstreams.id"], name="fk_upstream_entries_upstream_id"
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_upstream_entries_entry_id"),
    )
    op.create_index("ix_upstream_entries_entry", "upstream_entries", ["entry_id"])
    op.create_table(
        "webhooks",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sqlite_autoincrement=True,
    )
    op.create_index("uq_webhooks_name", "webhooks", ["name"], unique=True)
    op.create_table(
        "outbox",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("webhook_id", BIG_ID, nullable=False),
        sa.Column("message_id", sa.String(48), nullable=False),
        sa.Column("event", sa.String(48), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.SmallInteger, nullable=False),
        sa.Column("last_status", sa.SmallInteger, nullable=True),
        sa.Column("last_error", sa.String(48), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="fk_outbox_webhook_id"),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'dead')", name=op.f("ck_outbox_state")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_at"])
