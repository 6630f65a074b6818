"""A purge is killed at any of its changes: nothing is lost, and the same call goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import egide
from purging import audited, photos, samples, table_of, tar_of


@pytest.mark.parametrize(
    ("step", "workers"),
    [
        (31, 1),
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(7, 2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(1800)  # of every change: some minutes on a busy machine
def test_purge_killed_at_any_change_loses_nothing(
    store: egide.Store, tmp_path: Path, step: int, workers: int
) -> None:
    egide.confirm(store, "helpline", [1, 2])
    made = tmp_path / "set"
    made.mkdir()
    for number in (0, 4):
        (made / f"{number}.jpg").write_bytes(photos()[number])
        (made / f"{number}.txt").write_text(f"caption {number}")
    (made / "metadata.jsonl").write_text('{"file_name": "0.jpg"}\n{"file_name": "4.jpg"}\n')
    (made / "shard.tar").write_bytes(tar_of(samples([4, 1])))
    pq.write_table(table_of([0, 4]), made / "train.parquet")
    audit = audited([made], store, tmp_path / "audit")
    program = Path(__file__).parents[2] / "support" / "killed_purges.py"
    done = subprocess.run(
        [sys.executable, program, audit, made, str(step), str(workers)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 60 / step, done.stdout
