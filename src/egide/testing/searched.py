"""What everything that is searched must do: rows and digests lead to their entries, all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from egide.domain.model import (
    DIGEST_SIGNALS,
    MAX_RADIUS_BITS,
    SIGNAL_BYTES,
    AnchoredHashes,
    Bank,
    Entry,
    Signal,
    State,
    Trust,
)
from egide.domain.video import Track
from egide.errors import RadiusInvalid
from egide.index.snapshot import unix_us
from egide.testing.kernels import as_tuples, by_hand, flip_bits, random_codes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egide.index.searched import Searched

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_BANKS = (Bank(1, "helpline", 31, "", enabled=True), Bank(5, "other", 20, "", enabled=False))
_ENTRY = Entry(
    id=0,
    bank="helpline",
    pdqs=(),
    sha256=None,
    md5=None,
    quality=None,
    trust=Trust.UNVERIFIED,
    state=State.ACTIVE,
    source="local",
    note="",
    added=_NOW,
    changed=_NOW,
    expires=None,
    revision=1,
)


class SearchedContract(ABC):
    """Subclass it as `TestYours`, and say how what is searched is made of entries."""

    @abstractmethod
    def build(self, entries: Sequence[Entry], banks: Sequence[Bank], folder: Path) -> Searched:
        """Return what finds these active entries, whose numbers rise; `folder` is empty."""

    def test_every_row_leads_to_its_entry(self, tmp_path: Path) -> None:
        codes = random_codes(100)
        entries = [replace(_ENTRY, id=n, pdqs=(codes[n].tobytes(),)) for n in range(4, 100)]
        first = replace(_ENTRY, id=1, pdqs=tuple(code.tobytes() for code in codes[:4]))
        found = self.build([first, *entries], _BANKS, tmp_path)
        hits = found.search(codes, 0)
        assert hits.query.tolist() == list(range(100))
        assert found.columns(found.owners(hits.row)).id.tolist() == [1] * 4 + list(range(4, 100))
        mixed = np.array([99, 3, 50, 31, 99], np.int64)
        assert found.columns(found.owners(hits.row[mixed])).id.tolist() == [99, 1, 50, 31, 99]

    @pytest.mark.parametrize("radius_bits", [0, 31, MAX_RADIUS_BITS])
    def test_codes_are_found_as_plain_python_finds_them(
        self, tmp_path: Path, radius_bits: int
    ) -> None:
        codes = random_codes(300)
        queries = flip_bits(codes, [n % (radius_bits + 2) for n in range(len(codes))])
        entries = [replace(_ENTRY, id=n, pdqs=(c.tobytes(),)) for n, c in enumerate(codes)]
        found = self.build(entries, _BANKS, tmp_path)
        hits = found.search(queries, radius_bits)
        # In which row a code stands is for the implementation to choose.
        ids = found.columns(found.owners(hits.row)).id
        assert sorted(as_tuples(replace(hits, row=ids))) == by_hand(codes, queries, radius_bits)

    def test_anchored_codes_lead_to_their_entries_and_to_no_others(self, tmp_path: Path) -> None:
        codes = random_codes(300)
        entries = [
            replace(
                _ENTRY,
                id=n,
                pdqs=(codes[n].tobytes(),),
                anchored=AnchoredHashes.kept(codes[100 + n : 100 + 3 * n].tobytes(), 1),
            )
            for n in range(1, 33)
        ]
        held = [
            (n, code)
            for n, each in enumerate(entries, 1)
            for code in np.frombuffer(each.anchored.codes, np.uint8).reshape(-1, 32)  # type: ignore[union-attr]
        ]
        found = self.build([replace(_ENTRY, id=0), *entries], _BANKS, tmp_path)
        queries = flip_bits(codes, [n % 38 for n in range(len(codes))])
        hits = found.search_anchored(queries, 36)
        ids = found.columns(found.anchored_owners(hits.row)).id
        expected = by_hand(np.stack([code for _, code in held]), queries, 36)
        assert sorted(as_tuples(replace(hits, row=ids))) == sorted(
            (query, distance, held[row][0]) for query, distance, row in expected
        )
        for row, number in zip(hits.row.tolist(), ids.tolist(), strict=True):
            own = sorted(code.tobytes() for n, code in held if n == number)
            assert sorted(code.tobytes() for code in found.anchored_codes(row)) == own

    def test_codes_of_videos_lead_to_their_times(self, tmp_path: Path) -> None:
        codes = random_codes(60)
        entries = [replace(_ENTRY, id=1, pdqs=tuple(code.tobytes() for code in codes[:3]))]
        for number, (first, end) in enumerate([(3, 10), (10, 11), (11, 58)], 2):
            starts = tuple(500 * at for at in range(first, end))
            track = Track(starts, tuple(at + 500 for at in starts), 30_000 + number * 500)
            pdqs = tuple(code.tobytes() for code in codes[first:end])
            entries.append(replace(_ENTRY, id=number, pdqs=pdqs, video=track))
        entries.append(replace(_ENTRY, id=9, pdqs=tuple(code.tobytes() for code in codes[58:])))
        found = self.build(entries, _BANKS, tmp_path)
        hits = found.search(codes, 0)
        owners = found.owners(hits.row)
        assert found.are_videos(owners).tolist() == [False] * 3 + [True] * 55 + [False] * 2
        places = found.video_places(hits.row)
        assert places[3:58].tolist() == [*range(7), 0, *range(47)]
        for at, (row, place) in enumerate(zip(hits.row.tolist(), places.tolist(), strict=True)):
            video = found.video_of(row)
            if not 3 <= at < 58:
                assert video is None
                continue
            assert video is not None
            assert video.times[place].tolist() == [500 * at, 500 * at + 500]
            assert (video.codes[place] == codes[at]).all()
            assert len(video.codes) == len(video.times)
        assert video is None
        assert found.video_of(int(hits.row[20])).duration_ms == 32_000  # type: ignore[union-attr]

    def test_what_is_known_of_an_entry_is_kept(self, tmp_path: Path) -> None:
        ends = [None, _NOW, _NOW + timedelta(days=1)]
        entries = [
            replace(_ENTRY, id=n, pdqs=(bytes(32),), trust=trust, bank=bank.name, expires=end)
            for n, (trust, bank, end) in enumerate(zip(Trust, _BANKS * 2, ends, strict=False))
        ]
        found = self.build(entries, _BANKS, tmp_path)
        owners = found.owners(found.search(np.zeros((1, 32), np.uint8), 0).row)
        known = found.columns(owners)
        assert [found.trusts[trust] for trust in known.trust] == list(Trust)
        assert [found.banks[bank].id for bank in known.bank] == [1, 5, 1]
        assert known.expires_us.tolist() == list(map(unix_us, ends))
        assert found.present(owners).tolist() == [True] * 3
        assert owners.max() < found.owner_count

    def test_disabled_banks_are_told_too(self, tmp_path: Path) -> None:
        banks = self.build([], _BANKS, tmp_path).banks
        assert [(bank.name, bank.radius_bits, bank.enabled) for bank in banks] == [
            ("helpline", 31, True),
            ("other", 20, False),
        ]

    @pytest.mark.parametrize(
        ("signal", "size"), [(one, SIGNAL_BYTES[one]) for one in DIGEST_SIGNALS]
    )
    def test_a_digest_leads_to_all_its_entries(
        self, tmp_path: Path, signal: Signal, size: int
    ) -> None:
        # Alike in their first eight bytes, and held by two entries each.
        alike = [b"samestart" + bytes([last]) * (size - 9) for last in range(3)]
        entries = [
            replace(_ENTRY, id=n, **{signal.value: alike[n % 3]})  # type: ignore[arg-type]
            for n in range(6)
        ]
        found = self.build(entries, _BANKS, tmp_path)
        hits = found.find_digests(signal, [bytes(size), alike[1], alike[0], alike[1]])
        ids = found.columns(hits.owner).id.tolist()
        assert list(zip(hits.query.tolist(), ids, strict=True)) == [
            *((1, 1), (1, 4)),
            *((2, 0), (2, 3)),
            *((3, 1), (3, 4)),
        ]

    def test_a_digest_of_another_length_is_refused(self, tmp_path: Path) -> None:
        found = self.build([replace(_ENTRY, sha256=bytes(32))], _BANKS, tmp_path)
        with pytest.raises(ValueError, match="32 bytes"):
            found.find_digests(Signal.SHA256, [bytes(16)])

    def test_a_radius_outside_the_range_is_refused(self, tmp_path: Path) -> None:
        found = self.build([replace(_ENTRY, pdqs=(bytes(32),))], _BANKS, tmp_path)
        with pytest.raises(RadiusInvalid):
            found.search(random_codes(1), MAX_RADIUS_BITS + 1)

    def test_of_nothing_nothing_is_found(self, tmp_path: Path) -> None:
        found = self.build([], _BANKS, tmp_path)
        assert len(found.search(random_codes(3), 31)) == 0
        assert len(found.search_anchored(random_codes(3), 31)) == 0
        assert len(found.find_digests(Signal.SHA256, [bytes(32)]).owner) == 0
        assert len(found.columns(np.zeros(0, np.int64)).id) == 0
        assert found.owner_count == 0
