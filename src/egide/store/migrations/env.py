"""Run migrations on the connection, and in the transaction, that `egide.store` hands over."""

from __future__ import annotations

from alembic import context

from egide.store.tables.register import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
