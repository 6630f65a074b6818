"""Databases: the seam that SQLite and PostgreSQL fill, opening, copying and forgetting."""
