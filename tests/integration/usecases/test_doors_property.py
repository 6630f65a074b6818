"""All doors of a register in any order, and kills in between: what always holds.

A small model says what each act does to each entry. After every step the store agrees with it, the
log is whole, nothing that has ended is in a file, and what matches is what is active. An act that
is killed at any of its statements was done, or was not.

EGIDE_DOORS_EXAMPLES and EGIDE_DOORS_STEPS make it a long run.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, NoReturn

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import egide
from case_samples import PIN
from egide.domain.access import ApprovalState, Key, Role
from egide.domain.cases import Authority, CaseRules, CaseState, ConfirmReason, ImageKind, NewImage
from egide.domain.model import Fingerprint, Pdq, Signal, State
from egide.errors import ApprovalInvalid, ApprovalNeeded, CaseEnded, EgideError, StateConflict
from egide.live.register import LiveRegister
from egide.security.sealing import KeypointKey
from egide.store.changing import ChangingStore
from egide.store.copying import restore_store
from egide.usecases import sync
from egide.usecases import withdraw as withdrawing
from egide.usecases.banks import create_bank, empty_bank, update_bank
from egide.usecases.cases import Casework
from egide.usecases.check import check
from egide.usecases.export import export_hashes, export_with_key
from egide.usecases.import_lists import import_hashes
from egide.usecases.register_by_key import Batch, register_batch
from egide.usecases.review import CaseReview
from egide.usecases.staff import Staffing
from egide.usecases.sync import remove_upstream, sync_once
from erased import Sought, ended_with_fingerprints
from keypoint_samples import keypoint_set
from postgres_server import PostgresServer
from store_samples import anchored, code, picture
from sync_samples import Partner

pytestmark = pytest.mark.timeout(3600)  # a run is as long as it is asked to be
NUMBERS = range(8)
PAST = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2126, 1, 1, tzinfo=UTC)
BANKS = ("helpline", "shared", "partners")
KEYPOINT_KEY = KeypointKey(b"k" * 32)
SYNCED = "sync:there"
CASE = "person:"
BULK_LIMIT = 12
_HUNG_S = 20.0
_PIECE = 24

numbers = st.sampled_from(NUMBERS)
some = st.lists(numbers, min_size=1, max_size=3, unique=True)
banks = st.sampled_from(BANKS)
picks = st.integers(0, 30)
ends = st.sampled_from([None, None, PAST, LATER])
kills = st.one_of(st.none(), st.none(), st.integers(1, 30))


# --- what is expected -------------------------------------------------------------------------


@dataclass
class Item:
    """An entry as it should be.

    Attributes:
        expires: of the kinds that there are here: never, long ago, or a long time from now.
        remote: which entry of the partner it is.
        linked: whether the partner is followed, and the entry known to be its.
        ended: whether it was the partner who ended it last.
    """

    bank: str
    number: int
    source: str
    state: State = State.ACTIVE
    expires: datetime | None = None
    remote: int | None = None
    linked: bool = False
    ended: bool = False

    @property
    def matches(self) -> bool:
        return self.state is State.ACTIVE and self.expires != PAST

    def end(self, state: State) -> None:
        if self.state is State.ACTIVE:
            self.state = state


@dataclass
class Model:
    """A register as it should be.

    Attributes:
        entries: by number.
        fresh: entries that an act makes, before their numbers are known.
        cases: by number, whether each is open.
        enabled: banks.
        position: the partner's revision up to which it was followed.
        alone: fingerprints that one person has added without a second.
    """

    entries: dict[int, Item] = field(default_factory=dict)
    fresh: list[Item] = field(default_factory=list)
    cases: dict[int, bool] = field(default_factory=dict)
    images: dict[int, list[int]] = field(default_factory=dict)
    enabled: dict[str, bool] = field(default_factory=dict)
    position: int = -1
    alone: int = 0

    def of(self, bank: str) -> list[int]:
        return [number for number, item in self.entries.items() if item.bank == bank]

    def register(
        self, bank: str, given: list[int], source: str, expires: datetime | None, *, again: bool
    ) -> None:
        """What registering does, to each of a source's pictures."""
        for number in given:
            known = [
                item
                for item in self.entries.values()
                if (item.bank, item.source, item.number) == (bank, source, number)
            ]
            if not known:
                self.fresh.append(Item(bank, number, source, expires=expires))
                continue
            (item,) = known
            overdue = item.state is State.ACTIVE and item.expires == PAST
            if (
                item.state is State.EXPIRED
                or (item.state is State.WITHDRAWN and again)
                or (overdue and expires != PAST)
            ):
                item.state, item.expires = State.ACTIVE, expires

    def expire(self, now: datetime) -> None:
        for item in self.entries.values():
            if item.expires is not None and item.expires <= now:
                item.end(State.EXPIRED)

    def sync(self, remote: dict[int, Any], revision: int) -> None:
        """What following does with what has changed at the partner."""
        known = {item.remote: item for item in self.entries.values() if item.remote is not None}
        for number, entry in remote.items():
            if entry.revision <= self.position:
                continue
            item = known.get(number)
            if entry.state is not State.ACTIVE:
                if item is not None and item.linked:
                    self._end(item, entry.state)
            elif item is None:
                fresh = Item("partners", entry.number, SYNCED, expires=entry.expires)
                self.fresh.append(replace(fresh, remote=number, linked=True))
            else:
                refused = item.state is State.TOMBSTONED or (
                    item.state is State.WITHDRAWN and not (item.linked and item.ended)
                )
                item.ended = refused and item.linked and item.ended
                item.linked = True
                if not refused:
                    item.state, item.expires = State.ACTIVE, entry.expires
        self.position = revision

    def _end(self, item: Item, state: State) -> None:
        if state is State.TOMBSTONED:
            if item.state is State.ACTIVE:
                item.state, item.ended = State.TOMBSTONED, True
        elif item.state is State.ACTIVE or (item.state, state) == (State.EXPIRED, State.WITHDRAWN):
            item.state, item.ended = State.WITHDRAWN, True


