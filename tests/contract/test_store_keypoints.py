"""What every store does with keypoints, and with codes of frames without their borders."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import pytest
import sqlalchemy as sa

from egide.domain.model import KeypointSet, Registration, State
from egide.errors import (
    BankMissing,
    EntryMissing,
    HashInvalid,
    KeypointKeyMissing,
    KeypointKeyWrong,
)
from egide.hashlist import HashLine, HashListFormat, read_hash_list
from egide.hashlist.write import write_hash_list
from egide.security.sealing import KeypointKey
from egide.store import OutcomeKind
from egide.store.changing import ChangingStore as Store
from egide.store.tables.register import keypoints
from keypoint_samples import keypoint_set

KEY = KeypointKey(b"k" * 32)
OTHER_KEY = KeypointKey(b"o" * 32)
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


def code(number: int) -> bytes:
    return sha256(b"%d" % number).digest()


def picture(number: int, kept: KeypointSet | None = None, **fields: object) -> Registration:
    plain = Registration(pdqs=(code(number),), sha256=code(1000 + number), keypoints=kept)
    return replace(plain, **fields)  # type: ignore[arg-type]


def register(
    store: Store,
    *registrations: Registration,
    key: KeypointKey | None = KEY,
    again: bool = False,
) -> list[tuple[int, OutcomeKind]]:
    done = store.entries.register(
        "helpline", registrations, keypoint_key=key, again=again, outcomes=True
    )
    return [(outcome.entry, outcome.kind) for outcome in done.outcomes]


def kept(store: Store, *banks: str, now: datetime | None = None) -> dict[int, KeypointSet]:
    with store.keypoints.read(KEY, banks or None, now=now) as sealed:
        found = dict(sealed)
    assert sealed.damaged == []
    return found


# --- keeping and reading --------------------------------------------------------------------


def test_keypoints_are_read_as_they_were_registered(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)), picture(2), picture(3, keypoint_set(3, count=600)))
    assert kept(store) == {1: keypoint_set(1), 3: keypoint_set(3, count=600)}
    assert [entry.has_keypoints for entry in store.entries.list("helpline")] == [True, False, True]
    assert [entry.has_keypoints for entry in store.entries.changes(0)] == [True, False, True]
    assert store.entries.get("helpline", 3).has_keypoints
    with store.entries.active() as view:
        assert [entry.has_keypoints for entry in view.entries] == [True, False, True]
    assert store.keypoints.count("helpline") == 2
    assert store.keypoints.entry_ids("helpline") == [1, 3]
    assert store.keypoints.entry_ids("helpline", after=1, limit=5) == [3]
    assert store.keypoints.key_id() == KEY.key_id


def test_hundreds_are_read_in_order(store: Store) -> None:
    register(store, *(picture(number, keypoint_set(number)) for number in range(250)))
    assert list(kept(store).items()) == [
        (number + 1, keypoint_set(number)) for number in range(250)
    ]


def test_a_store_without_keypoints_reads_none_with_any_key(store: Store) -> None:
    register(store, picture(1))
    with store.keypoints.read(OTHER_KEY) as sealed:
        assert list(sealed) == []
        assert sealed.revision == store.revision()
    assert not store.keypoints.held()
    assert store.keypoints.key_id() is None
    assert store.keypoints.count("helpline") == 0


def test_banks_are_read_by_name(store: Store) -> None:
    store.banks.create("other")
    store.entries.register("other", [picture(1, keypoint_set(5))], keypoint_key=KEY)
    assert not store.keypoints.held(["helpline"])
    register(store, picture(1, keypoint_set(1)))
    assert kept(store, "helpline") == {2: keypoint_set(1)}
    assert kept(store, "other") == {1: keypoint_set(5)}
    assert kept(store, "helpline", "other") == kept(store)
    assert store.keypoints.held(["helpline"])
    assert store.keypoints.held()
    with pytest.raises(BankMissing), store.keypoints.read(KEY, ["none"]):
        pass
    with pytest.raises(BankMissing):
        store.keypoints.held(["none"])


def test_what_is_read_is_of_one_moment(store: Store, open_store: Callable[[], Store]) -> None:
    register(store, picture(1, keypoint_set(1)), picture(2, keypoint_set(2)))
    with store.keypoints.read(KEY) as sealed:
        other = open_store()
        other.entries.withdraw("helpline", [2])
        other.entries.register("helpline", [picture(3, keypoint_set(3))], keypoint_key=KEY)
        assert dict(sealed) == {1: keypoint_set(1), 2: keypoint_set(2)}
        assert sealed.revision == other.revision() - 2
    assert set(kept(store)) == {1, 3}


def test_overdue_keypoints_are_not_read(store: Store) -> None:
    register(store, picture(1, keypoint_set(1), expires=FUTURE))
    assert set(kept(store)) == {1}
    assert kept(store, now=FUTURE) == {}


# --- the key --------------------------------------------------------------------------------


def test_without_a_key_nothing_is_registered(store: Store) -> None:
    before = store.revision()
    with pytest.raises(KeypointKeyMissing):
        register(store, picture(1), picture(2, keypoint_set(2)), key=None)
    assert list(store.entries.list("helpline")) == []
    assert store.revision() == before


def test_another_key_is_told_before_anything_is_read_or_written(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)))
    before = store.revision()
    with pytest.raises(KeypointKeyWrong), store.keypoints.read(OTHER_KEY):
        pass
    with pytest.raises(KeypointKeyWrong):
        register(store, picture(2, keypoint_set(2)), key=OTHER_KEY)
    assert store.revision() == before
    register(store, picture(2), key=OTHER_KEY)  # without keypoints no key matters
    assert set(kept(store)) == {1}


def test_after_the_key_is_lost_another_can_take_over(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)), key=OTHER_KEY)
    assert store.keypoints.erase("helpline") == 1
    assert register(store, picture(1, keypoint_set(1))) == [(1, OutcomeKind.KNOWN)]
    assert kept(store) == {1: keypoint_set(1)}


def test_the_store_holds_neither_key_nor_keypoints_in_plain(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)))
    with store._database.read() as connection:
        for table in sa.inspect(connection).get_table_names():
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    assert KEY.secret not in raw
                    assert keypoint_set(1).descriptors[:16] not in raw
                    assert keypoint_set(1).keypoints[:16] not in raw
                    assert keypoint_set(1).signs[:16] not in raw


# --- damage ---------------------------------------------------------------------------------


def change_row(store: Store, entry: int, sealed: bytes) -> None:
    with store._database.write() as connection:
        connection.execute(
            sa.update(keypoints).where(keypoints.c.entry_id == entry).values(sealed=sealed)
        )


def row_of(store: Store, entry: int) -> bytes:
    with store._database.read() as connection:
        query = sa.select(keypoints.c.sealed).where(keypoints.c.entry_id == entry)
        sealed: bytes = connection.execute(query).scalar_one()
        return sealed


@pytest.mark.parametrize("damage", [b"", b"\x01", b"\x02" + bytes(100), b"\x01" + bytes(100)])
def test_a_damaged_row_costs_no_other_and_is_told(store: Store, damage: bytes) -> None:
    register(store, *(picture(number, keypoint_set(number)) for number in range(3)))
    change_row(store, 2, damage)
    with store.keypoints.read(KEY) as sealed:
        assert dict(sealed) == {1: keypoint_set(0), 3: keypoint_set(2)}
    assert sealed.damaged == [2]


def test_a_row_that_was_moved_to_another_entry_is_damaged(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)), picture(2, keypoint_set(2)))
    one, two = row_of(store, 1), row_of(store, 2)
    change_row(store, 1, two)
    change_row(store, 2, one)
    with store.keypoints.read(KEY) as sealed:
        assert list(sealed) == []
    assert sealed.damaged == [1, 2]


def test_a_damaged_row_is_mended_by_registering_again(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)))
    change_row(store, 1, bytes(50))
    register(store, picture(1, keypoint_set(1)))
    assert kept(store) == {1: keypoint_set(1)}


# --- registering again ----------------------------------------------------------------------


def test_a_known_entry_gets_keypoints_and_that_is_a_change(store: Store) -> None:
    register(store, picture(1), picture(2))
    since = store.revision()
    assert register(store, picture(1, keypoint_set(1))) == [(1, OutcomeKind.KNOWN)]
    assert [entry.id for entry in store.entries.changes(since)] == [1]
    assert store.revision_info(store.revision()).entries == 1
    assert kept(store) == {1: keypoint_set(1)}


def test_the_same_keypoints_again_change_nothing_and_others_replace_them(
    store: Store,
) -> None:
    register(store, picture(1, keypoint_set(1)))
    before, sealed = store.revision(), row_of(store, 1)
    register(store, picture(1, keypoint_set(1)), picture(1, keypoint_set(1)))
    assert (store.revision(), row_of(store, 1)) == (before, sealed)
    register(store, picture(1))
    assert (store.revision(), kept(store)) == (before, {1: keypoint_set(1)})
    register(store, picture(1, keypoint_set(2)))
    assert (store.revision(), kept(store)) == (before + 1, {1: keypoint_set(2)})


def test_one_picture_twice_in_a_call_is_one_entry(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)), picture(1, keypoint_set(1)), picture(2))
    assert kept(store) == {1: keypoint_set(1)}
    assert store.revision_info(store.revision()).entries == 2


def test_refused_registrations_leave_no_keypoints(store: Store) -> None:
    register(store, picture(1), picture(2))
    store.entries.withdraw("helpline", [1])
    store.entries.tombstone("helpline", [2])
    before = store.revision()
    done = register(store, picture(1, keypoint_set(1)), picture(2, keypoint_set(2)))
    assert [kind for _, kind in done] == [OutcomeKind.REFUSED] * 2
    assert (store.revision(), kept(store)) == (before, {})


def test_a_renewed_entry_has_the_keypoints_it_is_renewed_with(store: Store) -> None:
    register(store, picture(1, keypoint_set(1)), picture(2, keypoint_set(2)))
    store.entries.withdraw("helpline", [1, 2])
    done = register(store, picture(1, keypoint_set(9)), picture(2), again=True)
    assert [kind for _, kind in done] == [OutcomeKind.RENEWED] * 2
    assert kept(store) == {1: keypoint_set(9)}


@pytest.mark.parametrize("swept", [False, True])
def test_an_expired_entry_renewed_without_keypoints_has_none(store: Store, swept: bool) -> None:
    register(store, picture(1, keypoint_set(1), expires=PAST))
    if swept:
        store.entries.expire()
    assert register(store, picture(1)) == [(1, OutcomeKind.RENEWED)]
    assert kept(store) == {}
    assert not store.entries.get("helpline", 1).has_keypoints


# --- erasing --------------------------------------------------------------------------------


def withdraw(store: Store) -> None:
    store.entries.withdraw("helpline", [1])


def withdraw_source(store: Store) -> None:
    store.entries.withdraw_source("helpline", "her")


def expire(store: Store) -> None:
    store.entries.expire()


def tombstone(store: Store) -> None:
    store.entries.tombstone("helpline", [1])


@pytest.mark.parametrize("end", [withdraw, withdraw_source, expire, tombstone])
def test_whatever_ends_an_entry_ends_its_keypoints(
    store: Store, end: Callable[[Store], None]
) -> None:
    register(
        store, picture(1, keypoint_set(1), source="her", expires=PAST), picture(2, keypoint_set(2))
    )
    end(store)
    assert store.entries.get("helpline", 1).state is not State.ACTIVE
    assert not store.entries.get("helpline", 1).has_keypoints
    with store._database.read() as connection:
        assert connection.execute(sa.select(keypoints.c.entry_id)).scalars().all() == [2]
    assert kept(store) == {2: keypoint_set(2)}


@pytest.mark.parametrize("judge", ["confirm", "dispute"])
def test_a_reviewers_word_leaves_keypoints_alone(store: Store, judge: str) -> None:
    register(store, picture(1, keypoint_set(1)))
    getattr(store.entries, judge)("helpline", [1])
    assert kept(store) == {1: keypoint_set(1)}


def test_keypoints_alone_can_be_erased(store: Store) -> None:
    register(store, *(picture(number, keypoint_set(number)) for number in range(3)), picture(7))
    entry, since = store.entries.get("helpline", 2), store.revision()
    assert store.keypoints.erase("helpline", [2, 4, 2]) == 1
    assert set(kept(store)) == {1, 3}
    after = store.entries.get("helpline", 2)
    changed = {"has_keypoints": False, "revision": since + 1, "changed": after.changed}
    assert after == replace(entry, **changed)  # type: ignore[arg-type]
    assert [entry.id for entry in store.entries.changes(since)] == [2]
    assert store.revision_info(since + 1).action == "erase-patches"
    assert store.keypoints.erase("helpline", [2]) == 0
    assert store.revision() == since + 1
    assert store.keypoints.erase("helpline") == 2
    assert kept(store) == {}


def test_erasing_keypoints_names_what_is_missing(store: Store) -> None:
    store.banks.create("other")
    register(store, picture(1, keypoint_set(1)))
    with pytest.raises(EntryMissing):
        store.keypoints.erase("helpline", [1, 99])
    with pytest.raises(EntryMissing):
        store.keypoints.erase("other", [1])
    with pytest.raises(BankMissing):
        store.keypoints.erase("none")
    assert store.keypoints.erase("other") == 0
    assert kept(store) == {1: keypoint_set(1)}


# --- what leaves the store ------------------------------------------------------------------


@pytest.mark.parametrize("form", HashListFormat)
def test_a_hash_list_is_the_same_with_and_without_keypoints(
    store: Store, form: HashListFormat
) -> None:
    def exported() -> str:
        out = io.StringIO(newline="")
        write_hash_list(store.entries.list("helpline"), out, form)
        return out.getvalue()

    register(store, picture(1))
    before = exported()
    register(store, picture(1, keypoint_set(1)))
    assert exported() == before


def test_entries_show_no_keypoints(store: Store) -> None:
    one = picture(1, keypoint_set(1))
    register(store, one)
    shown = repr([one, *store.entries.list("helpline"), *store.entries.changes(0)])
    for part in (one.keypoints.descriptors, one.keypoints.keypoints) if one.keypoints else ():
        assert part.hex()[:20] not in shown
        assert repr(part)[2:30] not in shown


def test_an_iterable_that_raises_keeps_no_keypoints(store: Store) -> None:
    def broken() -> Iterator[Registration]:
        yield from (picture(number, keypoint_set(1)) for number in range(3))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.entries.register("helpline", broken(), keypoint_key=KEY)
    assert not store.keypoints.held()


# --- codes of frames without their borders --------------------------------------------------


def test_trimmed_codes_are_kept_beside_the_others_once_each(store: Store) -> None:
    trimmed = (code(50), code(1), code(51), code(50))
    register(store, picture(1, trimmed_pdqs=trimmed))
    entry = store.entries.get("helpline", 1)
    assert entry.pdqs == (code(1),)
    assert entry.trimmed_pdqs == (code(50), code(51))
    with store.entries.active() as view:
        assert [one.trimmed_pdqs for one in view.entries] == [(code(50), code(51))]


def test_a_trimmed_code_must_be_a_code(store: Store) -> None:
    with pytest.raises(HashInvalid):
        register(store, picture(1, trimmed_pdqs=(b"short",)))


def test_trimmed_codes_make_no_other_entry(store: Store) -> None:
    register(store, picture(1))
    assert register(store, picture(1, trimmed_pdqs=(code(50),))) == [(1, OutcomeKind.KNOWN)]
    register(store, picture(2, trimmed_pdqs=(code(51),)))
    assert register(store, picture(2)) == [(2, OutcomeKind.KNOWN)]


def test_trimmed_codes_are_erased_with_the_others(store: Store) -> None:
    register(store, picture(1, trimmed_pdqs=(code(50),)))
    store.entries.withdraw("helpline", [1])
    entry = store.entries.get("helpline", 1)
    assert (entry.pdqs, entry.trimmed_pdqs) == ((), ())
    register(store, picture(1), again=True)
    assert store.entries.get("helpline", 1).trimmed_pdqs == ()


def test_an_export_does_not_undo_a_withdrawal(store: Store) -> None:
    register(store, picture(1, trimmed_pdqs=(code(50),)))
    out = io.StringIO(newline="")
    write_hash_list(store.entries.list("helpline"), out, HashListFormat.CSV)
    store.entries.withdraw("helpline", [1])
    lines = read_hash_list(io.BytesIO(out.getvalue().encode()), name="list")
    again = [line.registration(default_source="x") for line in lines if isinstance(line, HashLine)]
    assert store.entries.register("helpline", again).refused == 1
