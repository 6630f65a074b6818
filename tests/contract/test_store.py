"""What every store does, whatever database holds it."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from egide.domain.model import Entry, Registration, State, Trust
from egide.errors import (
    BankExists,
    BankMissing,
    BankNameInvalid,
    EgideError,
    EntryMissing,
    HashInvalid,
    RadiusInvalid,
    StateConflict,
    UsageError,
)
from egide.hashlist import HashLine, HashListFormat, read_hash_list
from egide.hashlist.write import write_hash_list
from egide.store import OutcomeKind
from egide.store.changing import ChangingStore as Store
from egide.store.entries import consent, entries, registering
from egide.store.entries.registering import identity_of
from store_samples import anchored

PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def code(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def picture(number: int, source: str = "local", expires: datetime | None = None) -> Registration:
    return Registration(
        pdqs=(code(number), code(-number - 1)),
        sha256=code(1000 + number),
        md5=code(2000 + number)[:16],
        quality=90,
        source=source,
        note=f"note {number}",
        expires=expires,
    )


def register(store: Store, *registrations: Registration, again: bool = False) -> list[int]:
    done = store.entries.register("helpline", registrations, again=again, outcomes=True)
    return [outcome.entry for outcome in done.outcomes]


def kinds(store: Store, *registrations: Registration, again: bool = False) -> list[OutcomeKind]:
    done = store.entries.register("helpline", registrations, again=again, outcomes=True)
    return [outcome.kind for outcome in done.outcomes]


def holds_nothing(entry: Entry) -> bool:
    return (entry.pdqs, entry.sha256, entry.md5, entry.note) == ((), None, None, "")


# --- banks ----------------------------------------------------------------------------------


def test_a_new_store_is_empty_at_revision_0(open_store: Callable[[], Store]) -> None:
    store = open_store()
    assert store.revision() == 0
    assert store.banks.list() == []
    assert list(store.entries.changes(0)) == []


def test_a_bank_is_found_by_its_name(store: Store) -> None:
    made = store.banks.create("other", radius_bits=20, description="é")
    assert store.banks.get("other") == made
    assert (made.radius_bits, made.description, made.enabled) == (20, "é", True)
    assert [bank.name for bank in store.banks.list()] == ["helpline", "other"]


def test_a_bank_changes_where_it_is_asked_to(store: Store) -> None:
    changed = store.banks.update("helpline", radius_bits=0, enabled=False)
    assert store.banks.get("helpline") == changed
    assert (changed.radius_bits, changed.description, changed.enabled) == (0, "", False)
    before = store.revision()
    assert store.banks.update("helpline", radius_bits=0) == changed
    assert store.revision() == before


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "x" * 65, "a\n"])
def test_a_bank_name_is_plain(store: Store, name: str) -> None:
    with pytest.raises(BankNameInvalid):
        store.banks.create(name)


def test_a_bank_that_will_not_do_leaves_no_trace(store: Store) -> None:
    before = store.revision()
    with pytest.raises(BankExists):
        store.banks.create("helpline")
    for radius_bits in (-1, 64):
        with pytest.raises(RadiusInvalid):
            store.banks.create("other", radius_bits=radius_bits)
        with pytest.raises(RadiusInvalid):
            store.banks.update("helpline", radius_bits=radius_bits)
    assert [bank.name for bank in store.banks.list()] == ["helpline"]
    assert store.revision() == before


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.banks.get("none"),
        lambda store: store.banks.counts("none"),
        lambda store: store.banks.update("none", enabled=True),
        lambda store: store.entries.register("none", []),
        lambda store: store.entries.get("none", 1),
        lambda store: store.entries.list("none"),
        lambda store: store.entries.withdraw("none", [1]),
        lambda store: store.entries.withdraw_source("none", "local"),
        lambda store: store.entries.confirm("none", [1]),
        lambda store: store.entries.tombstone("none", [1]),
        lambda store: store.entries.expire(bank="none"),
    ],
)
def test_an_unknown_bank_is_named(store: Store, call: Callable[[Store], object]) -> None:
    with pytest.raises(BankMissing, match="No bank none"):
        call(store)


# --- registering ----------------------------------------------------------------------------


def test_what_is_registered_can_be_read(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    asked = replace(picture(1, expires=FUTURE), trust=Trust.CONFIRMED)
    (number,) = register(store, asked)
    entry = store.entries.get("helpline", number)
    assert (entry.id, entry.bank) == (number, "helpline")
    assert (entry.pdqs, entry.sha256, entry.md5) == (asked.pdqs, asked.sha256, asked.md5)
    assert (entry.quality, entry.source, entry.note) == (90, "local", "note 1")
    assert (entry.trust, entry.state) == (Trust.CONFIRMED, State.ACTIVE)
    assert entry.expires == FUTURE
    assert before <= entry.added == entry.changed <= datetime.now(UTC)
    assert entry.revision == store.revision()


def test_digests_alone_can_be_registered(store: Store) -> None:
    (number,) = register(store, Registration(pdqs=(), md5=code(1)[:16]))
    entry = store.entries.get("helpline", number)
    assert (entry.pdqs, entry.sha256, entry.md5) == ((), None, code(1)[:16])


def test_registering_twice_changes_nothing(store: Store) -> None:
    first = register(store, picture(1), picture(2))
    before = store.revision()
    assert register(store, replace(picture(2), note="other", trust=Trust.CONFIRMED)) == first[1:]
    done = store.entries.register("helpline", [picture(1), picture(1)])
    assert (done.added, done.renewed, done.known, done.refused) == (0, 0, 2, 0)
    assert done.revision == store.revision() == before
    assert store.entries.get("helpline", first[1]).note == "note 2"


def test_the_same_picture_twice_in_one_call_is_one_entry(store: Store) -> None:
    first, second, other = register(store, picture(1), picture(1), picture(2))
    assert first == second != other


def test_two_sources_of_one_picture_are_two_entries(store: Store) -> None:
    hers, theirs = register(store, picture(1, "her"), picture(1, "them"))
    store.entries.withdraw("helpline", [hers])
    assert holds_nothing(store.entries.get("helpline", hers))
    assert store.entries.get("helpline", theirs).pdqs == picture(1).pdqs


def test_two_banks_do_not_know_each_other(store: Store) -> None:
    store.banks.create("other")
    (here,) = register(store, picture(1))
    (there,) = (
        outcome.entry
        for outcome in store.entries.register("other", [picture(1)], outcomes=True).outcomes
    )
    assert here != there
    with pytest.raises(EntryMissing):
        store.entries.get("other", here)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done in thousands is done in tens."""
    for module in (consent, registering):
        monkeypatch.setattr(module, "_CHUNK", 20)
    monkeypatch.setattr(entries, "_PAGE", 50)


