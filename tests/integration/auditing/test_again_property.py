"""A second audit of kept fingerprints finds what a full one finds, whatever the register became."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from test_kept_fingerprints import told

import egide
from audits import tables
from egide.auditing import again
from egide.auditing.executors.base import Done, Job, Setup, Tick
from egide.auditing.executors.worker import run_job, searching
from egide.auditing.kept_files import write_rows
from egide.auditing.shards import ShardWork
from egide.auditing.sources import Item
from egide.auditing.sources.kept_rows import KeptRow
from egide.auditing.sources.kept_source import KEPT_SCHEMA
from egide.domain.coverage import Gap, GapKind
from egide.domain.model import (
    AnchoredHashes,
    BankKind,
    Fingerprint,
    Pdq,
    Rectangle,
    Region,
    Registration,
)
from egide.index import few, reference
from egide.store.changing import ChangingStore
from search_data import moved, region_codes, shown
from store_samples import copy_store

CODES = region_codes(40, seed=5)
MOST = 12
"""Pictures of the dataset; each is near a code, or between two."""


class InProcess:
    """Does the jobs in this process: a thousand audits start no thousand workers."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def run(self, jobs: Iterator[Job]) -> Iterator[Done | Tick]:
        work = ShardWork.from_json(self.setup.settings["work"])
        with searching(self.setup.settings["search"], keypoints=False) as opened:
            for job in jobs:
                values = {
                    "id": job.id, "kept_id": job.kept_id, "before_id": job.before_id,
                    "shard": job.shard.to_json(), "poisoned": {}, "stop_at": None,
                }  # fmt: skip
                assert run_job(values, work, opened, lambda _number, _bytes: None) == {"done": True}
                yield Done(job)


def audit(source: str, store: egide.Store, out: Path, **options: Any) -> dict[str, Any]:
    return audit_all([source], store, out, **options)


def audit_all(sources: list[str], store: egide.Store, out: Path, **options: Any) -> dict[str, Any]:
    running = egide.audit(sources, store, out=out, executor=InProcess, **options)
    for _ in running:
        pass
    assert running.summary is not None
    return told(running.summary)


def made_up(path: Path) -> str:
    """A dataset that never was: fingerprints of all kinds, and things that have none."""
    rows = []
    for number in range(MOST):
        item = Item(f"{number}.jpg", b"", None, number)
        variants = b"".join(CODES[(number + at) % 40] if at < 2 else CODES[39] for at in range(8))
        code = Pdq(variants[:32], 80, variants)
        place = Rectangle(0, 0, 9, 9)
        print_ = Fingerprint(
            (code,),
            sha256=bytes([number]) * 32,
            regions=(Region(0, place, Pdq(CODES[20 + number], 70), trimmed=False),)
            if number % 3 == 0
            else (),
            anchored=shown(*CODES[number : number + 3]),
        )
        rows.append(KeptRow(number, item, print_))
    gap = Gap(GapKind.ITEM, f"{MOST}.jpg", "decode-failed", "why")
    rows.append(KeptRow(MOST, gap))
    head = {"schema_version": KEPT_SCHEMA, "others": {".txt": 2}, "columns": []}
    write_rows(path, rows, "a.tar", head)
    return str(path)


_number = st.integers(0, 39)
_distance = st.sampled_from([0, 0, 9, 30, 31, 32, 45])
_bank = st.sampled_from(["one", "two", "harmless"])
_steps = st.one_of(
    st.tuples(st.just("register"), _bank, _number, _distance, st.booleans()),
    st.tuples(st.sampled_from(["withdraw", "confirm", "dispute", "tombstone"]), _bank, _number),
    st.tuples(st.just("radius"), _bank, st.sampled_from([0, 20, 31, 50])),
    st.tuples(st.just("enabled"), _bank, st.booleans()),
    st.sampled_from([("later",), ("expire",)]),
    st.just(("audit",)),
)


class Clock(datetime):
    """The time of an audit, which a step may move on by an hour."""

    at = datetime(2030, 1, 1, tzinfo=UTC)

    @classmethod
    def now(cls, _zone: Any = None) -> Any:
        return cls.at


