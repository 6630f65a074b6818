"""The snapshot file: what is put in is found, and what is damaged is refused."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import struct
import tempfile
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from egide.domain.model import AnchoredHashes, Signal, State
from egide.errors import (
    EgideError,
    SnapshotDamaged,
    SnapshotError,
    SnapshotMissing,
    SnapshotUnwritable,
    SnapshotVersion,
)
from egide.index import container
from egide.index import multi_index as mih
from egide.index.snapshot import Snapshot, SnapshotBank
from egide.index.snapshot_build import build_snapshot
from egide.testing import SearchedContract
from egide.testing.kernels import as_tuples, flip_bits, random_codes
from search_data import NOW, bank, entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from egide.domain.model import Bank, Entry
    from egide.index.searched import Searched


def build(
    path: Path, entries: Iterable[Entry], banks: Iterable[Bank] = (bank(),), **options: Any
) -> Path:
    build_snapshot(
        path,
        store_id="store-1",
        revision=7,
        banks=tuple(banks),
        entries=entries,
        created=NOW,
        **options,
    )
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "egide.snapshot"


@pytest.fixture
def filled(path: Path) -> Path:
    """40 entries with band lists, a SHA-256, an MD5 and an anchored code each."""
    return build(
        path,
        (
            replace(
                entry(100 + number, code.tobytes(), sha256=bytes([number]) * 32, md5=bytes(16)),
                anchored=AnchoredHashes.kept(code.tobytes(), 1),
            )
            for number, code in enumerate(random_codes(40))
        ),
        min_indexed_rows=1,
    )


class TestSnapshot(SearchedContract):
    def build(self, entries: Sequence[Entry], banks: Sequence[Bank], folder: Path) -> Searched:
        return Snapshot.open(build(folder / "s.snapshot", entries, banks))


class TestIndexedSnapshot(SearchedContract):
    def build(self, entries: Sequence[Entry], banks: Sequence[Bank], folder: Path) -> Searched:
        path = build(folder / "s.snapshot", entries, banks, min_indexed_rows=1)
        return Snapshot.open(path, verify=True)


def test_what_was_built_is_what_is_opened(path: Path) -> None:
    banks = [bank(), bank("other", 5, 20, enabled=False)]
    with Snapshot.open(build(path, [entry(3, bytes(32))], banks)) as snapshot:
        assert snapshot.path == path
        assert (snapshot.store_id, snapshot.revision, snapshot.created) == ("store-1", 7, NOW)
        assert snapshot.banks == (
            SnapshotBank(1, "helpline", 31, True),
            SnapshotBank(5, "other", 20, False),
        )
        assert (snapshot.row_count, snapshot.entry_count) == (1, 1)
        assert snapshot.signals_held(snapshot.banks) == {Signal.PDQ}
        assert not snapshot.signals_held(snapshot.banks[1:])


@pytest.mark.parametrize("min_indexed_rows", [1, 1000])
@pytest.mark.parametrize("copies", [1, 2])
def test_one_hash_or_one_hash_twice_still_matches_after_loading(
    path: Path, copies: int, min_indexed_rows: int
) -> None:
    """Peer defect 5: threatexchange's index matches nothing then."""
    code = random_codes(1)
    entries = [entry(number, code.tobytes()) for number in range(copies)]
    build(path, entries, min_indexed_rows=min_indexed_rows)
    with Snapshot.open(path, verify=True) as snapshot:
        hits = snapshot.search(flip_bits(code, [31]), 31)
        assert as_tuples(hits) == [(0, 31, row) for row in range(copies)]


def test_an_entry_that_is_not_active_is_left_out(path: Path) -> None:
    entries = [
        entry(number, bytes(32), sha256=bytes(32), state=state)
        for number, state in enumerate(State)
    ]
    with Snapshot.open(build(path, entries)) as snapshot:
        assert snapshot.entries.id.tolist() == [list(State).index(State.ACTIVE)]
        assert snapshot.digest_count(Signal.SHA256) == 1


