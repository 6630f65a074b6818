"""What every database does, of those that a store can be in."""

from pathlib import Path

import pytest

from egide.store.database.interface import Database
from egide.store.database.opening import connect
from egide.testing import DatabaseContract
from postgres_fixtures import PostgresServer


class TestSqlite(DatabaseContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def connect(self, busy_timeout_s: float) -> Database:
        return connect(f"sqlite:///{self.folder}/egide.db", busy_timeout_s=busy_timeout_s)

    def copies_of(self, value: bytes) -> int:
        return sum(path.read_bytes().count(value) for path in self.folder.iterdir())


class TestPostgresql(DatabaseContract):
    @pytest.fixture(autouse=True)
    def place(self, postgres_store_url: str, postgres_server: PostgresServer) -> None:
        self.url, self.server = postgres_store_url, postgres_server

    def connect(self, busy_timeout_s: float) -> Database:
        return connect(self.url, busy_timeout_s=busy_timeout_s)

    def copies_of(self, value: bytes) -> int:
        """Row versions by way of pageinspect; the unused middle of a page is not promised."""
        database = self.url.rpartition("/")[2]
        self.server.execute("CREATE EXTENSION IF NOT EXISTS pageinspect", database)
        query = (
            "SELECT count(*)"
            " FROM generate_series(0, pg_relation_size('entries') / 8192 - 1) AS page,"
            " heap_page_items(get_raw_page('entries', page::int)) AS item"
            f" WHERE position('\\x{value.hex()}'::bytea in item.t_data) > 0"
        )
        (found,) = self.server.execute(query, database)[0]
        assert isinstance(found, int)
        return found