@pytest.mark.usefixtures("small_chunks")
def test_many_keep_their_order(store: Store) -> None:
    numbers = register(store, *(picture(number) for number in range(45)))
    assert numbers == sorted(set(numbers))
    assert [entry.sha256 for entry in store.entries.list("helpline")] == [
        picture(number).sha256 for number in range(45)
    ]


@pytest.mark.usefixtures("small_chunks")
def test_an_iterable_that_raises_registers_nothing(store: Store) -> None:
    before = store.revision()

    def broken() -> Iterator[Registration]:
        yield from (picture(number) for number in range(25))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.entries.register("helpline", broken())
    assert list(store.entries.list("helpline")) == []
    assert store.revision() == before


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Registration(pdqs=(bytes(31),)), HashInvalid),
        (Registration(pdqs=(), sha256=bytes(16)), HashInvalid),
        (Registration(pdqs=(), md5=bytes(32)), HashInvalid),
        (Registration(pdqs=()), UsageError),
        (replace(picture(1), source=""), UsageError),
        (replace(picture(1), source="\0"), UsageError),
        (replace(picture(1), note="\udcff"), UsageError),
        (replace(picture(1), note="x" * 5000), UsageError),
    ],
)
def test_an_impossible_registration_undoes_the_call(
    store: Store, bad: Registration, error: type[EgideError]
) -> None:
    with pytest.raises(error):
        store.entries.register("helpline", [picture(2), bad])
    assert list(store.entries.list("helpline")) == []


pieces = st.binary(max_size=3).map(lambda some: (some * 32)[:32])


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "ab", "a" * 32]),
            st.lists(pieces.filter(bool).map(lambda p: p.ljust(32, b"a")), max_size=2),
            st.none() | st.just(b"a" * 32),
            st.none() | st.just(b"a" * 16),
        ).filter(lambda parts: parts[1] or parts[2] or parts[3]),
        min_size=2,
        max_size=2,
    )
)
def test_only_equal_registrations_share_an_identity(
    parts: list[tuple[str, list[bytes], bytes | None, bytes | None]],
) -> None:
    one, two = (
        Registration(pdqs=tuple(codes), sha256=digest, md5=md5, source=source)
        for source, codes, digest, md5 in parts
    )
    same = identity_of(one, b"k" * 32) == identity_of(two, b"k" * 32)
    assert same is (parts[0] == parts[1])
    assert identity_of(one, b"k" * 32) != identity_of(one, b"l" * 32)