def test_an_entry_of_an_unknown_bank_stops_the_build(path: Path) -> None:
    with pytest.raises(SnapshotError, match="unknown bank"):
        build(path, [entry(1, bytes(32), bank="elsewhere")])
    assert not path.exists()


@pytest.mark.parametrize(
    "values", [{"pdqs": bytes(31)}, {"sha256": bytes(16)}, {"md5": bytes(32)}], ids=str
)
def test_a_fingerprint_of_a_wrong_length_stops_the_build(
    path: Path, values: dict[str, bytes]
) -> None:
    codes = [values["pdqs"]] if "pdqs" in values else []
    digests = {name: value for name, value in values.items() if name != "pdqs"}
    with pytest.raises(SnapshotError, match="entry 5 has a fingerprint of"):
        build(path, [entry(5, *codes, **digests)])
    assert not path.exists()


def test_a_copy_elsewhere_gives_the_same_answers(filled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copy(filled, copy)
    filled.unlink()
    codes = random_codes(40)
    with Snapshot.open(copy, verify=True) as snapshot:
        assert as_tuples(snapshot.search(codes, 31)) == [(row, 0, row) for row in range(40)]
        assert Signal.MD5 in snapshot.signals_held(snapshot.banks)


def test_the_file_is_for_its_owner_only(filled: Path) -> None:
    assert stat.S_IMODE(filled.stat().st_mode) == 0o600


def test_a_new_file_replaces_the_old_and_an_open_one_stays_readable(filled: Path) -> None:
    with Snapshot.open(filled) as old:
        build(filled, [entry(1, bytes(32))])
        assert len(old.search(random_codes(40), 0)) == 40
        with Snapshot.open(filled) as new:
            assert new.row_count == 1
    assert [file.name for file in filled.parent.iterdir()] == [filled.name]


def test_a_closed_snapshot_says_so(filled: Path) -> None:
    snapshot = Snapshot.open(filled)
    snapshot.close()
    with pytest.raises(SnapshotError, match="closed"):
        snapshot.search(random_codes(1), 31)
    with pytest.raises(SnapshotError, match="closed"):
        snapshot.find_digests(Signal.MD5, [bytes(16)])


def test_a_missing_file_is_told_from_a_damaged_one(path: Path) -> None:
    with pytest.raises(SnapshotMissing):
        Snapshot.open(path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="directory"):
        Snapshot.open(tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 19, 30, 400, 4096, 100_000, -1])
def test_a_truncated_file_is_refused(filled: Path, keep: int) -> None:
    content = filled.read_bytes()
    filled.write_bytes(content[:keep])
    with pytest.raises(SnapshotDamaged):
        Snapshot.open(filled)


