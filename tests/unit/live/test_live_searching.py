"""Use cases where something outside goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import egide
from egide.errors import SnapshotNotRemoved
from egide.live.snapshots import open_snapshot, snapshot_path
from egide.store.changing import ChangingStore


def test_a_withdrawal_says_so_when_the_snapshot_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")
        ChangingStore.of(store).entries.register(
            "b", [egide.Registration(pdqs=(bytes(range(32)),))]
        )
        open_snapshot(store).close()

        def deny(_path: Path, missing_ok: bool = False) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "unlink", deny)
        with pytest.raises(SnapshotNotRemoved, match="still holds erased fingerprints"):
            egide.withdraw(store, "b", [1])
        assert store.entries.get("b", 1).state is egide.State.WITHDRAWN


@pytest.mark.parametrize("suffix", ["part", "tmp"])  # of this version, and of earlier ones
def test_a_killed_build_leaves_nothing_after_a_withdrawal(tmp_path: Path, suffix: str) -> None:
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")
        ChangingStore.of(store).entries.register(
            "b", [egide.Registration(pdqs=(bytes(range(32)),))]
        )
        path = snapshot_path(store)
        left = path.with_name(f".{path.name}.abc.{suffix}")
        left.write_bytes(b"half a snapshot")
        egide.withdraw(store, "b", [1])
        assert not left.exists()


def test_an_import_takes_the_source_it_is_told(tmp_path: Path) -> None:
    import io

    code = "0c301eb1b9606a686987ff696b870c719964af60f769e04efe6df387483a0cb1"
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        ChangingStore.of(store).banks.create("b")
        for source, expected in ((None, "list.txt"), ("partner", "partner")):
            report = egide.import_hashes(
                store, "b", io.BytesIO(code.encode()), name="list.txt", source=source
            )
            assert report.added == 1
            assert expected in {entry.source for entry in store.entries.list("b")}
