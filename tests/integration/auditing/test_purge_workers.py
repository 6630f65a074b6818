"""Purges by several workers: what comes of them is what comes of one process, whoever is killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import egide
from egide.auditing.executors.base import Job
from egide.auditing.executors.local import LocalExecutor
from egide.auditing.purge.target import Target
from egide.errors import TargetNotShared
from purging import compare_purges


class LosingExecutor(LocalExecutor):
    """Every worker is killed once, with the first container that it was given."""

    killed = 0

    def _hand_out(self, jobs: Iterator[Job], waiting: list[Job]) -> None:
        super()._hand_out(jobs, waiting)
        for worker in self._workers:
            if worker.job is not None and self.killed < 2:
                self.killed += 1
                worker._process.kill()


def test_workers_make_what_one_process_makes(store: egide.Store, tmp_path: Path) -> None:
    egide.confirm(store, "helpline", [1, 2, 3])
    compare_purges(store, tmp_path, LosingExecutor)


def test_target_that_a_node_does_not_share_is_refused(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    target = Target(str(tmp_path / "clean"), tmp_path)
    with target.shown() as shown:
        target.require_shared(shown)
        shutil.move(shown, tmp_path / "elsewhere")
        with pytest.raises(TargetNotShared):
            target.require_shared(shown)
