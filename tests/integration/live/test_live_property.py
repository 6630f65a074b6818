"""A followed store answers as a snapshot would that is built anew after every change."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from egide.domain.model import AnchoredHashes, Fingerprint, Pdq, Registration
from egide.errors import EgideError
from egide.index import grown
from egide.index.live import LiveIndex
from egide.index.snapshot import Snapshot
from egide.live.snapshots import build_store_snapshot
from egide.matching import Matcher
from egide.matching import fingerprints as matching
from egide.store.changing import ChangingStore as Store
from egide.testing.kernels import flip_bits, random_codes

if TYPE_CHECKING:
    from egide.index.searched import Searched

CODES = random_codes(24, seed=21)
BANKS = ("helpline", "partner")


def code(number: int, distance: int = 0) -> bytes:
    return flip_bits(CODES[number : number + 1], [distance], seed=number).tobytes()


def anchored_found(searched: Searched) -> list[tuple[int, int, int]]:
    """Query, distance and entry of each anchored code that is near and present."""
    hits = searched.search_anchored(CODES, 31)
    owners = searched.anchored_owners(hits.row)
    present = searched.present(owners)
    ids = searched.columns(owners[present]).id
    return sorted(zip(hits.query[present], hits.distance[present], ids, strict=True))


class LiveAgainstRebuilt(RuleBasedStateMachine):
    """Random changes of a real store, followed, against a snapshot built after each."""

    @initialize(registered=st.integers(0, 12))
    def begin(self, registered: int) -> None:
        self._folder = TemporaryDirectory()
        self.path = Path(self._folder.name)
        self.store = Store.open(f"sqlite:///{self.path}/egide.db", create=True)
        for name in BANKS:
            self.store.banks.create(name)
        for number in range(registered):
            self._register(BANKS[number % 2], number, again=False, hours=None)
        self.followed = LiveIndex(self._rebuilt("base"))
        self.since = self.followed.view.revision

    def _rebuilt(self, name: str) -> Snapshot:
        build_store_snapshot(self.store, self.path / name)
        return Snapshot.open(self.path / name)

    def _register(self, into: str, number: int, *, again: bool, hours: int | None) -> None:
        registration = Registration(
            pdqs=(code(number), code((number + 1) % 24, 9))[: 1 + number % 2],
            sha256=None if number % 3 else bytes([number % 6]) * 32,
            md5=None if number % 4 else bytes([number % 8]) * 16,
            trimmed_pdqs=(code(number, 20),) if number % 5 == 0 else (),
            source=f"list-{number % 2}",
            expires=None if hours is None else datetime.now(UTC) + timedelta(hours=hours),
            anchored=AnchoredHashes.kept(b"".join(code(each) for each in range(number, 24, 7)), 1)
            if number % 3
            else None,
        )
        self.store.entries.register(into, [registration], again=again)

    @rule(
        into=st.sampled_from(BANKS),
        number=st.integers(0, 23),
        again=st.booleans(),
        hours=st.sampled_from([None, None, 1, 3]),
    )
    def register(self, into: str, number: int, again: bool, hours: int | None) -> None:
        self._register(into, number, again=again, hours=hours)

    @rule(
        act=st.sampled_from(["withdraw", "confirm", "dispute", "tombstone"]),
        into=st.sampled_from(BANKS),
        picked=st.lists(st.integers(0, 40), min_size=1, max_size=5, unique=True),
    )
    def act(self, act: str, into: str, picked: list[int]) -> None:
        held = [each.id for each in self.store.entries.list(into)]
        some = sorted({held[pick % len(held)] for pick in picked}) if held else []
        with suppress(EgideError):
            getattr(self.store.entries, act)(into, some)

    @rule(hours=st.sampled_from([0, 2, 4]))
    def expire(self, hours: int) -> None:
        self.store.entries.expire(datetime.now(UTC) + timedelta(hours=hours))

    @rule(
        into=st.sampled_from(BANKS),
        radius=st.sampled_from([0, 12, 31, 45]),
        enabled=st.booleans(),
    )
    def change_bank(self, into: str, radius: int, enabled: bool) -> None:
        self.store.banks.update(into, radius_bits=radius, enabled=enabled)

    @precondition(lambda self: len(self.store.banks.list()) < 4)
    @rule(number=st.integers(0, 23))
    def create_bank(self, number: int) -> None:
        name = f"new-{len(self.store.banks.list())}"
        self.store.banks.create(name)
        self._register(name, number, again=False, hours=None)

    @rule()
    def start_anew(self) -> None:
        """As when a rebuilt snapshot is swapped in."""
        self.followed = LiveIndex(self._rebuilt("base"))
        self.since = self.followed.view.revision

    @invariant()
    def both_answer_alike(self) -> None:
        revision = self.store.revision()
        self.followed.apply(
            self.store.entries.changes(self.since, anchored=True),
            banks=self.store.banks.list,
            revision=revision,
        )
        self.since = revision
        fingerprints = [
            Fingerprint(
                (Pdq(code(number, distance), 90),),
                sha256=bytes([number % 6]) * 32,
                md5=bytes([number % 8]) * 16,
            )
            for number in range(24)
            for distance in (0, 10, 31)
        ]
        view, now = self.followed.view, datetime.now(UTC)
        rebuilt = self._rebuilt("truth")
        assert self.followed.entry_count == rebuilt.entry_count
        assert anchored_found(view) == anchored_found(rebuilt)
        for banks in (None, ["helpline"], ["partner", "helpline"]):
            for at in (now, now + timedelta(hours=2)):
                live = Matcher(view, banks=banks, now=at).match(fingerprints)
                assert live == Matcher(rebuilt, banks=banks, now=at).match(fingerprints)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self._folder.cleanup()


@pytest.fixture(autouse=True)
def _small_limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few entries suffice to reach what many would."""
    if request.cls is TestLiveAgainstRebuilt:
        monkeypatch.setattr(grown, "TAIL_ROWS", 3)
        monkeypatch.setattr(matching, "MAX_MATCHES", 3)


TestLiveAgainstRebuilt = LiveAgainstRebuilt.TestCase
TestLiveAgainstRebuilt.settings = settings(
    max_examples=settings.default.max_examples // 6,
    stateful_step_count=14,
    suppress_health_check=list(HealthCheck),
)