# --- what is there ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """An entry as it is; the number of its picture is known as long as it is active."""

    bank: str
    state: State
    number: int | None
    expires: datetime | None


_DIGESTS = {picture(number).sha256: number for number in NUMBERS}


def found_in(store: ChangingStore) -> dict[int, Found]:
    return {
        entry.id: Found(
            bank.name, entry.state, _DIGESTS.get(entry.sha256), entry.expires
        )
        for bank in store.banks.list()
        for entry in store.entries.list(bank.name)
    }  # fmt: skip


def adopted(model: Model, found: dict[int, Found]) -> Model | None:
    """The model with the numbers of its fresh entries, or None where it is not what is there."""
    if any(number not in found for number in model.entries):
        return None
    if any(found[number].state is not item.state for number, item in model.entries.items()):
        return None
    new = {number: one for number, one in found.items() if number not in model.entries}
    if Counter((item.bank, item.number) for item in model.fresh) != Counter(
        (one.bank, one.number) for one in new.values()
    ):
        return None
    left = list(model.fresh)
    for number, one in sorted(new.items()):
        if one.state is not State.ACTIVE:
            return None
        item = next(item for item in left if (item.bank, item.number) == (one.bank, one.number))
        left.remove(item)
        model.entries[number] = item
    model.fresh = []
    return model


# --- the machine ------------------------------------------------------------------------------

Act = Callable[[ChangingStore], object]
Effect = Callable[[Model], object]


