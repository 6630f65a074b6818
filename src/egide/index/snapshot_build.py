"""Build the search snapshot from the entries of a store."""

from __future__ import annotations

from array import array
from datetime import UTC
from typing import TYPE_CHECKING, Any

import numpy as np

from egide.domain.model import (
    DIGEST_SIGNALS,
    PDQ_BYTES,
    SIGNAL_BYTES,
    Signal,
    State,
    Trust,
    digests_of,
)
from egide.errors import SnapshotError
from egide.index.bands import layout_for
from egide.index.container import Section, array_section, write_container
from egide.index.lists import MAX_ROWS, band_list, lists_shape
from egide.index.multi_index import MIN_INDEXED_ROWS
from egide.index.snapshot import digest_prefix, unix_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from egide.domain.model import Bank, Entry
    from egide.domain.video import Track

_TRUSTS = tuple(Trust)
_MAX_BANKS = 1 << 16


def build_snapshot(
    path: Path,
    *,
    store_id: str,
    revision: int,
    banks: Sequence[Bank],
    entries: Iterable[Entry],
    created: datetime,
    min_indexed_rows: int = MIN_INDEXED_ROWS,
) -> None:
    """Write the snapshot of a store at one revision.

    Entries are taken one by one. Memory is about 60 bytes for each entry and 36 for each code, and
    then 40 bytes for each code of one kind while its band lists are written.

    Args:
        path: the file, moved there atomically and private; the folder must exist.
        store_id: of the store.
        revision: the store's revision at which banks and entries were read.
        banks: all banks, including disabled ones.
        entries: entries that can match, with their anchored hashes; inactive ones are left out.
        created: now, UTC.
        min_indexed_rows: with fewer rows the file has no band lists and is searched by brute force.

    Raises:
        SnapshotUnwritable: no permission, no space, no such folder; nothing is left behind.
        SnapshotError: an entry's bank is not in `banks`, a fingerprint has a wrong length, or there
            are too many codes or banks.
    """
    if len(banks) > _MAX_BANKS:
        raise SnapshotError(name=str(path), reason=f"it cannot hold over {_MAX_BANKS} banks")
    columns = _Columns(str(path), banks)
    for entry in entries:
        columns.add(entry)
    metadata: dict[str, object] = {
        "store_id": store_id,
        "revision": revision,
        "created": created.astimezone(UTC).isoformat(),
        "banks": [
            {
                "id": bank.id,
                "name": bank.name,
                "radius_bits": bank.radius_bits,
                "enabled": bank.enabled,
                "kind": bank.kind.value,
            }
            for bank in banks
        ],
        "trusts": [trust.value for trust in _TRUSTS],
    }
    sections = {
        "entry_id": array_section(_numpy(columns.entry_id)),
        "entry_bank": array_section(_numpy(columns.entry_bank)),
        "entry_trust": array_section(_numpy(columns.entry_trust)),
        "entry_expires_us": array_section(_numpy(columns.entry_expires_us)),
    }
    for codes in (columns.pdq, columns.anchored):
        sections.update(codes.sections(str(path), min_indexed_rows))
    sections.update(columns.videos.sections())
    for signal in DIGEST_SIGNALS:
        sections.update(columns.digests[signal].sections())
    write_container(path, metadata, sections)