def change(changing: ChangingStore, store: egide.Store, step: tuple[Any, ...]) -> None:
    kind, *values = step
    if kind == "register":
        bank, number, distance, soon = values
        one = Registration(
            (moved(CODES[number], distance, seed=number),),
            sha256=bytes([number]) * 32 if distance == 9 else None,
            source=f"{number} {distance} {soon}",
            expires=Clock.at + timedelta(minutes=30) if soon else None,
            anchored=AnchoredHashes.of(CODES[number : number + 2]) if number < 30 else None,
        )
        changing.entries.register(bank, [one])
    elif kind in {"withdraw", "confirm", "dispute", "tombstone"}:
        bank, number = values
        ids = [entry.id for entry in store.entries.list(bank) if entry.state == "active"]
        if ids:
            getattr(changing.entries, kind)(bank, [ids[number % len(ids)]])
    elif kind == "radius":
        egide.update_bank(store, values[0], radius_bits=values[1])
    elif kind == "enabled":
        egide.update_bank(store, values[0], enabled=values[1])
    elif kind == "later":
        Clock.at += timedelta(hours=1)
    elif kind == "expire":
        changing.entries.expire(Clock.at)


@pytest.mark.parametrize("thorough", [False, True])
@settings(
    max_examples=8,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example takes seconds
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(_steps, min_size=4, max_size=12))
def test_after_any_change_of_the_register_it_finds_what_a_full_audit_finds(
    registered_once: Path, thorough: bool, steps: list[tuple[Any, ...]]
) -> None:
    carried = 0
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        carry = again.carry_over

        def counting(*args: Any, **options: Any) -> bool:
            nonlocal carried
            done = carry(*args, **options)
            carried += done
            return done

        patch.setattr("egide.auditing.shards.carry_over", counting)
        patch.setattr("egide.auditing.progress.datetime", Clock)
        base = Path(folder)
        copy_store(registered_once / "egide.db", base / "egide.db")
        source = made_up(base / "set.parquet")
        with egide.open_store(f"sqlite:///{base}/egide.db") as store:
            changing = ChangingStore.of(store)
            for name in ("one", "two"):
                egide.create_bank(store, name)
            egide.create_bank(store, "harmless", kind=BankKind.NEGATIVE)
            audit(source, store, base / "kept", thorough=thorough)
            audits = 0
            for step in [*steps, ("audit",)]:
                change(changing, store, step)
                if step[0] == "audit":
                    audits += 1
                    found = audit(source, store, base / "kept", thorough=thorough)
                    full = audit(source, store, base / f"full {audits}", thorough=thorough)
                    assert found == full
                    assert tables(base / "kept") == tables(base / f"full {audits}")
            assert not (carried and thorough)  # there, what is near depends on all entries


class Killed(BaseException):
    """The process ends here: nothing that follows changes a file."""


def test_killed_at_any_change_and_run_again_it_ends_the_same(
    registered_once: Path, tmp_path: Path
) -> None:
    copy_store(registered_once / "egide.db", tmp_path / "egide.db")
    sources = [made_up(tmp_path / "set.parquet"), made_up(tmp_path / "other.parquet")]
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db") as store:
        changing = ChangingStore.of(store)
        egide.create_bank(store, "one")
        change(changing, store, ("register", "one", 3, 0, False))
        audit_all(sources, store, tmp_path / "kept")
        change(changing, store, ("register", "one", 7, 9, False))
        change(changing, store, ("withdraw", "one", 0))
        whole = audit_all(sources, store, tmp_path / "whole")
        for changes in range(100):
            out = Path(shutil.copytree(tmp_path / "kept", tmp_path / f"killed {changes}"))
            with pytest.MonkeyPatch.context() as patch:
                left = [changes]
                for name in ("replace", "link", "unlink"):
                    _allow(patch, name, left)
                try:
                    audit_all(sources, store, out)
                except Killed:
                    pass
                else:
                    break
            assert audit_all(sources, store, out) == whole
            assert tables(out) == tables(tmp_path / "whole")
        assert changes > 10


def _allow(patch: pytest.MonkeyPatch, name: str, left: list[int]) -> None:
    """Let so many changes of files be made, and none after them."""
    change_file = getattr(os, name)

    def counted(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        return change_file(*args, **options)

    patch.setattr(os, name, counted)


@given(
    st.integers(0, 3),
    st.integers(0, 63),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 70)), max_size=9),
)
def test_few_codes_are_near_what_the_reference_says(
    count: int, radius: int, asked: list[tuple[int, int]]
) -> None:
    codes = np.frombuffer(b"".join(CODES[:count]), np.uint8).reshape(-1, 32)
    queries = np.frombuffer(
        b"".join(moved(CODES[at], apart) for at, apart in asked), np.uint8
    ).reshape(-1, 32)
    wanted = np.zeros(len(queries), np.bool_)
    wanted[reference.search(codes, queries, radius).query] = True
    assert (few.FewCodes(codes, radius).any_near(queries) == wanted).all()
