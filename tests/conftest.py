"""What all tests can ask for."""

from postgres import postgres_server, postgres_store_url, postgres_url, shared_postgres_store

__all__ = ["postgres_server", "postgres_store_url", "postgres_url", "shared_postgres_store"]