def test_a_foreign_file_is_refused(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" * 64)
    with pytest.raises(SnapshotError, match="another kind"):
        Snapshot.open(path)


def test_a_newer_format_is_refused_by_its_number(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    content[8:12] = struct.pack("<I", container.FORMAT_VERSION + 1)
    filled.write_bytes(content)
    with pytest.raises(SnapshotVersion, match=f"format {container.FORMAT_VERSION + 1}"):
        Snapshot.open(filled)


def test_any_flipped_bit_of_the_header_is_noticed_on_opening(filled: Path) -> None:
    content = filled.read_bytes()
    length = 20 + struct.unpack_from("<I", content, 12)[0]
    for place in [*range(20), *range(20, length, 37)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        filled.write_bytes(damaged)
        with pytest.raises(SnapshotError):
            Snapshot.open(filled)


def test_any_flipped_bit_of_a_section_is_noticed_when_verifying(filled: Path) -> None:
    content = filled.read_bytes()
    _, arrays = container.read_container(filled, verify=True)
    starts = _section_places(content, [name for name in arrays if arrays[name].size])
    for place in starts.values():
        damaged = bytearray(content)
        damaged[place] ^= 4
        filled.write_bytes(damaged)
        with pytest.raises(SnapshotDamaged):
            Snapshot.open(filled, verify=True)


def _section_places(content: bytes, names: list[str]) -> dict[str, int]:
    length = struct.unpack_from("<I", content, 12)[0]
    sections = json.loads(content[20 : 20 + length])["sections"]
    return {name: sections[name]["offset"] for name in names}


@pytest.mark.parametrize(
    "section", ["code_lists", "anchored_lists", "code_owner", "anchored_owner", "sha256_owner"]
)
def test_wrong_numbers_in_a_section_raise_instead_of_giving_garbage(
    filled: Path, section: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(filled.read_bytes())
    _, arrays = container.read_container(filled, verify=False)
    size = arrays[section].nbytes
    place = _section_places(bytes(content), [section])[section]
    del arrays
    content[place : place + size] = b"\xf0" * size
    filled.write_bytes(content)
    codes = random_codes(40)
    monkeypatch.setattr(mih, "_CALL_COST_ROWS", 0)  # look in the lists although 40 rows are few

    def use() -> None:
        snapshot = Snapshot.open(filled)
        snapshot.find_digests(Signal.SHA256, [bytes(32)])
        snapshot.owners(snapshot.search(codes, 0).row)
        snapshot.anchored_owners(snapshot.search_anchored(codes, 0).row)

    with pytest.raises(SnapshotDamaged):
        use()


def test_a_bank_number_without_a_bank_is_refused(filled: Path) -> None:
    content = bytearray(filled.read_bytes())
    place = _section_places(bytes(content), ["entry_bank"])["entry_bank"]
    content[place] = 9
    filled.write_bytes(content)
    with pytest.raises(SnapshotDamaged):
        Snapshot.open(filled)


@pytest.mark.parametrize(
    ("key", "value"),
    [("dtype", "|O"), ("dtype", "<f8"), ("offset", -64), ("offset", 1 << 40), ("shape", [1 << 50])],
)
def test_a_forged_section_table_is_refused(filled: Path, key: str, value: object) -> None:
    content = filled.read_bytes()
    length = struct.unpack_from("<I", content, 12)[0]
    header = json.loads(content[20 : 20 + length])
    header["sections"]["entry_id"][key] = value
    text = json.dumps(header).encode()
    forged = (
        struct.pack(
            "<8sIII", container.MAGIC, container.FORMAT_VERSION, len(text), zlib.crc32(text)
        )
        + text
    )
    filled.write_bytes(forged + content[len(forged) :])
    with pytest.raises(SnapshotDamaged):
        Snapshot.open(filled)


def test_a_folder_that_does_not_exist_is_named_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnwritable, match="EGIDE_SNAPSHOT_DIR"):
        build(tmp_path / "absent" / "snapshot", [entry(1, bytes(32))])


def test_a_folder_without_permission_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(**_: object) -> None:  # a real folder would not stop root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "mkstemp", forbidden)
    with pytest.raises(SnapshotUnwritable, match="Permission denied"):
        build(path, [entry(1, bytes(32))])


@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_leaves_the_old_file_and_no_other(
    filled: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(
        *{"fsync": (os, "fsync", full), "write": (container, "write_sections", full)}[call]
    )
    with pytest.raises(SnapshotUnwritable, match="No space"):
        build(filled, [entry(1, bytes(32))])
    monkeypatch.undo()
    assert [file.name for file in filled.parent.iterdir()] == [filled.name]
    with Snapshot.open(filled, verify=True) as snapshot:
        assert snapshot.row_count == 40


def test_an_interrupted_build_leaves_nothing_behind(filled: Path) -> None:
    def entries() -> Iterable[Entry]:
        yield entry(1, bytes(32))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(filled, entries())
    assert [file.name for file in filled.parent.iterdir()] == [filled.name]


def test_snapshot_errors_share_a_root() -> None:
    assert issubclass(SnapshotMissing, SnapshotError)
    assert issubclass(SnapshotError, EgideError)


def test_rows_and_codes_agree_with_numpy(filled: Path) -> None:
    _, arrays = container.read_container(filled, verify=True)
    assert np.array_equal(arrays["code"], random_codes(40))
    assert not arrays["code"].flags.writeable
