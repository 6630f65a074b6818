"""One defect a class, for test_testing.py, beside the source of docs/reference/testing.md."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from json_lines import JsonLinesSource
from numpy.typing import NDArray
from test_json_lines import TestJsonLines

from egide.auditing.sources import Item, Shard, Source
from egide.domain.model import Limits
from egide.errors import SourceError
from egide.index.kernel import Hits
from egide.index.reference import Reference
from egide.store.database.interface import Database
from egide.store.database.opening import parse_url
from egide.store.database.sqlite import SqliteDatabase
from egide.testing import DatabaseContract, KernelContract


class Silent(JsonLinesSource):
    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item]:
        with suppress(SourceError):
            yield from JsonLinesSource.read(shard, limits)


class TestSilent(TestJsonLines):
    def open(self, path: Path) -> Source:
        return Silent(str(path), str(path))


class Greedy(JsonLinesSource):
    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item]:
        yield from list(JsonLinesSource.read(shard, limits))


class TestGreedy(TestJsonLines):
    def open(self, path: Path) -> Source:
        return Greedy(str(path), str(path))


class Remembering(JsonLinesSource):
    planned = False

    def shards(self) -> Iterator[Shard]:
        Remembering.planned = True
        yield from super().shards()

    @staticmethod
    def read(shard: Shard, limits: Limits) -> Iterator[Item]:
        if Remembering.planned:
            yield from JsonLinesSource.read(shard, limits)


class TestRemembering(TestJsonLines):
    def open(self, path: Path) -> Source:
        return Remembering(str(path), str(path))


class TestShortsighted(KernelContract):
    def build(self, codes: NDArray[np.uint8]) -> Reference:
        class Shortsighted(Reference):
            def search(self, queries: NDArray[np.uint8], radius_bits: int) -> Hits:
                return super().search(queries, max(radius_bits - 1, 0))

        return Shortsighted(codes)


class TestForgetful(DatabaseContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def connect(self, busy_timeout_s: float) -> Database:
        class Forgetful(SqliteDatabase):
            def forget_erased(self) -> bool:
                return True

        url = parse_url(f"sqlite:///{self.folder}/egide.db")
        return Forgetful(url, busy_timeout_s=busy_timeout_s)

    def copies_of(self, value: bytes) -> int:
        return sum(path.read_bytes().count(value) for path in self.folder.iterdir())
