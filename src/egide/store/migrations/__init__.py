"""Alembic migrations of the store, shipped with the package. There is no way down."""
