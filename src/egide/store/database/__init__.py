"""Databases: one interface for SQLite and PostgreSQL, opening a store, and erasure."""