class _Columns:
    """The entries so far, as growing columns of plain numbers and bytes."""

    def __init__(self, name: str, banks: Sequence[Bank]) -> None:
        self.name = name
        self.bank_position = {bank.name: position for position, bank in enumerate(banks)}
        self.entry_id = array("q")
        self.entry_bank = array("H")
        self.entry_trust = array("B")
        self.entry_expires_us = array("q")
        self.pdq = _CodeColumns("code")
        self.anchored = _CodeColumns("anchored")
        self.videos = _VideoColumns()
        self.digests = {signal: _DigestColumns(signal) for signal in DIGEST_SIGNALS}

    def add(self, entry: Entry) -> None:
        """Add one entry."""
        if entry.state is not State.ACTIVE:
            return
        bank = self.bank_position.get(entry.bank)
        if bank is None:
            raise SnapshotError(name=self.name, reason=f"entry {entry.id} is in an unknown bank")
        owner = len(self.entry_id)
        self.entry_id.append(entry.id)
        self.entry_bank.append(bank)
        self.entry_trust.append(_TRUSTS.index(entry.trust))
        self.entry_expires_us.append(unix_us(entry.expires))
        if entry.video is not None:
            if len(entry.video) != len(entry.pdqs):
                reason = f"entry {entry.id} has {len(entry.pdqs)} codes, {len(entry.video)} times"
                raise SnapshotError(name=self.name, reason=reason)
            self.videos.add(entry.video, owner, row=len(self.pdq.owner))
        for code in entry.pdqs + entry.trimmed_pdqs:
            self._check_size(entry, code, PDQ_BYTES)
            self.pdq.add(code, owner)
        if entry.anchored is not None:
            self.anchored.add(entry.anchored.codes, owner)
        for signal, digest in digests_of(entry):
            self._check_size(entry, digest, SIGNAL_BYTES[signal])
            self.digests[signal].add(digest, owner)

    def _check_size(self, entry: Entry, value: bytes, size: int) -> None:
        """Refuse a value of a wrong length, which would shift all later values."""
        if len(value) != size:
            reason = f"entry {entry.id} has a fingerprint of {len(value)} bytes for {size}"
            raise SnapshotError(name=self.name, reason=reason)


class _CodeColumns:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.codes = bytearray()
        self.owner = array("I")

    def add(self, codes: bytes, owner: int) -> None:
        self.codes += codes
        self.owner.extend([owner] * (len(codes) // PDQ_BYTES))

    def sections(self, name: str, min_indexed_rows: int) -> dict[str, Section]:
        codes = np.frombuffer(self.codes, np.uint8).reshape(-1, PDQ_BYTES)
        if len(codes) > MAX_ROWS:
            raise SnapshotError(name=name, reason=f"it cannot hold over {MAX_ROWS} PDQ codes")
        found = {
            self.kind: array_section(codes),
            f"{self.kind}_owner": array_section(_numpy(self.owner)),
        }
        if len(codes) >= max(min_indexed_rows, 1):
            layout = layout_for(len(codes))
            found[f"{self.kind}_lists"] = Section(
                "<u4",
                lists_shape(layout, len(codes)),
                # Each is built when it is written, then released.
                lambda: (band_list(codes, layout, band) for band in range(layout.bands)),
            )
        return found


class _VideoColumns:
    def __init__(self) -> None:
        self.owner = array("I")
        self.row = array("q")
        self.first = array("q")
        self.duration_ms = array("I")
        self.times = array("I")

    def add(self, track: Track, owner: int, *, row: int) -> None:
        self.owner.append(owner)
        self.row.append(row)
        self.first.append(len(self.times) // 2)
        self.duration_ms.append(track.duration_ms)
        for span in zip(track.starts, track.ends, strict=True):
            self.times.extend(span)

    def sections(self) -> dict[str, Section]:
        return {
            "video_owner": array_section(_numpy(self.owner)),
            "video_row": array_section(_numpy(self.row)),
            "video_first": array_section(_numpy(self.first)),
            "video_duration_ms": array_section(_numpy(self.duration_ms)),
            "video_times": array_section(_numpy(self.times).reshape(-1, 2)),
        }


class _DigestColumns:
    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.digest = bytearray()
        self.owner = array("I")

    def add(self, digest: bytes, owner: int) -> None:
        self.digest += digest
        self.owner.append(owner)

    def sections(self) -> dict[str, Section]:
        digest = np.frombuffer(self.digest, np.uint8).reshape(-1, SIGNAL_BYTES[self.signal])
        prefix = digest_prefix(digest)
        # Stable: equal digests stay in the order of their owners.
        order = np.argsort(prefix, kind="stable")
        return {
            f"{self.signal}_prefix": array_section(prefix[order]),
            f"{self.signal}_digest": array_section(digest[order]),
            f"{self.signal}_owner": array_section(_numpy(self.owner)[order]),
        }


def _numpy(column: array[int]) -> NDArray[Any]:
    return np.frombuffer(column, column.typecode)