class Doors(RuleBasedStateMachine):
    """A register here, and a partner's that it follows."""

    new_url: ClassVar[Callable[[Path], str]]
    done_with: ClassVar[Callable[[], None]]

    @initialize()
    def begin(self) -> None:
        self.top = Path(mkdtemp())
        self.folder, self.out = self.top / "here", self.top / "out"
        self.folder.mkdir()
        self.out.mkdir()
        os.environ["EGIDE_SNAPSHOT_DIR"] = str(self.folder)
        self.url = type(self).new_url(self.folder)
        self.there = ChangingStore.open(f"sqlite:///{self.out}/there.db", create=True)
        self.there.banks.create("ncii")
        self.store = self._open(create=True)
        self.model = Model()
        for name in BANKS:
            create_bank(self.store, name)
            self.model.enabled[name] = True
        self._follow()
        self.keys = {
            name: self.store.keys.create(name, role, holder)[0]
            for name, role, holder in (
                ("ada", Role.ADMIN, "Ada"),
                ("ada-too", Role.ADMIN, " ada "),
                ("cleo", Role.MODERATOR, "Cleo"),
            )
        }
        self.worker = Staffing(self.store).create("amina").staff
        self.revision = 0
        self.submissions = 0
        self.requests: dict[int, Callable[[Key, int | None], object]] = {}
        self.backups: list[tuple[Path, Model]] = []
        self.pieces: dict[tuple[int, bytes], Sought] = {}

    def _open(self, *, create: bool = False) -> ChangingStore:
        return ChangingStore.of(egide.open_store(self.url, create=create))

    def _follow(self) -> None:
        self.store.upstreams.add(
            "there", "http://127.0.0.1:9", "/nowhere", remote_bank="ncii", bank="partners"
        )

    # --- doing, and being killed ---

    def do(
        self,
        act: Act,
        effect: Effect,
        kill: int | None = None,
        error: type[EgideError] | None = None,
    ) -> None:
        """Act, and see that the store is as it should be.

        Args:
            act: on a store that is open, perhaps in a process that is killed.
            effect: on the model.
            kill: at which statement, commit or change of a file; None to let it be.
            error: that the act raises, having done nothing.
        """
        expected = deepcopy(self.model)
        if error is None:
            effect(expected)
        if kill is None:
            if error is None:
                act(self.store)
            else:
                with pytest.raises(error):
                    act(self.store)
            self._adopt(expected)
        else:
            self._killed(act, kill)
            self._adopt(expected, self.model)

    def _adopt(self, *expected: Model) -> None:
        found = found_in(self.store)
        for one in expected:
            model = adopted(deepcopy(one), found)
            if model is not None:
                self.model = model
                return
        raise AssertionError(f"neither was it done nor left: {expected} is not {found}")

    def _killed(self, act: Act, at: int) -> None:
        """Act in a process of its own, and kill it; then open the store as anybody would."""
        self.store.close()
        child = os.fork()
        if child == 0:
            _act_and_die(self.url, act, at)
        end = time.monotonic() + _HUNG_S
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
        self.store = self._open()

    # --- registering ---

    @rule(
        bank=banks, given=some, source=st.sampled_from(["her", "them"]), expires=ends,
        again=st.booleans(), keypoints=st.booleans(), parts=st.booleans(), kill=kills,
    )  # fmt: skip
    def register(
        self, bank: str, given: list[int], source: str, expires: datetime | None, again: bool,
        keypoints: bool, parts: bool, kill: int | None,
    ) -> None:  # fmt: skip
        registrations = [
            picture(
                number,
                source=source,
                expires=expires,
                keypoints=keypoint_set(number, 30) if keypoints else None,
                anchored=anchored(number) if parts else None,
            )
            for number in given
        ]
        self.do(
            lambda store: store.entries.register(
                bank, registrations, again=again, keypoint_key=KEYPOINT_KEY
            ),
            lambda model: model.register(bank, given, source, expires, again=again),
            kill,
        )

    @rule(bank=banks, given=some, kill=kills)
    def import_list(self, bank: str, given: list[int], kill: int | None) -> None:
        lines = "".join(f"{picture(number).sha256.hex()}\n" for number in given)  # type: ignore[union-attr]
        # Digests alone are another identity, and so another source here.
        self.do(
            lambda store: import_hashes(
                store, bank, BytesIO(lines.encode()), name="list", signal=Signal.SHA256
            ),
            lambda model: model.register(bank, given, "list", None, again=False),
            kill,
        )

    @rule(
        bank=banks, given=some, again=st.booleans(), decided_by=st.sampled_from(["ada-too", "cleo"])
    )
    def register_batch(self, bank: str, given: list[int], again: bool, decided_by: str) -> None:
        registrations = [picture(number, source="") for number in given]
        count = sum(len(registration.pdqs) for registration in registrations)
        self.submissions += 1
        sent = Batch(registrations, again, code(10**8 + self.submissions), None)

        def act(store: ChangingStore, sent: Batch = sent) -> None:
            register_batch(store, bank, sent, key=self.keys["ada"], bulk_limit=BULK_LIMIT)

        def effect(model: Model) -> None:
            model.register(bank, given, "key:ada", None, again=again)

        try:
            act(self.store)
        except ApprovalNeeded as needed:
            assert self.model.alone + count > BULK_LIMIT
            number = needed.fields["approval"]
            assert isinstance(number, int)
            if not self._decide(number, decided_by):
                return self.do(lambda store: act(store, replace(sent, approval_id=number)), effect,
                               error=ApprovalInvalid)  # fmt: skip
            act(self.store, replace(sent, approval_id=number))
        else:
            self.model.alone += count
            assert self.model.alone <= BULK_LIMIT
        self.do(lambda _: None, effect)
        return None

    # --- ending and judging ---

    def _picked(self, bank: str, chosen: list[int]) -> list[int]:
        held = self.model.of(bank)
        return sorted({held[pick % len(held)] for pick in chosen}) if held else []

    @rule(bank=banks, chosen=st.lists(picks, min_size=1, max_size=3), kill=kills)
    def withdraw(self, bank: str, chosen: list[int], kill: int | None) -> None:
        picked = self._picked(bank, chosen)
        self.do(
            lambda store: withdrawing.withdraw(store, bank, picked),
            lambda model: [setattr(model.entries[one], "state", State.WITHDRAWN) for one in picked],
            kill,
        )

    @rule(bank=banks, source=st.sampled_from(["her", "them", "key:ada", SYNCED]), kill=kills)
    def withdraw_source(self, bank: str, source: str, kill: int | None) -> None:
        self.do(
            lambda store: withdrawing.withdraw_source(store, bank, source),
            lambda model: [
                setattr(item, "state", State.WITHDRAWN)
                for item in model.entries.values()
                if (item.bank, item.source) == (bank, source)
            ],
            kill,
        )

    @rule(bank=banks, chosen=st.lists(picks, min_size=1, max_size=2), kill=kills)
    def tombstone(self, bank: str, chosen: list[int], kill: int | None) -> None:
        picked = self._picked(bank, chosen)
        possible = {State.ACTIVE, State.TOMBSTONED}
        refused = any(self.model.entries[one].state not in possible for one in picked)
        self.do(
            lambda store: withdrawing.tombstone(store, bank, picked),
            lambda model: [model.entries[one].end(State.TOMBSTONED) for one in picked],
            None if refused else kill,
            StateConflict if refused else None,
        )

    @rule(bank=banks, pick=picks, act=st.sampled_from(["confirm", "dispute"]), kill=kills)
    def judge(self, bank: str, pick: int, act: str, kill: int | None) -> None:
        picked = self._picked(bank, [pick])
        refused = any(self.model.entries[one].state is not State.ACTIVE for one in picked)
        self.do(
            lambda store: getattr(withdrawing, act)(store, bank, picked),
            lambda _: None,
            None if refused else kill,
            StateConflict if refused else None,
        )

    @rule(now=st.sampled_from([None, LATER]), kill=kills)
    def expire(self, now: datetime | None, kill: int | None) -> None:
        self.do(
            lambda store: withdrawing.expire(store, now=now),
            lambda model: model.expire(now or datetime.now(UTC)),
            kill,
        )

    @rule(bank=banks, kill=kills)
    def drop_keypoints(self, bank: str, kill: int | None) -> None:
        self.do(lambda store: withdrawing.drop_keypoints(store, bank), lambda _: None, kill)
        if kill is None:
            assert self.store.keypoints.count(bank) == 0

    # --- cases ---

    def _images(self, given: list[int]) -> list[NewImage]:
        return [
            NewImage(ImageKind.STILL, picture(one).pdqs[0], 90, picture(one).sha256 or b"")
            for one in given
        ]

    @rule(given=some, kill=kills)
    def open_case(self, given: list[int], kill: int | None) -> None:
        self.submissions += 1
        sent = code(10**8 + self.submissions)
        before = set(self.model.entries)
        self.do(
            lambda store: Casework(store, "helpline").open(
                self._images(given), PIN, submission=sent
            ),
            lambda model: model.fresh.extend(
                Item("helpline", one, CASE, expires=_EXPIRES) for one in given
            ),
            kill,
        )
        self._learn_case(before)

    def _learn_case(self, before: set[int]) -> None:
        if new := set(self.model.entries) - before:
            summary, *_ = self.store.cases.page("helpline", before=None, limit=1)
            self._learn_images(summary.id)
            assert set(self.model.images[summary.id]) == new
            self.model.cases[summary.id] = True

    def _learn_images(self, case_id: int) -> None:
        images = self.store.cases.get(case_id).images
        self.model.images[case_id] = [image.entry for image in images]

    def _case(self, pick: int) -> int:
        return sorted(self.model.cases)[pick % len(self.model.cases)]

    @precondition(lambda self: self.model.cases)
    @rule(pick=picks, given=some, kill=kills)
    def add_to_case(self, pick: int, given: list[int], kill: int | None) -> None:
        case = self._case(pick)
        self.submissions += 1
        sent = code(10**8 + self.submissions)
        held = {
            self.model.entries[one].number
            for one in self.model.images[case]
            if self.model.entries[one].state is State.ACTIVE
        }
        ended = not self.model.cases[case]
        self.do(
            lambda store: Casework(store, "helpline").add(
                case, self._images(given), submission=sent
            ),
            lambda model: model.fresh.extend(
                Item("helpline", one, CASE, expires=_EXPIRES) for one in given if one not in held
            ),
            None if ended else kill,
            CaseEnded if ended else None,
        )
        self._learn_images(case)

    @precondition(lambda self: self.model.cases)
    @rule(pick=picks, by_staff=st.booleans(), kill=kills)
    def withdraw_case(self, pick: int, by_staff: bool, kill: int | None) -> None:
        case = self._case(pick)
        is_open = self.model.cases[case]

        def act(store: ChangingStore) -> None:
            if by_staff:
                review = CaseReview(store, "helpline", CaseRules())
                review.withdraw(case, Authority.BY_PHONE, staff=self.worker)
            else:
                Casework(store, "helpline").withdraw(case)

        def effect(model: Model) -> None:
            if is_open:
                for one in model.images[case]:
                    model.entries[one].state = State.WITHDRAWN

        refused = by_staff and not is_open
        self.do(act, effect, None if refused else kill, CaseEnded if refused else None)
        self._learn_cases()

    @precondition(lambda self: self.model.cases)
    @rule(pick=picks, which=picks, kill=kills)
    def withdraw_image(self, pick: int, which: int, kill: int | None) -> None:
        case = self._case(pick)
        images = self.store.cases.get(case).images
        image = images[which % len(images)]
        self.do(
            lambda store: Casework(store, "helpline").withdraw_image(case, image.id),
            lambda model: setattr(model.entries[image.entry], "state", State.WITHDRAWN),
            kill,
        )

    @precondition(lambda self: self.model.cases)
    @rule(pick=picks, act=st.sampled_from(["extend", "confirm"]), kill=kills)
    def keep_case(self, pick: int, act: str, kill: int | None) -> None:
        case = self._case(pick)
        ended = not self.model.cases[case]

        def do(store: ChangingStore) -> None:
            if act == "extend":
                Casework(store, "helpline").extend(case)
            else:
                review = CaseReview(store, "helpline", CaseRules())
                review.confirm(case, next(iter(ConfirmReason)), staff=self.worker)

        self.do(do, lambda _: None, None if ended else kill, CaseEnded if ended else None)

    @rule(kill=kills)
    def expire_cases(self, kill: int | None) -> None:
        """Each in a transaction of its own: killed, the next time ends the others."""

        def act(store: ChangingStore) -> None:
            Casework(store, "helpline").expire(LATER)

        def effect(model: Model) -> None:
            for case, is_open in model.cases.items():
                for one in model.images[case] if is_open else ():
                    model.entries[one].end(State.EXPIRED)

        if kill is not None:
            self._killed(act, kill)
        self.do(act, effect)
        self._learn_cases()

    def _learn_cases(self) -> None:
        for case in self.model.cases:
            self.model.cases[case] = self.store.cases.get(case).state is CaseState.OPEN

    # --- banks, and what takes two people ---

    @rule(bank=banks, enabled=st.booleans(), kill=kills)
    def enable(self, bank: str, enabled: bool, kill: int | None) -> None:
        self.do(
            lambda store: update_bank(store, bank, enabled=enabled),
            lambda model: model.enabled.update({bank: enabled}),
            kill,
        )
        self._learn_banks()

    @rule(bank=banks, kill=kills)
    def empty(self, bank: str, kill: int | None) -> None:
        def effect(model: Model) -> None:
            model.enabled[bank] = False
            for one in model.of(bank):
                model.entries[one].state = State.WITHDRAWN

        self.do(lambda store: empty_bank(store, bank), effect, kill)
        self._learn_banks()

    def _learn_banks(self) -> None:
        self.model.enabled = {bank.name: bank.enabled for bank in self.store.banks.list()}

    @rule(bank=banks, key=st.sampled_from(["ada", "ada-too"]), bits=st.sampled_from([0, 20, 31]))
    def ask_for_a_radius(self, bank: str, key: str, bits: int) -> None:
        def act(by: Key, approval: int | None) -> None:
            if self.store.banks.get(bank).radius_bits == bits:  # to keep it takes nobody
                update_bank(self.store, bank, radius_bits=45)
            update_bank(self.store, bank, radius_bits=bits, by=by, approval_id=approval)
            assert self.store.banks.get(bank).radius_bits == bits

        self._ask(act, self.keys[key])
        assert self.store.banks.get(bank).radius_bits != bits

    @rule(bank=banks, key=st.sampled_from(["ada", "ada-too"]))
    def ask_for_an_export(self, bank: str, key: str) -> None:
        def act(by: Key, approval: int | None) -> None:
            lines = export_with_key(self.store, bank, key=by, approval_id=approval)
            self._check_export(bank, "".join(lines))

        self._ask(act, self.keys[key])

    @rule(bank=banks)
    def export(self, bank: str) -> None:
        out = StringIO()
        export_hashes(self.store, bank, out)
        self._check_export(bank, out.getvalue())

    def _check_export(self, bank: str, text: str) -> None:
        held = {item.number for item in self.model.entries.values()
                if item.bank == bank and item.matches}  # fmt: skip
        for number in NUMBERS:
            assert (picture(number).sha256.hex() in text) is (number in held)  # type: ignore[union-attr]

    def _ask(self, act: Callable[[Key, int | None], object], by: Key) -> None:
        with pytest.raises(ApprovalNeeded) as needed:
            act(by, None)
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        self.requests[number] = act

    def _decide(self, number: int, key: str) -> bool:
        """Try to approve; return whether it worked, as it does for another person only."""
        pending = self.store.approvals.get(number).state is ApprovalState.PENDING
        possible = key == "cleo" and pending
        try:
            self.store.approvals.decide(number, approve=True, by=self.keys[key])
        except ApprovalInvalid:
            assert not possible
        else:
            assert possible
        return self.store.approvals.get(number).state is ApprovalState.APPROVED

    @precondition(lambda self: self.requests)
    @rule(pick=picks, decided_by=st.sampled_from(["ada", "ada-too", "cleo"]),
          used_by=st.sampled_from(["ada", "ada-too", "cleo"]))  # fmt: skip
    def decide_and_use(self, pick: int, decided_by: str, used_by: str) -> None:
        number = sorted(self.requests)[pick % len(self.requests)]
        approved = self._decide(number, decided_by)
        if approved and used_by != "cleo":
            before = self.store.approvals.get(number)
            assert (before.requested_by, before.decided_by) != (None, None)
            self.requests[number](self.keys[used_by], number)
            assert self.store.approvals.get(number).state is ApprovalState.USED
        with pytest.raises(EgideError):  # spent, or not approved, or somebody else's
            self.requests[number](self.keys[used_by], number)

    # --- the partner ---

    def _remote(self) -> dict[int, Any]:
        return {
            entry.id: replace_number(entry, self.remote_numbers[entry.id])
            for entry in self.there.entries.list("ncii")
        }

    @property
    def remote_numbers(self) -> dict[int, int]:
        """Which picture each of the partner's entries is; its entries never change theirs."""
        for entry in self.there.entries.list("ncii", state=State.ACTIVE):
            self.__dict__.setdefault("_theirs", {})[entry.id] = _DIGESTS[entry.sha256]
        return self.__dict__.setdefault("_theirs", {})

    @rule(given=some, again=st.booleans(), expires=st.sampled_from([None, LATER]))
    def partner_registers(self, given: list[int], again: bool, expires: datetime | None) -> None:
        self.there.entries.register(
            "ncii", [picture(one, expires=expires) for one in given], again=again
        )
        assert self.remote_numbers

    @rule(pick=picks, act=st.sampled_from(["withdraw", "tombstone", "confirm", "expire"]))
    def partner_acts(self, pick: int, act: str) -> None:
        held = list(self.remote_numbers)
        if act == "expire":
            self.there.entries.expire(LATER)
        elif held:
            one = held[pick % len(held)]
            state = self.there.entries.get("ncii", one).state
            if act == "withdraw" or state is State.ACTIVE:
                getattr(self.there.entries, act)("ncii", [one])

    @rule(kill=kills)
    def sync(self, kill: int | None) -> None:
        """Pages are transactions: killed, the next time goes on."""
        if not self.store.upstreams.list():
            self._follow()

        def act(store: ChangingStore) -> None:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(sync, "connect", lambda *_, **__: Partner(self.there).client)
                sync_once(store, "there")

        if kill is not None:
            self._killed(act, kill)
        remote, revision = self._remote(), self.there.revision()
        self.do(act, lambda model: model.sync(remote, revision))
        here = {item.remote: item.state for item in self.model.entries.values() if item.linked}
        for number, entry in remote.items():  # what ended there matches nowhere
            assert entry.state is State.ACTIVE or here.get(number) is not State.ACTIVE

    @precondition(lambda self: self.store.upstreams.list())
    @rule(kill=kills)
    def stop_following(self, kill: int | None) -> None:
        def effect(model: Model) -> None:
            model.position = -1
            for item in model.entries.values():
                if item.source == SYNCED:
                    item.end(State.EXPIRED)
                    item.linked = item.ended = False

        def act(store: ChangingStore) -> None:
            remove_upstream(store, "there")

        if kill is not None:
            self._killed(act, kill)
            if self.store.upstreams.list():
                act(self.store)
            self.do(lambda _: None, effect)
        else:
            self.do(act, effect)

    # --- copies ---

    @rule(kill=kills)
    def back_up(self, kill: int | None) -> None:
        path = self.out / f"{len(self.backups)}-{time.monotonic_ns()}.db"
        self.do(lambda store: store.backup(path), lambda _: None, kill)
        # An empty one may stay, of a backup that was killed before the store could remember it.
        assert not [part for part in self.out.glob("*.part*") if part.stat().st_size]
        if not path.exists():
            assert kill is not None
            return
        self.backups.append((path, deepcopy(self.model)))
        gone = [one for one in NUMBERS if one not in self._active_numbers()]
        content = path.read_bytes()
        assert not [one for one in gone if picture(one).pdqs[0] in content]

    @precondition(lambda self: self.backups and self.store.path is not None)
    @rule(pick=picks)
    def go_back(self, pick: int) -> None:
        """Put a backup in the place of the store, whose snapshot stays where it is."""
        path, model = self.backups[pick % len(self.backups)]
        self.store.close()
        for file in self.folder.glob("egide.db*"):
            file.unlink()
        restore_store(path, self.url)
        self.store, self.model = self._open(), deepcopy(model)
        self.revision = self.store.revision()
        self.requests.clear()

    # --- what always holds ---

    def _active_numbers(self) -> set[int]:
        return {item.number for item in self.model.entries.values() if item.state is State.ACTIVE}

    def _asked(self) -> list[Fingerprint]:
        return [
            Fingerprint(
                (Pdq(picture(one).pdqs[0], 90),), sha256=picture(one).sha256, md5=picture(one).md5
            )
            for one in NUMBERS
        ]

    def _expected_matches(self) -> list[set[int]]:
        return [
            {
                entry
                for entry, item in self.model.entries.items()
                if item.number == number and item.matches and self.model.enabled[item.bank]
            }
            for number in NUMBERS
        ]

    @rule()
    def ask_a_served_register(self) -> None:
        with ChangingStore.open(self.url, forget_at_once=False) as store:
            live = LiveRegister(store, rules=None)
            live.start()
            try:
                assert live.wait_until_ready(20)
                end = time.monotonic() + 20
                while live.revision < self.store.revision():
                    assert time.monotonic() < end
                    time.sleep(0.005)
                found = live.search(self._asked()).matches
            finally:
                live.close()
        assert [{match.entry for match in one} for one in found] == self._expected_matches()

    @invariant()
    def what_matches_is_what_is_active(self) -> None:
        if hasattr(self, "store"):
            found = check(self.store, self._asked()).answers
            matched = [{match.entry for match in answer.matches} for answer in found]
            assert matched == self._expected_matches()

    @invariant()
    def the_log_is_whole_and_revisions_only_grow(self) -> None:
        if hasattr(self, "store"):
            self.store.log.verify()
            revision = self.store.revision()
            assert revision >= self.revision
            self.revision = revision

    @invariant()
    def nothing_that_has_ended_is_left(self) -> None:
        if not hasattr(self, "store"):
            return
        assert ended_with_fingerprints(self.store) == 0
        assert self.store.erasure.get().pending_since is None
        active = self._active_numbers()
        gone = [picture(one) for one in NUMBERS if one not in active]
        assert Sought.of(*gone).held_by(self.folder) == []
        with self.store._database.read() as connection:
            rows = connection.execute(sa.text("SELECT entry_id, sealed FROM patches")).all()
        now = {
            (entry, bytes(sealed[:_PIECE])): Sought((bytes(sealed[200:][:_PIECE]),))
            for entry, sealed in rows
        }
        for key in self.pieces.keys() - now.keys():
            assert self.pieces[key].held_by(self.folder) == []
        self.pieces = now
        assert {entry for entry, _ in now} <= {
            entry for entry, item in self.model.entries.items() if item.state is State.ACTIVE
        }

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.there.close()
            type(self).done_with()
            shutil.rmtree(self.top)


