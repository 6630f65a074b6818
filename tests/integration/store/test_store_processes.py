"""Several processes and one store."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from egide.errors import StoreLocked
from egide.store.changing import ChangingStore as Store
from store_processes import (
    create_and_register,
    die_in_mid_registration,
    registration,
    write_and_wait,
)

spawn = multiprocessing.get_context("spawn")
CALLS = 40


def new_store(tmp_path: Path, busy_timeout_s: float = 10.0) -> Store:
    url = f"sqlite:///{tmp_path}/egide.db"
    store = Store.open(url, create=True, busy_timeout_s=busy_timeout_s)
    store.banks.create("helpline")
    return store


def test_two_processes_create_one_store_and_register_side_by_side(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    ready = spawn.Barrier(2)
    workers = [
        spawn.Process(target=create_and_register, args=(url, source, CALLS, ready))
        for source in "ab"
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    with Store.open(url) as store:
        entries = list(store.entries.changes(0))
        assert store.revision() == 1 + 2 * CALLS
        assert [entry.revision for entry in entries] == list(range(2, 2 + 2 * CALLS))
        assert sorted(entry.source for entry in entries) == ["a"] * CALLS + ["b"] * CALLS


def test_a_store_that_another_process_writes_can_be_read_but_not_written(tmp_path: Path) -> None:
    with new_store(tmp_path, busy_timeout_s=0.1) as store:
        store.entries.register("helpline", [registration(1)])
        writing, finish = spawn.Event(), spawn.Event()
        other = spawn.Process(target=write_and_wait, args=(store.url, writing, finish))
        other.start()
        try:
            assert writing.wait(30)
            assert len(list(store.entries.list("helpline"))) == 1
            before = store.revision()
            with pytest.raises(StoreLocked, match="locked by another process"):
                store.entries.withdraw("helpline", [1])
            assert store.revision() == before
        finally:
            finish.set()
            other.join(30)
        assert other.exitcode == 0
        assert len(list(store.entries.list("helpline"))) == 2
        store.entries.withdraw("helpline", [1])


def test_a_killed_import_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    with new_store(tmp_path) as store:
        store.entries.register("helpline", [registration(-1)])
        before = store.revision()
        writing = spawn.Event()
        other = spawn.Process(target=die_in_mid_registration, args=(store.url, writing))
        other.start()
        assert writing.wait(60)
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)
        other.join(30)
        assert store.revision() == before
        assert len(list(store.entries.list("helpline"))) == 1
        assert store.entries.register("helpline", [registration(0)]).added == 1