# --- consent --------------------------------------------------------------------------------


def test_a_withdrawn_entry_holds_no_fingerprint(store: Store) -> None:
    first, second = register(store, picture(1), picture(2))
    revision = store.entries.withdraw("helpline", [first])
    entry = store.entries.get("helpline", first)
    assert entry.state is State.WITHDRAWN
    assert holds_nothing(entry)
    assert entry.revision == revision == store.revision()
    assert store.entries.get("helpline", second).state is State.ACTIVE


def test_withdrawing_twice_changes_nothing(store: Store) -> None:
    numbers = register(store, picture(1), picture(2))
    store.entries.withdraw("helpline", numbers[:1])
    once = store.entries.withdraw("helpline", numbers)
    assert store.entries.withdraw("helpline", [*numbers, *numbers]) == once == store.revision()


def test_a_withdrawn_picture_is_refused_until_its_person_says_otherwise(
    store: Store,
) -> None:
    numbers = register(store, picture(1))
    store.entries.withdraw("helpline", numbers)
    before = store.revision()
    assert kinds(store, picture(1)) == [OutcomeKind.REFUSED]
    assert store.revision() == before
    assert holds_nothing(store.entries.get("helpline", numbers[0]))
    assert register(store, picture(1), again=True) == numbers
    assert store.entries.get("helpline", numbers[0]).pdqs == picture(1).pdqs
    assert store.entries.get("helpline", numbers[0]).state is State.ACTIVE


@pytest.mark.usefixtures("small_chunks")
def test_all_that_one_source_registered_is_withdrawn_at_once(store: Store) -> None:
    register(store, *(picture(number, "her") for number in range(21)))
    kept, false_match = register(store, picture(1, "them"), picture(5000, "her"))
    store.entries.tombstone("helpline", [false_match])
    revision = store.entries.withdraw_source("helpline", "her")
    counts = store.banks.counts("helpline")
    assert counts.state(State.WITHDRAWN) == 22
    assert store.entries.get("helpline", kept).state is State.ACTIVE
    assert store.entries.get("helpline", false_match).state is State.WITHDRAWN
    assert store.revision_info(revision).entries == 22
    assert store.entries.withdraw_source("helpline", "her") == revision


def test_a_tombstoned_entry_is_erased_and_never_comes_back(store: Store) -> None:
    numbers = register(store, picture(1))
    revision = store.entries.tombstone("helpline", numbers)
    assert store.entries.tombstone("helpline", numbers) == revision
    entry = store.entries.get("helpline", numbers[0])
    assert entry.state is State.TOMBSTONED
    assert holds_nothing(entry)
    assert kinds(store, picture(1), again=True) == [OutcomeKind.REFUSED]


def test_an_expired_entry_holds_nothing_and_can_be_renewed(store: Store) -> None:
    soon, late, never = register(
        store, picture(1, expires=PAST), picture(2, expires=FUTURE), picture(3)
    )
    assert store.entries.expire(PAST - timedelta(seconds=1)) == 0
    assert store.entries.expire() == 1
    assert store.entries.expire() == 0
    assert store.entries.get("helpline", soon).state is State.EXPIRED
    assert holds_nothing(store.entries.get("helpline", soon))
    assert [store.entries.get("helpline", n).state for n in (late, never)] == [State.ACTIVE] * 2
    assert kinds(store, picture(1, expires=FUTURE)) == [OutcomeKind.RENEWED]
    renewed = store.entries.get("helpline", soon)
    assert (renewed.state, renewed.expires) == (State.ACTIVE, FUTURE)
    assert renewed.pdqs == picture(1).pdqs


def test_an_overdue_entry_is_renewed_before_anyone_sweeps(store: Store) -> None:
    register(store, picture(1, expires=PAST))
    assert kinds(store, picture(1, expires=PAST)) == [OutcomeKind.KNOWN]
    assert kinds(store, picture(1)) == [OutcomeKind.RENEWED]
    assert store.entries.expire() == 0


def test_one_bank_can_be_swept_alone(store: Store) -> None:
    store.banks.create("other")
    store.entries.register("other", [picture(1, expires=PAST)])
    register(store, picture(1, expires=PAST))
    assert store.entries.expire(bank="other") == 1
    assert store.banks.counts("helpline").state(State.ACTIVE) == 1


