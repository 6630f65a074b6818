"""Accounts of a helpline's workers and sessions, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from egide.domain.staff import Credentials, Staff
from egide.errors import NameInvalid, StaffExists, StaffMissing
from egide.store.access.sessions import TOUCH_S, Sessions
from egide.store.changing import ChangingStore as Store

SECRET = b"s" * 20
OTHER_SECRET = b"t" * 20
NOW = 1_900_000_000


def account(store: Store, name: str = "amina") -> Staff:
    return store.staff.create(name, "hash of " + name, SECRET)


def credentials(store: Store, name: str = "amina") -> Credentials:
    found = store.staff.credentials(name)
    assert found is not None
    return found


def logged(store: Store) -> list[tuple[str, str, object]]:
    return [
        (record.actor, record.action, record.detail.get("staff"))
        for record in store.log.records()
        if record.action.startswith("staff-")
    ]


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(store: Store, clock: Clock) -> Sessions:
    return Sessions(store._database, clock)


class TestStaff:
    def test_account_is_found_by_name_and_number(self, store: Store) -> None:
        made = account(store)
        assert (made.name, made.disabled, made.actor) == ("amina", None, "staff:amina")
        assert store.staff.find(made.id) == made
        assert credentials(store) == Credentials(made, "hash of amina", SECRET, None)
        assert store.staff.list() == [made]

    def test_name_is_found_however_a_telephone_writes_it(self, store: Store) -> None:
        made = account(store, "Amina")
        assert made.name == "amina"
        assert credentials(store, " AMINA ").staff == made
        with pytest.raises(StaffExists):
            account(store, "AMINA")

    @pytest.mark.parametrize(
        "name", ["", "a b", "local", "Egide", "staff:x", "a" * 65, "é", "a\n\n."]
    )
    def test_name_that_the_log_could_misread_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(NameInvalid):
            account(store, name)
        assert store.staff.list() == []

    def test_unknown_account_is_none_or_an_error(self, store: Store) -> None:
        for name in ("nobody", "", "a\0b", "é", "a" * 9999):
            assert store.staff.credentials(name) is None
            with pytest.raises(StaffMissing):
                store.staff.disable(name)
        assert store.staff.find(1) is None
        for act in (store.staff.disable, store.staff.enable, store.staff.remove):
            with pytest.raises(StaffMissing):
                act("nobody")
        with pytest.raises(StaffMissing):
            store.staff.reset("nobody", "x", SECRET)
        assert logged(store) == []

    def test_code_is_taken_once_and_none_before_it_later(self, store: Store) -> None:
        account(store)
        checked = credentials(store)
        assert store.staff.signed_in(checked, 100)
        assert not store.staff.signed_in(checked, 100)
        assert not store.staff.signed_in(checked, 99)
        assert store.staff.signed_in(checked, 101)
        assert credentials(store).last_step == 101
        assert logged(store)[1:] == [("staff:amina", "staff-sign-in", None)] * 2

    def test_of_sign_ins_at_once_with_one_code_one_succeeds(
        self, open_store: Callable[[], Store]
    ) -> None:
        stores = [open_store() for _ in range(4)]
        account(stores[0])
        checked = credentials(stores[0])
        start = threading.Barrier(len(stores))
        taken: list[bool] = []

        def sign_in(store: Store) -> None:
            start.wait()
            taken.append(store.staff.signed_in(checked, 100))

        threads = [threading.Thread(target=sign_in, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(taken) == [False, False, False, True]

    @pytest.mark.parametrize("act", ["disable", "remove", "reset"])
    def test_sign_in_that_was_checked_before_an_account_was_shut_is_too_late(
        self, store: Store, act: str
    ) -> None:
        account(store)
        checked = credentials(store)
        if act == "reset":
            store.staff.reset("amina", "other", OTHER_SECRET)
        else:
            getattr(store.staff, act)("amina")
        assert not store.staff.signed_in(checked, 100)

    def test_reset_replaces_what_opens_the_account(self, store: Store) -> None:
        account(store)
        store.staff.signed_in(credentials(store), 100)
        store.staff.disable("amina")
        changed = store.staff.reset("amina", "other", OTHER_SECRET)
        assert credentials(store) == Credentials(changed, "other", OTHER_SECRET, None)
        assert changed.disabled is not None

    def test_disabled_account_opens_again_as_it_was(self, store: Store) -> None:
        made = account(store)
        store.staff.signed_in(credentials(store), 100)
        shut = store.staff.disable("amina")
        assert shut.disabled is not None
        assert store.staff.enable("amina") == made
        assert credentials(store).last_step == 100

    def test_what_changes_nothing_is_not_logged(self, store: Store) -> None:
        account(store)
        store.staff.enable("amina")
        first = store.staff.disable("amina")
        assert store.staff.disable("amina") == first
        assert [action for _, action, _ in logged(store)] == ["staff-add", "staff-disable"]

    @pytest.mark.parametrize("act", ["disable", "enable", "remove", "reset"])
    def test_changes_end_the_sessions_of_that_account_alone(self, store: Store, act: str) -> None:
        one, other = account(store), account(store, "ben")
        if act == "enable":
            store.staff.disable("amina")
        # The third has the same number, of a case.
        tokens = [
            store.sessions.start("staff", one.id, idle_s=60, longest_s=60),
            store.sessions.start("staff", other.id, idle_s=60, longest_s=60),
            store.sessions.start("case", one.id, idle_s=60, longest_s=60),
        ]
        if act == "reset":
            store.staff.reset("amina", "other", OTHER_SECRET)
        else:
            getattr(store.staff, act)("amina")
        assert [store.sessions.find(token) is not None for token in tokens] == [False, True, True]

    def test_removed_account_leaves_nothing_but_the_log(self, store: Store) -> None:
        made = account(store)
        assert store.staff.remove("amina") == made
        assert store.staff.list() == []
        assert store.staff.credentials("amina") is None
        again = account(store)
        assert again.id != made.id  # so that no old session is theirs
        assert logged(store) == [
            ("local", "staff-add", "amina"),
            ("local", "staff-remove", "amina"),
            ("local", "staff-add", "amina"),
        ]

    def test_log_names_who_did_it_and_stays_whole(self, store: Store) -> None:
        account(store.acting_as("boss"))
        store.staff.signed_in(credentials(store), 5)
        assert logged(store) == [
            ("boss", "staff-add", "amina"),
            ("staff:amina", "staff-sign-in", None),
        ]
        store.log.verify()

    def test_repr_shows_nothing_to_sign_in_with(self, store: Store) -> None:
        account(store)
        shown = repr(credentials(store))
        assert "hash of" not in shown
        assert repr(SECRET) not in shown

    def test_account_stands_from_a_sign_in_until_it_is_changed(self, store: Store) -> None:
        assert not store.staff.stands(1)
        for change in ("reset", "disable", "remove"):
            member = account(store, change)
            assert not store.staff.stands(member.id)
            assert store.staff.signed_in(credentials(store, change), 9)
            assert store.staff.stands(member.id)
            more = ("another", SECRET) if change == "reset" else ()
            getattr(store.staff, change)(change, *more)
            assert not store.staff.stands(member.id)


class TestSessions:
    def test_token_finds_its_session(self, sessions: Sessions) -> None:
        token = sessions.start("staff", 7, idle_s=900, longest_s=3600)
        found = sessions.find(token)
        assert found is not None
        assert (found.kind, found.subject_id, found.idle_s) == ("staff", 7, 900)
        assert found.created == datetime.fromtimestamp(NOW, UTC)
        assert found.ends - found.created == timedelta(hours=1)
        assert sessions.find(token[:-1]) is None
        assert sessions.find("") is None

    def test_tokens_differ_and_none_is_kept(self, store: Store, sessions: Sessions) -> None:
        tokens = {sessions.start("case", 1, idle_s=60, longest_s=60) for _ in range(5)}
        assert len(tokens) == 5
        assert all(len(token) == 43 for token in tokens)
        with store._database.read() as connection:
            rows = connection.execute(sa.text("SELECT * FROM sessions")).all()
        assert len(rows) == 5
        assert not any(token in repr(rows) for token in tokens)
        assert not any(repr(token.encode())[2:-1] in repr(rows) for token in tokens)

    def test_use_moves_the_idle_end_on(self, sessions: Sessions, clock: Clock) -> None:
        token = sessions.start("case", 1, idle_s=60, longest_s=1000)
        for _ in range(5):
            clock.now += 59
            assert sessions.find(token) is not None
        clock.now += 60
        assert sessions.find(token) is None

    def test_use_soon_after_another_is_not_written(
        self, store: Store, sessions: Sessions, clock: Clock
    ) -> None:
        def seen() -> int:
            with store._database.read() as connection:
                return int(connection.execute(sa.text("SELECT seen FROM sessions")).scalar_one())

        token = sessions.start("case", 1, idle_s=60, longest_s=1000)
        clock.now += TOUCH_S - 1
        assert sessions.find(token) is not None
        assert seen() == NOW
        clock.now += 1
        assert sessions.find(token) is not None
        assert seen() == NOW + TOUCH_S

    def test_session_lives_on_while_nothing_can_be_written(
        self, store_url: str, store: Store, clock: Clock
    ) -> None:
        with Store.open(store_url, busy_timeout_s=0.1) as impatient:
            sessions = Sessions(impatient._database, clock)
            token = sessions.start("case", 1, idle_s=60, longest_s=1000)
            clock.now += 59
            with store._database.write():
                assert sessions.find(token) is not None
                sessions.end("nobody's")  # which waits for no writer
                clock.now += 1
                assert sessions.find(token) is None

    def test_session_ends_at_its_longest_however_it_is_used(
        self, sessions: Sessions, clock: Clock
    ) -> None:
        token = sessions.start("staff", 1, idle_s=60, longest_s=100)
        clock.now += 50
        assert sessions.find(token) is not None
        clock.now += 49
        assert sessions.find(token) is not None
        clock.now += 1
        assert sessions.find(token) is None

    def test_ended_session_stays_ended(self, sessions: Sessions) -> None:
        token = sessions.start("staff", 1, idle_s=60, longest_s=100)
        other = sessions.start("staff", 1, idle_s=60, longest_s=100)
        sessions.end(token)
        sessions.end(token)
        assert sessions.find(token) is None
        assert sessions.find(other) is not None

    def test_all_of_a_subject_end_together(self, sessions: Sessions) -> None:
        own = [sessions.start("case", 1, idle_s=60, longest_s=100) for _ in range(2)]
        others = [
            sessions.start("case", 2, idle_s=60, longest_s=100),
            sessions.start("staff", 1, idle_s=60, longest_s=100),
        ]
        sessions.end_all("case", 1)
        assert [sessions.find(token) for token in own] == [None, None]
        assert None not in [sessions.find(token) for token in others]

    def test_forgetting_takes_those_that_are_over(self, sessions: Sessions) -> None:
        idle = sessions.start("case", 1, idle_s=10, longest_s=1000)
        old = sessions.start("case", 1, idle_s=1000, longest_s=20)
        live = sessions.start("case", 1, idle_s=1000, longest_s=1000)
        later = datetime.fromtimestamp(NOW + 30, UTC)
        assert sessions.forget(later) == 2
        assert sessions.forget(later) == 0
        assert [sessions.find(token) is not None for token in (idle, old, live)] == [
            False,
            False,
            True,
        ]