_EXPIRES = datetime.now(UTC) + timedelta(days=CaseRules().lifetime_days)


@dataclass(frozen=True)
class RemoteItem:
    number: int
    state: State
    revision: int
    expires: datetime | None


def replace_number(entry: Any, number: int) -> RemoteItem:
    return RemoteItem(number, entry.state, entry.revision, entry.expires and LATER)


def _act_and_die(url: str, act: Act, at: int) -> NoReturn:
    """Be the child: act on the store, and end without a word at the `at`th thing that is done."""
    left = at

    def one_more(*_: object, **__: object) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(act: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*given: Any, **named: Any) -> Any:
            one_more()
            return act(*given, **named)

        return counting

    try:
        store = ChangingStore.open(url)
        for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
            sa.event.listen(store._database._engine, event, one_more)
        for name in ("fsync", "replace", "unlink", "link"):
            setattr(os, name, counted(getattr(os, name)))
        act(store)
        store.close()
    finally:
        os._exit(0)


def _settings() -> settings:
    return settings(
        max_examples=int(os.environ.get("EGIDE_DOORS_EXAMPLES", "3")),
        stateful_step_count=int(os.environ.get("EGIDE_DOORS_STEPS", "20")),
        deadline=None,
        # Not shrunk: a step takes a tenth of a second, and a run is short.
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )


@pytest.fixture(autouse=True)
def _alone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the caches of this machine out of it, and make the databases."""
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if request.cls is TestDoorsOnPostgresql:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database: str = request.getfixturevalue("shared_postgres_store")
        DoorsOnPostgresql.server, DoorsOnPostgresql.database = server, database
        server.empty_store(database)


class DoorsOnSqlite(Doors):
    @staticmethod
    def new_url(folder: Path) -> str:
        return f"sqlite:///{folder}/egide.db"

    @staticmethod
    def done_with() -> None:
        """Its folder goes."""


class DoorsOnPostgresql(Doors):
    server: ClassVar[PostgresServer]
    database: ClassVar[str]

    @staticmethod
    def new_url(_folder: Path) -> str:
        return DoorsOnPostgresql.server.url(DoorsOnPostgresql.database)

    @staticmethod
    def done_with() -> None:
        DoorsOnPostgresql.server.empty_store(DoorsOnPostgresql.database)


TestDoorsOnSqlite = DoorsOnSqlite.TestCase
TestDoorsOnSqlite.settings = _settings()
TestDoorsOnPostgresql = DoorsOnPostgresql.TestCase
TestDoorsOnPostgresql.settings = _settings()
