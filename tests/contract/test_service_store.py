"""Keys, approvals, answers kept and feedback, whatever database holds them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from egide.domain.access import DEFAULT_RATES, Key, Role, parse_token, secret_matches
from egide.domain.model import FeedbackKind, Registration, State
from egide.errors import (
    ApprovalInvalid,
    ApprovalNeeded,
    BankMissing,
    EntryMissing,
    Forbidden,
    IdempotencyBusy,
    IdempotencyConflict,
    KeyExists,
    KeyMissing,
    LogBroken,
    NameInvalid,
    UsageError,
)
from egide.live.snapshots import build_store_snapshot, snapshot_path
from egide.store import ApprovalState, StoredAnswer
from egide.store.changing import ChangingStore as Store
from egide.store.entries.banks import Banks
from egide.usecases.approvals import TwoPeople
from egide.usecases.banks import create_bank, empty_bank, update_bank
from egide.usecases.keys import create_key, list_keys, revoke_key
from egide.usecases.log import log_page

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DIGEST = sha256(b"a request").digest()


@pytest.fixture
def patient(store: Store, store_url: str) -> Iterator[Store]:
    """The same store for many threads, which wait for one another as long as it takes."""
    with Store.open(store_url, busy_timeout_s=60) as opened:
        yield opened


def key(
    store: Store, name: str, role: Role = Role.MATCHER, holder: str = "", **more: object
) -> Key:
    return store.keys.create(name, role, holder or f"person of {name}", **more)[0]  # type: ignore[arg-type]


def registered(store: Store, number: int, bank: str = "helpline") -> int:
    fingerprint = Registration((sha256(b"%d" % number).digest(),))
    return store.entries.register(bank, [fingerprint], outcomes=True).outcomes[0].entry


def logged(store: Store) -> list[tuple[str, str]]:
    return [(record.actor, record.action) for record in store.log.records()]


def rows(store: Store) -> str:
    """Everything that is in the tables of service, as text."""
    with store._database.read() as connection:
        return repr(
            [
                connection.execute(sa.text(f"SELECT * FROM {table}")).all()
                for table in ("keys", "key_banks", "key_usage", "approvals", "idempotency", "log")
            ]
        )


class TestKeys:
    def test_token_opens_the_key_that_it_was_made_for(self, store: Store) -> None:
        made, token = store.keys.create("uploads", Role.MATCHER, "The platform", expires=NOW)
        parsed = parse_token(token)
        assert parsed is not None
        found = store.keys.find(parsed[0])
        assert found is not None
        assert found[0] == made
        assert secret_matches(parsed[1], found[1])
        assert not secret_matches(bytes(32), found[1])
        assert (made.role, made.holder, made.expires) == (Role.MATCHER, "The platform", NOW)
        assert made.created_by == "local"
        assert (made.per_second, made.per_day) == (
            DEFAULT_RATES[Role.MATCHER].per_second,
            DEFAULT_RATES[Role.MATCHER].per_day,
        )

    def test_secret_is_nowhere_in_the_store(self, store: Store) -> None:
        _, token = store.keys.create("uploads", Role.MATCHER, "x")
        parsed = parse_token(token)
        assert parsed is not None
        everything = rows(store)
        assert parsed[0] in everything
        assert token[-43:] not in everything
        assert parsed[1].hex() not in everything
        assert repr(parsed[1])[2:-1] not in everything

    def test_unknown_handle_is_found_nowhere(self, store: Store) -> None:
        key(store, "uploads")
        assert store.keys.find("aaaaaaaaaaaa") is None

    def test_banks_of_a_key_are_its_scope(self, store: Store) -> None:
        store.banks.create("other")
        made = key(store, "one", banks=["other"])
        assert made.banks == ("other",)
        assert key(store, "both", banks=["other", "helpline"]).banks == ("helpline", "other")
        assert key(store, "all").banks is None
        assert [one.banks for one in store.keys.list()] == [
            ("other",),
            ("helpline", "other"),
            None,
        ]
        assert store.keys.get("one") == made

    def test_nothing_stays_of_a_key_for_a_bank_that_is_missing(self, store: Store) -> None:
        with pytest.raises(BankMissing):
            key(store, "uploads", banks=["helpline", "nowhere"])
        assert store.keys.list() == []
        assert ("local", "create-key") not in logged(store)

    def test_name_is_taken_for_ever(self, store: Store) -> None:
        key(store, "uploads")
        store.keys.revoke("uploads")
        with pytest.raises(KeyExists):
            key(store, "uploads")

    @pytest.mark.parametrize(
        "name", ["", "a b", "local", "egide", "a" * 65, "sync:x", "é", "a\n", "../x"]
    )
    def test_name_that_the_log_could_misread_is_refused(self, store: Store, name: str) -> None:
        with pytest.raises(NameInvalid):
            key(store, name)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"holder": "  "},
            {"holder": "a\x1b[2J"},
            {"holder": "a" * 201},
            {"holder": "a", "banks": []},
            {"holder": "a", "per_second": 0},
            {"holder": "a", "per_second": 10**9},
            {"holder": "a", "per_day": -1},
            {"holder": "a", "per_day": 10**13},
        ],
    )
    def test_impossible_key_is_refused(self, store: Store, wrong: dict[str, object]) -> None:
        with pytest.raises(UsageError):
            store.keys.create("uploads", Role.MATCHER, **wrong)  # type: ignore[arg-type]

    def test_revoked_key_is_known_as_such_by_every_process(
        self, open_store: Callable[[], Store]
    ) -> None:
        store, other = open_store(), open_store()
        made = key(store, "uploads")
        assert made.live(datetime.now(UTC))
        revoked = other.keys.revoke("uploads")
        found = store.keys.find(made.handle)
        assert found is not None
        assert found[0] == revoked
        assert not found[0].live(datetime.now(UTC))

    def test_revoking_twice_keeps_the_first_time_and_is_logged_once(self, store: Store) -> None:
        key(store, "uploads")
        assert store.keys.revoke("uploads") == store.keys.revoke("uploads")
        assert logged(store).count(("local", "revoke-key")) == 1
        with pytest.raises(KeyMissing):
            store.keys.revoke("others")

    def test_log_names_who_made_a_key_and_what_it_is_for(self, store: Store) -> None:
        store.acting_as("root").keys.create(
            "uploads", Role.MATCHER, "The platform", banks=["helpline"], expires=NOW
        )
        record = list(store.log.records())[-1]
        assert (record.actor, record.action, record.revision) == ("root", "create-key", None)
        assert record.detail == {
            "key": "uploads",
            "role": "matcher",
            "holder": "The platform",
            "banks": "helpline",
            "per_second": 100,
            "per_day": 1_000_000,
            "expires": int(NOW.timestamp()),
        }

    def test_only_a_live_key_of_an_admin_counts_as_one(self, store: Store) -> None:
        key(store, "uploads")
        key(store, "old", Role.ADMIN, expires=NOW - 9999 * HOUR)
        assert not store.keys.has_admin()
        key(store, "root", Role.ADMIN)
        assert store.keys.has_admin()
        store.keys.revoke("root")
        assert not store.keys.has_admin()

    def test_use_adds_up_over_processes_and_days_are_apart(
        self, open_store: Callable[[], Store]
    ) -> None:
        store, other = open_store(), open_store()
        first, second = key(store, "a"), key(store, "b")
        assert store.keys.use(first.id, 20_000, 5) == 5
        assert other.keys.use(first.id, 20_000, 7) == 12
        assert other.keys.use(second.id, 20_000, 1) == 1
        assert store.keys.use(first.id, 20_001, 3_000_000_000) == 3_000_000_000
        assert store.keys.use(first.id, 20_000, 0) == 12

    def test_counts_of_old_days_are_dropped(self, store: Store) -> None:
        made = key(store, "a")
        store.keys.use(made.id, 20_000, 5)
        store.keys.use(made.id, 20_032, 5)
        assert store.keys.use(made.id, 20_000, 0) == 0


class TestKeysMadeWithAKey:
    def test_scope_is_handed_on_and_never_widened(self, store: Store) -> None:
        store.banks.create("other")
        root = key(store, "root", Role.ADMIN)
        scoped = key(store, "scoped", Role.ADMIN, banks=["helpline"])
        assert create_key(store, scoped, "heir", Role.MATCHER, "h")[0].banks == ("helpline",)
        with pytest.raises(BankMissing):
            create_key(store, scoped, "wider", Role.MATCHER, "h", banks=["other"])
        created, _ = create_key(store, root, "wide", Role.MATCHER, "h")
        assert (created.banks, created.created_by) == (None, "root")

    def test_key_of_other_banks_cannot_be_seen_or_revoked(self, store: Store) -> None:
        store.banks.create("other")
        scoped = key(store, "scoped", Role.ADMIN, banks=["helpline"])
        key(store, "wide")
        key(store, "elsewhere", banks=["other"])
        key(store, "own", banks=["helpline"])
        assert [one.name for one in list_keys(store, scoped)] == ["scoped", "own"]
        for name in ("wide", "elsewhere", "missing"):
            with pytest.raises(KeyMissing, match=f"No key {name}"):
                revoke_key(store, scoped, name)
        assert revoke_key(store, scoped, "own").revoked is not None

    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
    def test_only_an_admin_makes_keys(self, store: Store, role: Role) -> None:
        made = key(store, "someone", role)
        for attempt in (
            lambda: create_key(store, made, "new", Role.MATCHER, "x"),
            lambda: list_keys(store, made),
            lambda: revoke_key(store, made, "someone"),
        ):
            with pytest.raises(Forbidden):
                attempt()

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.MATCHER}))
    def test_key_that_can_do_more_than_match_takes_two(self, store: Store, role: Role) -> None:
        root, ben = key(store, "root", Role.ADMIN, "Anna"), key(store, "ben", Role.MODERATOR, "Ben")
        store.banks.create("other")

        def make(number: int | None = None, **fields: Any) -> Key:
            given = {"role": role, "holder": "Cleo", "banks": ["helpline"], "per_day": 9} | fields
            return create_key(store, root, "new", **given, approval_id=number)[0]

        with pytest.raises(ApprovalNeeded) as needed:
            make()
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        with pytest.raises(ApprovalInvalid):
            store.approvals.decide(number, True, by=key(store, "anna", Role.MODERATOR, "anna"))
        asked = store.approvals.decide(number, True, by=ben)
        assert asked.summary == {
            "key": "new",
            "role": role.value,
            "holder": "Cleo",
            "banks": "helpline",
            "per_day": 9,
        }
        others: list[dict[str, Any]] = [
            {"holder": "Dan"},
            {"banks": None},
            {"banks": ["helpline", "other"]},
            {"per_day": 10},
            {"per_second": 1},
            {"expires": NOW},
        ]
        for other in others:
            with pytest.raises(ApprovalInvalid):
                make(number, **other)
        assert make(number).created_by == "root"
        with pytest.raises(KeyExists):
            make()

    def test_made_up_person_is_no_second_one(self, store: Store) -> None:
        """As keys could be made until two people were needed for it: by one, for whomever."""
        root = key(store, "root", Role.ADMIN, "Anna")
        bob = store.acting_as("root").keys.create("bob", Role.ADMIN, "Bob")[0]
        eve = store.acting_as("root").keys.create("eve", Role.MODERATOR, "Eve")[0]
        heir = store.acting_as("bob").keys.create("heir", Role.MODERATOR, "Heir")[0]
        ben = key(store, "ben", Role.MODERATOR, "Ben")
        made_up = [bob, eve, heir]
        pairs = [(root, one) for one in made_up] + [(bob, root), (bob, eve), (eve, heir)]
        for number, (asker, second) in enumerate(pairs):
            digest = sha256(b"%d" % number).digest()
            asked = store.approvals.request("export", None, {}, digest, by=asker, ttl_s=3600).id
            with pytest.raises(ApprovalInvalid, match="go back to one person"):
                store.approvals.decide(asked, True, by=second)
            store.approvals.decide(asked, True, by=ben)
            store.approvals.use(asked, "export", None, digest, by=asker)

    def test_namesake_that_somebody_made_up_uses_no_approval_of_theirs(self, store: Store) -> None:
        key(store, "root", Role.ADMIN, "Anna")
        ben, cleo = key(store, "ben", Role.ADMIN, "Ben"), key(store, "cleo", Role.ADMIN, "Cleo")
        namesake = store.acting_as("root").keys.create("ben2", Role.ADMIN, "Ben")[0]
        asked = store.approvals.request("export", None, {}, DIGEST, by=ben, ttl_s=3600).id
        store.approvals.decide(asked, True, by=cleo)
        with pytest.raises(ApprovalInvalid, match="none of that number"):
            store.approvals.use(asked, "export", None, DIGEST, by=namesake)
        store.approvals.use(asked, "export", None, DIGEST, by=ben)

    def test_whoever_two_people_made_is_a_person(self, store: Store) -> None:
        root, ben = key(store, "root", Role.ADMIN, "Anna"), key(store, "ben", Role.MODERATOR, "Ben")
        with pytest.raises(ApprovalNeeded) as needed:
            create_key(store, root, "cleo", Role.MODERATOR, "Cleo")
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        store.approvals.decide(number, True, by=ben)
        cleo = create_key(store, root, "cleo", Role.MODERATOR, "Cleo", approval_id=number)[0]
        asked = store.approvals.request("export", None, {}, DIGEST, by=root, ttl_s=3600).id
        assert store.approvals.decide(asked, True, by=cleo).decided_by == "cleo"


class TestApprovals:
    @pytest.fixture
    def asker(self, store: Store) -> Key:
        return key(store, "anna", Role.MODERATOR, "Anna")

    @pytest.fixture
    def second(self, store: Store) -> Key:
        return key(store, "ben", Role.MODERATOR, "Ben")

    def ask(self, store: Store, asker: Key, ttl_s: int = 3600) -> int:
        return store.approvals.request(
            "export", "helpline", {"n": 1}, DIGEST, by=asker, ttl_s=ttl_s, now=NOW
        ).id

    def test_approved_request_passes_once(self, store: Store, asker: Key, second: Key) -> None:
        number = self.ask(store, asker)
        assert store.approvals.get(number, now=NOW).state is ApprovalState.PENDING
        decided = store.approvals.decide(number, approve=True, by=second, now=NOW)
        assert (decided.state, decided.decided_by) == (ApprovalState.APPROVED, "ben")
        store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)
        assert store.approvals.get(number).state is ApprovalState.USED
        with pytest.raises(ApprovalInvalid, match="used"):
            store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)

    @pytest.mark.parametrize("approve", [True, False])
    def test_same_person_cannot_decide_even_with_another_key(
        self, store: Store, asker: Key, approve: bool
    ) -> None:
        number = self.ask(store, asker)
        again = key(store, "anna2", Role.ADMIN, "  ANNA ")
        for own in (asker, again):
            with pytest.raises(ApprovalInvalid, match="another person"):
                store.approvals.decide(number, approve, by=own, now=NOW)
        assert store.approvals.get(number, now=NOW).state is ApprovalState.PENDING

    def test_database_itself_refuses_one_person_as_two(self, store: Store, asker: Key) -> None:
        number = self.ask(store, asker)
        with pytest.raises(sa.exc.IntegrityError), store._database.write() as connection:
            connection.execute(
                sa.text("UPDATE approvals SET decided_holder = 'anna' WHERE id = :id"),
                {"id": number},
            )

    def test_role_that_may_not_approve_cannot(self, store: Store, asker: Key) -> None:
        number = self.ask(store, asker)
        with pytest.raises(Forbidden):
            store.approvals.decide(number, True, by=key(store, "cleo", Role.CURATOR), now=NOW)

    def test_refused_or_decided_request_stays_so(
        self, store: Store, asker: Key, second: Key
    ) -> None:
        number = self.ask(store, asker)
        store.approvals.decide(number, False, by=second, now=NOW)
        with pytest.raises(ApprovalInvalid, match="refused"):
            store.approvals.decide(number, True, by=second, now=NOW)
        with pytest.raises(ApprovalInvalid, match="refused"):
            store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)

    def test_time_ends_both_deciding_and_using(self, store: Store, asker: Key, second: Key) -> None:
        number = self.ask(store, asker)
        late = NOW + HOUR
        assert store.approvals.get(number, now=late).state is ApprovalState.EXPIRED
        with pytest.raises(ApprovalInvalid, match="expired"):
            store.approvals.decide(number, True, by=second, now=late)
        store.approvals.decide(number, True, by=second, now=NOW)
        with pytest.raises(ApprovalInvalid, match="expired"):
            store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=late)

    def test_undecided_request_is_not_usable(self, store: Store, asker: Key) -> None:
        number = self.ask(store, asker)
        with pytest.raises(ApprovalInvalid, match="pending"):
            store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)

    def test_approval_serves_no_other_request_and_nobody_else(
        self, store: Store, asker: Key, second: Key
    ) -> None:
        number = self.ask(store, asker)
        store.approvals.decide(number, True, by=second, now=NOW)
        use = store.approvals.use
        with pytest.raises(ApprovalInvalid, match="another request"):
            use(number, "change-radius", "helpline", DIGEST, by=asker, now=NOW)
        with pytest.raises(ApprovalInvalid, match="another request"):
            use(number, "export", "other", DIGEST, by=asker, now=NOW)
        with pytest.raises(ApprovalInvalid, match="another request"):
            use(number, "export", "helpline", sha256(b"x").digest(), by=asker, now=NOW)
        with pytest.raises(ApprovalInvalid, match="none of that number"):
            use(number, "export", "helpline", DIGEST, by=second, now=NOW)
        use(number, "export", "helpline", DIGEST, by=asker, now=NOW)

    @pytest.mark.parametrize("number", [0, -1, 999, 2**63, 2**70])
    def test_number_of_none_is_refused(self, store: Store, second: Key, number: int) -> None:
        with pytest.raises(ApprovalInvalid, match="none of that number"):
            store.approvals.decide(number, True, by=second)

    def test_asking_again_files_no_second_request(
        self, store: Store, asker: Key, second: Key
    ) -> None:
        number = self.ask(store, asker)
        assert self.ask(store, asker) == number
        store.approvals.decide(number, True, by=second, now=NOW)
        assert self.ask(store, asker) == number
        store.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)
        assert self.ask(store, asker) != number

    def test_requests_of_other_banks_are_hidden_from_a_scoped_key(
        self, store: Store, asker: Key
    ) -> None:
        store.banks.create("other")
        scoped = key(store, "sam", Role.MODERATOR, "Sam", banks=["other"])
        number = self.ask(store, asker)
        assert store.approvals.list(by=scoped, now=NOW) == []
        with pytest.raises(ApprovalInvalid, match="none of that number"):
            store.approvals.decide(number, True, by=scoped, now=NOW)

    def test_list_goes_by_what_they_are_now(self, store: Store, asker: Key, second: Key) -> None:
        numbers = [
            store.approvals.request(
                "export", "helpline", {}, bytes([n]) * 32, by=asker, ttl_s=3600, now=NOW
            ).id
            for n in range(3)
        ]
        store.approvals.decide(numbers[1], True, by=second, now=NOW)
        store.approvals.decide(numbers[2], False, by=second, now=NOW)

        def ids(state: ApprovalState | None, at: datetime) -> list[int]:
            return [one.id for one in store.approvals.list(state, now=at)]

        assert ids(None, NOW) == numbers
        assert ids(ApprovalState.PENDING, NOW) == numbers[:1]
        assert ids(ApprovalState.APPROVED, NOW) == numbers[1:2]
        assert ids(ApprovalState.EXPIRED, NOW) == []
        assert ids(ApprovalState.EXPIRED, NOW + HOUR) == numbers[:2]
        assert ids(ApprovalState.PENDING, NOW + HOUR) == []
        assert ids(ApprovalState.REFUSED, NOW + HOUR) == numbers[2:]
        assert [one.id for one in store.approvals.list(after=numbers[0], limit=1)] == [numbers[1]]

    def test_every_step_is_logged(self, store: Store, asker: Key, second: Key) -> None:
        number = self.ask(store.acting_as("anna"), asker)
        store.acting_as("ben").approvals.decide(number, True, by=second, now=NOW)
        store.acting_as("anna").approvals.use(
            number, "export", "helpline", DIGEST, by=asker, now=NOW
        )
        assert logged(store)[-3:] == [
            ("anna", "request-approval"),
            ("ben", "approve"),
            ("anna", "use-approval"),
        ]

    def test_of_many_who_use_it_at_once_one_may(
        self, store: Store, patient: Store, asker: Key, second: Key
    ) -> None:
        number = self.ask(store, asker)
        store.approvals.decide(number, True, by=second, now=NOW)

        def attempt(_: int) -> bool:
            try:
                patient.approvals.use(number, "export", "helpline", DIGEST, by=asker, now=NOW)
            except ApprovalInvalid:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(attempt, range(4))) == 1


class TestTwoPeople:
    def test_small_requests_and_second_keys_share_one_limit(self, store: Store) -> None:
        anna = key(store, "anna", Role.CURATOR, "Anna")
        anna2 = key(store, "anna2", Role.CURATOR, "anna")
        ben = key(store, "ben", Role.CURATOR, "Ben")
        rule = TwoPeople(store, bulk_limit=10)
        rule.check_bulk(anna, "helpline", 6, DIGEST)
        rule.check_bulk(anna2, "helpline", 4, DIGEST)
        for own in (anna, anna2):
            with pytest.raises(ApprovalNeeded):
                rule.check_bulk(own, "helpline", 1, DIGEST)
        rule.check_bulk(ben, "helpline", 10, DIGEST)

    def test_refused_addition_uses_up_nothing(self, store: Store) -> None:
        anna = key(store, "anna", Role.CURATOR, "Anna")
        rule = TwoPeople(store, bulk_limit=10)
        with pytest.raises(ApprovalNeeded):
            rule.check_bulk(anna, "helpline", 11, DIGEST)
        rule.check_bulk(anna, "helpline", 10, DIGEST)

    def test_limit_holds_when_many_add_at_once(self, patient: Store) -> None:
        anna = key(patient, "anna", Role.CURATOR, "Anna")
        rule = TwoPeople(patient, bulk_limit=10)

        def attempt(number: int) -> int:
            try:
                rule.check_bulk(anna, "helpline", 3, sha256(b"%d" % number).digest())
            except ApprovalNeeded:
                return 0
            return 3

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(attempt, range(4))) == 9

    def test_approved_bulk_passes_once_and_beside_the_limit(self, store: Store) -> None:
        anna = key(store, "anna", Role.CURATOR, "Anna")
        ben = key(store, "ben", Role.MODERATOR, "Ben")
        rule = TwoPeople(store, bulk_limit=10)
        with pytest.raises(ApprovalNeeded) as needed:
            rule.check_bulk(anna, "helpline", 500, DIGEST)
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        with pytest.raises(ApprovalInvalid):
            rule.check_bulk(anna, "helpline", 500, DIGEST, number)
        asked = store.approvals.decide(number, True, by=ben)
        assert asked.summary == {"fingerprints": 500}
        rule.check_bulk(anna, "helpline", 500, DIGEST, number)
        with pytest.raises(ApprovalInvalid):
            rule.check_bulk(anna, "helpline", 500, DIGEST, number)
        rule.check_bulk(anna, "helpline", 10, DIGEST)

    def test_export_takes_two(self, store: Store) -> None:
        root = key(store, "root", Role.ADMIN, "Anna")
        ben = key(store, "ben", Role.MODERATOR, "Ben")
        rule = TwoPeople(store)
        with pytest.raises(ApprovalNeeded) as needed:
            rule.check_export(root, "helpline")
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        store.approvals.decide(number, True, by=ben)
        with pytest.raises(ApprovalInvalid):
            rule.check_export(root, "other", number)
        rule.check_export(root, "helpline", number)

    def test_radius_takes_two_unless_it_stays(self, store: Store) -> None:
        root = key(store, "root", Role.ADMIN, "Anna")
        ben = key(store, "ben", Role.MODERATOR, "Ben")

        def change(radius_bits: int, number: int | None = None) -> int:
            return update_bank(
                store, "helpline", radius_bits=radius_bits, by=root, approval_id=number
            ).radius_bits

        assert change(31) == 31
        with pytest.raises(ApprovalNeeded) as needed:
            change(40)
        number = needed.value.fields["approval"]
        assert isinstance(number, int)
        asked = store.approvals.decide(number, True, by=ben)
        assert asked.summary == {"radius_bits": 40, "old_radius_bits": 31}
        with pytest.raises(ApprovalInvalid):
            change(41, number)
        with pytest.raises(ApprovalInvalid):  # agreed to for this bank, not for a new one
            create_bank(store, "new", radius_bits=40, by=root, approval_id=number)
        assert change(40, number) == 40
        with pytest.raises(ApprovalNeeded):
            change(31)

    def test_radius_that_stays_undoes_nothing_that_two_agreed_to_meanwhile(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = key(store, "root", Role.ADMIN, "Anna")
        read = Banks.get

        def read_and_lose_the_race(self: Any, name: str) -> Any:
            found = read(self, name)
            store.banks.update("helpline", radius_bits=20)
            return found

        with monkeypatch.context() as patched:
            patched.setattr(Banks, "get", read_and_lose_the_race)
            update_bank(store, "helpline", radius_bits=31, by=root)
        assert store.banks.get("helpline").radius_bits == 20


class TestEmptyBank:
    CODES = tuple(sha256(b"%d" % n).digest() for n in range(4))

    def fill(self, store: Store) -> list[int]:
        """One entry in each state."""
        made = store.entries.register(
            "helpline", [Registration((code,)) for code in self.CODES], outcomes=True
        )
        ids = [one.entry for one in made.outcomes]
        store.entries.withdraw("helpline", ids[:1])
        store.entries.tombstone("helpline", ids[1:2])
        with store._database.write() as connection:
            past = sa.text("UPDATE entries SET expires = 1 WHERE id = :id")
            connection.execute(past, {"id": ids[2]})
        store.entries.expire()
        assert {one.state for one in store.entries.list("helpline")} == set(State)
        return ids

    def test_every_state_is_withdrawn_in_one_logged_revision(self, store: Store) -> None:
        ids = self.fill(store)
        root = key(store, "root", Role.ADMIN, "Anna")
        before = store.revision()
        assert empty_bank(store, "helpline", by=root) == 3
        assert store.revision() == before + 1
        held = list(store.entries.list("helpline"))
        assert [one.id for one in held] == ids
        assert {one.state for one in held} == {State.WITHDRAWN}
        assert not any(one.pdqs or one.sha256 or one.md5 or one.note for one in held)
        assert not store.banks.get("helpline").enabled
        last = list(store.log.records())[-1]
        assert (last.actor, last.action, last.bank) == ("root", "empty-bank", "helpline")
        assert last.detail == {"entries": 3}
        assert store.log.verify()
        assert empty_bank(store, "helpline") == 0
        assert store.revision() == before + 1

    def test_broken_off_it_has_done_nothing_and_once_more_does_all(
        self, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
        self.fill(store)
        build_store_snapshot(store, snapshot_path(store))
        assert self.CODES[3] in snapshot_path(store).read_bytes()
        with monkeypatch.context() as patched:
            patched.setattr("egide.store.entries.revisions.Change.erase_beside", _break_off)
            with pytest.raises(KeyboardInterrupt):
                empty_bank(store, "helpline")
        assert store.banks.get("helpline").enabled
        assert store.banks.counts("helpline").state(State.ACTIVE) == 1
        with monkeypatch.context() as patched:  # after the entries, before the file
            patched.setattr("egide.usecases.banks.settle_after_act", _break_off)
            with pytest.raises(KeyboardInterrupt):
                empty_bank(store, "helpline")
        assert store.banks.counts("helpline").state(State.WITHDRAWN) == 4
        assert empty_bank(store, "helpline") == 0
        assert not snapshot_path(store).exists()

    def test_key_needs_the_permissions_and_the_bank(self, store: Store) -> None:
        store.banks.create("other")
        curator = key(store, "cleo", Role.CURATOR)
        with pytest.raises(Forbidden):
            empty_bank(store, "helpline", by=curator)
        scoped = key(store, "scoped", Role.ADMIN, banks=["other"])
        with pytest.raises(BankMissing):
            empty_bank(store, "helpline", by=scoped)
        assert store.banks.get("helpline").enabled


def _break_off(*_: object) -> None:
    raise KeyboardInterrupt


class TestIdempotency:
    @pytest.fixture
    def key_id(self, store: Store) -> int:
        return key(store, "anna", Role.CURATOR).id

    def test_second_request_gets_the_first_answer(self, store: Store, key_id: int) -> None:
        assert store.idempotency.begin(key_id, "token", DIGEST) is None
        store.idempotency.finish(key_id, "token", 201, '{"entry":1}')
        answer = store.idempotency.begin(key_id, "token", DIGEST)
        assert answer == StoredAnswer(201, '{"entry":1}')

    def test_other_request_with_the_same_token_is_refused(self, store: Store, key_id: int) -> None:
        store.idempotency.begin(key_id, "token", DIGEST)
        with pytest.raises(IdempotencyConflict):
            store.idempotency.begin(key_id, "token", sha256(b"other").digest())

    def test_tokens_of_two_keys_are_apart(self, store: Store, key_id: int) -> None:
        other = key(store, "ben", Role.CURATOR).id
        assert store.idempotency.begin(key_id, "token", DIGEST) is None
        assert store.idempotency.begin(other, "token", sha256(b"other").digest()) is None

    def test_running_request_is_busy_until_its_process_is_taken_for_dead(
        self, store: Store, key_id: int
    ) -> None:
        begin = store.idempotency.begin
        begin(key_id, "token", DIGEST, now=NOW)
        with pytest.raises(IdempotencyBusy):
            begin(key_id, "token", DIGEST, now=NOW + timedelta(seconds=59))
        taken = NOW + timedelta(seconds=60)
        assert begin(key_id, "token", DIGEST, now=taken) is None
        with pytest.raises(IdempotencyBusy):
            begin(key_id, "token", DIGEST, now=taken + timedelta(seconds=1))

    def test_abandoned_request_may_be_made_again_and_a_finished_one_stays(
        self, store: Store, key_id: int
    ) -> None:
        store.idempotency.begin(key_id, "token", DIGEST)
        store.idempotency.abandon(key_id, "token")
        assert store.idempotency.begin(key_id, "token", DIGEST) is None
        store.idempotency.finish(key_id, "token", 200, "{}")
        store.idempotency.abandon(key_id, "token")
        assert store.idempotency.begin(key_id, "token", DIGEST) == StoredAnswer(200, "{}")

    def test_old_answers_are_forgotten(self, store: Store, key_id: int) -> None:
        store.idempotency.begin(key_id, "old", DIGEST, now=NOW - HOUR)
        store.idempotency.begin(key_id, "new", DIGEST, now=NOW)
        assert store.idempotency.forget(NOW) == 1
        with pytest.raises(IdempotencyBusy):
            store.idempotency.begin(key_id, "new", DIGEST, now=NOW)
        assert store.idempotency.begin(key_id, "old", DIGEST, now=NOW) is None

    def test_of_many_at_once_one_runs(self, patient: Store, key_id: int) -> None:
        def attempt(_: int) -> bool:
            try:
                return patient.idempotency.begin(key_id, "token", DIGEST) is None
            except IdempotencyBusy:
                return False

        with ThreadPoolExecutor(4) as threads:
            assert sum(threads.map(attempt, range(8))) == 1

    def test_token_is_kept_as_a_hash(self, store: Store, key_id: int) -> None:
        store.idempotency.begin(key_id, "a-token-of-the-client", DIGEST)
        assert "a-token-of-the-client" not in rows(store)


class TestFeedback:
    def test_kept_by_entry_and_partner_with_its_date(self, store: Store) -> None:
        entry, other = registered(store, 1), registered(store, 2)
        add = store.feedback.add_all
        add("helpline", [(entry, FeedbackKind.MATCHED, NOW)], partner="a")
        add("helpline", [(entry, FeedbackKind.REMOVED, NOW + HOUR)], partner="a")
        add("helpline", [(entry, FeedbackKind.MATCHED, NOW + HOUR)], partner="a")
        add("helpline", [(entry, FeedbackKind.FALSE_POSITIVE, NOW)], partner="b")
        add("helpline", [(other, FeedbackKind.DECLINED, NOW)], partner="b")
        said = [
            (one.partner, one.kind, one.at) for one in store.feedback.of_entry("helpline", entry)
        ]
        assert said == [
            ("a", FeedbackKind.MATCHED, NOW),
            ("a", FeedbackKind.REMOVED, NOW + HOUR),
            ("a", FeedbackKind.MATCHED, NOW + HOUR),
            ("b", FeedbackKind.FALSE_POSITIVE, NOW),
        ]

    def test_withdrawn_entry_takes_feedback_too(self, store: Store) -> None:
        entry = registered(store, 1)
        store.entries.withdraw("helpline", [entry])
        store.feedback.add_all("helpline", [(entry, FeedbackKind.REMOVED, NOW)], partner="a")
        assert len(store.feedback.of_entry("helpline", entry)) == 1

    def test_the_same_once_more_is_kept_once(self, store: Store) -> None:
        entry = registered(store, 1)
        items = [(entry, FeedbackKind.MATCHED, NOW), (entry, FeedbackKind.REMOVED, NOW)]
        first = store.feedback.add_all("helpline", items, partner="a")
        records = store.log.head()[0]
        assert store.feedback.add_all("helpline", items, partner="a") == first
        assert store.log.head()[0] == records
        assert len(set(first)) == len(store.feedback.of_entry("helpline", entry)) == 2

    @pytest.mark.parametrize("number", [0, -1, 99, 2**70])
    def test_nothing_is_kept_where_an_entry_is_missing(self, store: Store, number: int) -> None:
        entry = registered(store, 1)
        items = [(entry, FeedbackKind.MATCHED, NOW), (number, FeedbackKind.MATCHED, NOW)]
        with pytest.raises(EntryMissing):
            store.feedback.add_all("helpline", items, partner="a")
        assert store.feedback.of_entry("helpline", entry) == []
        with pytest.raises(EntryMissing):
            store.feedback.of_entry("helpline", number)

    def test_entry_of_another_bank_is_missing(self, store: Store) -> None:
        store.banks.create("other")
        entry = registered(store, 1)
        with pytest.raises(EntryMissing):
            store.feedback.add_all("other", [(entry, FeedbackKind.MATCHED, NOW)], partner="a")

    def test_time_to_come_is_refused(self, store: Store) -> None:
        entry = registered(store, 1)
        with pytest.raises(UsageError):
            store.feedback.add_all(
                "helpline", [(entry, FeedbackKind.MATCHED, datetime.now(UTC) + HOUR)], partner="a"
            )

    def test_log_names_entries_by_reference(self, store: Store) -> None:
        entry, other = registered(store, 1), registered(store, 2)
        store.acting_as("partner-1").feedback.add_all(
            "helpline", [(entry, FeedbackKind.MATCHED, NOW)], partner="partner-1"
        )
        last = list(store.log.records(entry=entry))[-1]
        assert (last.actor, last.action, last.bank) == ("partner-1", "feedback", "helpline")
        assert last not in list(store.log.records(entry=other))


class TestLog:
    """What differs between databases; the rest is in `tests/integration/server/test_log.py`."""

    def test_chain_is_whole_after_changes_that_were_undone(self, store: Store) -> None:
        entry = registered(store, 1)

        def failing() -> Iterator[Registration]:
            yield Registration((sha256(b"x").digest(),))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            store.entries.register("helpline", failing())
        store.entries.withdraw("helpline", [entry])
        key(store, "uploads")
        verdict = store.log.verify(expected_head=store.log.head())
        assert verdict.records == 4
        assert [record.action for record in store.log.records(entry=entry)] == [
            "register",
            "withdraw",
        ]

    def test_tampering_shows(self, store: Store) -> None:
        entry = registered(store, 1)
        store.entries.withdraw("helpline", [entry])
        with store._database.write() as connection:
            connection.execute(sa.text("UPDATE log SET actor = 'nobody' WHERE seq = 2"))
        with pytest.raises(LogBroken, match="record 2"):
            store.log.verify()

    def test_many_who_write_at_once_make_one_chain(self, patient: Store) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda number: registered(patient, number), range(20)))
        assert patient.log.verify().records == 21


def test_a_key_kept_to_a_bank_reads_of_the_log_what_was_done_with_it(store: Store) -> None:
    store.banks.create("other")
    registered(store, 1)
    key, _ = store.keys.create("scoped", Role.ADMIN, "Ada", banks=["helpline"])
    page = log_page(store, key, limit=100)
    assert "register" in {record.action for record in page}
    assert {record.bank for record in page} == {"helpline"}
    assert log_page(store, key, after=page[0].seq, limit=1) == page[1:2]
