"""The stores that the contract is checked on; PostgreSQL joins them with its own URL."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from egide.store import Store


@pytest.fixture(params=["sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open the test's store, each time with connections of its own, as another process would."""
    opened: list[Store] = []

    def open_it() -> Store:
        store = Store.open(f"sqlite:///{tmp_path}/egide.db", create=True, busy_timeout_s=0.2)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """A new store with an empty bank `helpline`."""
    store = open_store()
    store.create_bank("helpline")
    return store
