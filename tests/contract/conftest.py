"""The stores that the contract is checked on, each test on both databases."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egide.store.changing import ChangingStore as Store


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store; on SQLite, opening makes it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/egide.db"
    url: str = request.getfixturevalue("postgres_store_url")
    return url


@pytest.fixture
def open_store(store_url: str) -> Iterator[Callable[[], Store]]:
    """Open the test's store, each time with connections of its own, as another process would."""
    opened: list[Store] = []

    def open_it() -> Store:
        store = Store.open(store_url, create=True)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """A new store with an empty bank `helpline`."""
    store = open_store()
    store.banks.create("helpline")
    return store