def test_an_expired_entry_can_be_withdrawn(store: Store) -> None:
    numbers = register(store, picture(1, expires=PAST))
    store.entries.expire()
    store.entries.withdraw("helpline", numbers)
    assert kinds(store, picture(1)) == [OutcomeKind.REFUSED]


def test_reviewers_confirm_and_dispute(store: Store) -> None:
    first, second = register(store, picture(1), picture(2))
    revision = store.entries.confirm("helpline", [first, second])
    assert store.entries.confirm("helpline", [first]) == revision
    store.entries.dispute("helpline", [second])
    assert store.entries.get("helpline", first).trust is Trust.CONFIRMED
    assert store.entries.get("helpline", second).trust is Trust.DISPUTED
    counts = store.banks.counts("helpline")
    assert counts.by_state_and_trust == {
        (State.ACTIVE, Trust.CONFIRMED): 1,
        (State.ACTIVE, Trust.DISPUTED): 1,
    }
    assert (counts.total, counts.trust(Trust.CONFIRMED)) == (2, 1)


@pytest.mark.parametrize("action", ["withdraw", "tombstone", "confirm", "dispute"])
@pytest.mark.parametrize("missing", [0, -1, 99, 2**63, 2**70])
def test_a_missing_entry_is_named_and_the_others_are_left(
    store: Store, action: str, missing: int
) -> None:
    numbers = register(store, picture(1))
    before = store.revision()
    with pytest.raises(EntryMissing, match=f"No entry {missing} in bank helpline"):
        getattr(store.entries, action)("helpline", [*numbers, missing])
    with pytest.raises(EntryMissing):
        store.entries.get("helpline", missing)
    assert store.entries.get("helpline", numbers[0]).trust is Trust.UNVERIFIED
    assert store.entries.get("helpline", numbers[0]).state is State.ACTIVE
    assert store.revision() == before


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("withdraw", "confirm"),
        ("withdraw", "dispute"),
        ("withdraw", "tombstone"),
        ("tombstone", "confirm"),
    ],
)
def test_what_does_not_follow_is_refused(store: Store, first: str, then: str) -> None:
    done, fresh = register(store, picture(1), picture(2))
    getattr(store.entries, first)("helpline", [done])
    before = store.revision()
    with pytest.raises(StateConflict, match=f"Entry {done} is {first[:4]}"):
        getattr(store.entries, then)("helpline", [fresh, done])
    assert store.entries.get("helpline", fresh).trust is Trust.UNVERIFIED
    assert store.revision() == before


@pytest.mark.parametrize("state", list(State))
def test_a_person_can_withdraw_from_every_state(store: Store, state: State) -> None:
    (entry,) = register(store, picture(1, expires=PAST if state is State.EXPIRED else None))
    {State.TOMBSTONED: store.entries.tombstone, State.WITHDRAWN: store.entries.withdraw}.get(
        state, lambda *_: store.entries.expire()
    )("helpline", [entry])
    assert store.entries.get("helpline", entry).state is state
    store.entries.withdraw("helpline", [entry])
    assert store.entries.get("helpline", entry).state is State.WITHDRAWN
    assert holds_nothing(store.entries.get("helpline", entry))


# --- revisions and reading ------------------------------------------------------------------


def test_each_change_makes_one_revision_that_says_what_it_was(store: Store) -> None:
    register(store, picture(1), picture(2, expires=PAST))
    numbers = [entry.id for entry in store.entries.list("helpline")]
    store.entries.confirm("helpline", numbers)
    store.entries.expire()
    store.entries.withdraw("helpline", numbers[:1])
    told = [store.revision_info(number) for number in range(1, store.revision() + 1)]
    assert [(one.id, one.action, one.bank, one.entries) for one in told] == [
        (1, "create-bank", "helpline", 0),
        (2, "register", "helpline", 2),
        (3, "confirm", "helpline", 2),
        (4, "expire", None, 1),
        (5, "withdraw", "helpline", 1),
    ]
    assert told[0].at.tzinfo is UTC
    with pytest.raises(UsageError, match="no revision 6"):
        store.revision_info(6)


