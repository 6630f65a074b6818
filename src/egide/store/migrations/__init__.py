"""Alembic migrations of the store, shipped with the package. There are no downgrades."""