def test_changes_tell_registration_judgement_and_withdrawal_alike(store: Store) -> None:
    first, second, third = register(store, picture(1), picture(2), picture(3))
    since = store.revision()
    assert list(store.entries.changes(since)) == []
    store.entries.confirm("helpline", [third])
    store.entries.withdraw("helpline", [first])
    told = list(store.entries.changes(since))
    assert [(entry.id, entry.state, entry.trust) for entry in told] == [
        (third, State.ACTIVE, Trust.CONFIRMED),
        (first, State.WITHDRAWN, Trust.UNVERIFIED),
    ]
    assert [entry.id for entry in store.entries.changes(0)] == [second, third, first]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12))
def test_a_follower_with_a_limit_misses_nothing(store: Store, limit: int) -> None:
    if store.revision() == 1:
        numbers = register(store, *(picture(number) for number in range(12)))
        store.entries.confirm("helpline", numbers[::3])
        store.entries.withdraw("helpline", numbers[1::4])
    seen: list[Entry] = []
    since, after = 0, None
    while part := list(store.entries.changes(since, after_entry=after, limit=limit)):
        assert len(part) <= limit
        seen += part
        since, after = part[-1].revision, part[-1].id
    assert seen == list(store.entries.changes(0))


@pytest.mark.usefixtures("small_chunks")
def test_pages_join_without_gap_or_repeat(store: Store) -> None:
    register(store, *(picture(number) for number in range(51)))
    store.entries.confirm("helpline", [51, 1])
    assert [entry.id for entry in store.entries.list("helpline")] == list(range(1, 52))
    assert [entry.id for entry in store.entries.changes(0)] == [*range(2, 51), 1, 51]


def test_entries_are_filtered(store: Store) -> None:
    one, two, three = register(store, picture(1, "her"), picture(2, "her"), picture(3))
    store.entries.confirm("helpline", [two])
    store.entries.withdraw("helpline", [one])

    def numbers(**which: object) -> list[int]:
        return [entry.id for entry in store.entries.list("helpline", **which)]  # type: ignore[arg-type]

    assert numbers() == [one, two, three]
    assert numbers(state=State.WITHDRAWN) == [one]
    assert numbers(trust=Trust.CONFIRMED) == [two]
    assert numbers(source="her", state=State.ACTIVE) == [two]
    assert numbers(after=one, limit=1) == [two]
    assert numbers(limit=0) == []


def test_entries_may_be_changed_while_they_are_listed(store: Store) -> None:
    register(store, *(picture(number) for number in range(3)))
    for entry in store.entries.list("helpline"):
        store.entries.withdraw("helpline", [entry.id])
    assert store.banks.counts("helpline").state(State.WITHDRAWN) == 3


def test_the_active_view_is_of_one_moment(store: Store, open_store: Callable[[], Store]) -> None:
    store.banks.create("other")
    first, second = register(store, picture(1), picture(2))
    store.entries.withdraw("helpline", [first])
    with store.entries.active() as view:
        open_store().entries.register("other", [picture(3)])
        assert [entry.id for entry in view.entries] == [second]
        assert view.revision == store.revision() - 1
        assert view.store_id == store.id
        assert [bank.name for bank in view.banks] == ["helpline", "other"]


def test_another_process_sees_the_same_store(store: Store, open_store: Callable[[], Store]) -> None:
    other = open_store()
    numbers = register(store, picture(1))
    assert other.id == store.id
    assert [entry.id for entry in other.entries.list("helpline")] == numbers
    assert kinds(other, picture(1)) == [OutcomeKind.KNOWN]


def test_an_export_imported_elsewhere_is_the_same(
    store: Store, open_store: Callable[[], Store]
) -> None:
    first = replace(picture(1), anchored=anchored(1))
    register(store, first, picture(2, "=her", FUTURE), Registration((), md5=code(3)[:16]))
    out = io.StringIO(newline="")
    entries = store.entries.list("helpline", anchored=True)
    assert write_hash_list(entries, out, HashListFormat.CSV) == 3
    store.banks.create("copy")
    lines = list(read_hash_list(io.BytesIO(out.getvalue().encode()), name="list"))
    registrations = [
        line.registration(default_source="list") for line in lines if isinstance(line, HashLine)
    ]
    assert store.entries.register("helpline", registrations).known == 3
    assert store.entries.register("copy", registrations).added == 3
    blank = {"id": 0, "bank": "", "revision": 0, "added": PAST, "changed": PAST}

    def of(bank: str) -> list[Entry]:
        listed = store.entries.list(bank, anchored=True)
        return [replace(entry, **blank) for entry in listed]  # type: ignore[arg-type]

    assert of("copy") == of("helpline")
    assert [entry.anchored for entry in of("copy")] == [anchored(1), None, None]
