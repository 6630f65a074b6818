"""The log: what is written into it, and that tampering with it shows."""

from __future__ import annotations

import json
import sqlite3
import stat
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

import egide
from commands import egide_in
from egide.domain.access import Role
from egide.domain.model import Registration
from egide.errors import EgideError, EntryMissing, LogBroken
from egide.store import LogRecord
from egide.store.changing import ChangingStore
from egide.store.log.log import MAX_SUBJECTS, entry_reference
from egide.store.log.records import canonical


def registration(number: int) -> Registration:
    return Registration((sha256(b"%d" % number).digest(),), source="case-17", note="a private note")


@pytest.fixture
def store(tmp_path: Path) -> egide.Store:
    """A store whose log has eight records; the sixth, of a key, makes no revision."""
    opened = egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True)
    ChangingStore.of(opened).banks.create("helpline")
    ChangingStore.of(opened).entries.register("helpline", [registration(1), registration(2)])
    ChangingStore.of(opened.acting_as("ben")).entries.confirm("helpline", [1])
    ChangingStore.of(opened.acting_as("ben")).entries.dispute("helpline", [2])
    ChangingStore.of(opened).entries.register("helpline", [registration(3)])
    opened.keys.create("uploads", Role.MATCHER, "The platform")
    ChangingStore.of(opened).entries.withdraw("helpline", [2])
    ChangingStore.of(opened).entries.tombstone("helpline", [3])
    assert opened.log.head()[0] == 8
    return opened


@pytest.fixture(autouse=True)
def _closed(store: egide.Store) -> object:
    yield
    store.close()


def tamper(store: egide.Store, *statements: str) -> None:
    """Change the database as somebody would who has its file."""
    assert store.path is not None
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def rewrite(store: egide.Store, first: int) -> None:
    """Make the chain agree with itself again, from a record on."""
    assert store.path is not None
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        previous = connection.execute("SELECT hash FROM log WHERE seq = ?", (first - 1,)).fetchone()
        last = previous[0] if previous else bytes(32)
        rows = connection.execute("SELECT * FROM log WHERE seq >= ? ORDER BY seq", (first,))
        for row in rows.fetchall():
            seq, at, actor, action, bank, revision, subjects, detail, _, _ = row
            named = tuple(subjects.split(",")) if subjects else ()
            record = LogRecord(
                seq, at, actor, action, bank, revision, named, json.loads(detail), last, b""
            )
            connection.execute(
                "UPDATE log SET previous = ?, hash = ? WHERE seq = ?",
                (last, last := record.computed_hash(), seq),
            )


def broken_at(store: egide.Store, head: tuple[int, bytes] | None = None) -> int:
    with pytest.raises(LogBroken) as broken:
        store.log.verify(expected_head=head)
    number = broken.value.fields["seq"]
    assert isinstance(number, int)
    return number


class TestWriting:
    def test_each_change_is_a_record_by_whoever_made_it(self, store: egide.Store) -> None:
        told = [(record.actor, record.action, record.revision) for record in store.log.records()]
        assert told == [
            ("local", "create-bank", 1),
            ("local", "register", 2),
            ("ben", "confirm", 3),
            ("ben", "dispute", 4),
            ("local", "register", 5),
            ("local", "create-key", None),
            ("local", "withdraw", 6),
            ("local", "tombstone", 7),
        ]

    def test_what_changes_nothing_is_no_record(self, store: egide.Store) -> None:
        head = store.log.head()
        ChangingStore.of(store).entries.withdraw("helpline", [2])
        with pytest.raises(EgideError):
            ChangingStore.of(store).entries.confirm("helpline", [3])
        assert store.log.head() == head

    def test_entry_is_named_by_a_reference_and_found_by_it(self, store: egide.Store) -> None:
        actions = [record.action for record in store.log.records(entry=2)]
        assert actions == ["register", "dispute", "withdraw"]
        reference = entry_reference(store._identity_key, 2)
        assert all(reference in record.subjects for record in store.log.records(entry=2))
        assert reference != entry_reference(bytes(32), 2)

    @pytest.mark.parametrize("number", [0, -1, 2**64])
    def test_number_of_no_entry_is_refused(self, store: egide.Store, number: int) -> None:
        with pytest.raises(EntryMissing):
            list(store.log.records(entry=number))

    def test_neither_fingerprint_nor_note_nor_source_is_written(self, store: egide.Store) -> None:
        store.log.append("export", bank="helpline", entry_ids=[1], detail={"format": "csv"})
        assert store.path is not None
        with closing(sqlite3.connect(store.path)) as connection:
            text = repr(connection.execute("SELECT * FROM log").fetchall())
        for number in (1, 2, 3):
            assert registration(number).pdqs[0].hex() not in text
            assert repr(registration(number).pdqs[0])[2:-1] not in text
        assert "private" not in text
        assert "case-17" not in text

    def test_act_without_a_revision_joins_the_chain(self, store: egide.Store) -> None:
        store.acting_as("ben").log.append("export", bank="helpline", detail={"entries": 1})
        verdict = store.log.verify()
        assert (verdict.records, verdict.first_revision, verdict.anchored) == (9, 1, False)
        assert (verdict.records, verdict.head) == store.log.head()

    def test_many_entries_at_once_are_one_record_that_names_none(self, store: egide.Store) -> None:
        ChangingStore.of(store).entries.register(
            "helpline", (registration(n) for n in range(10, 10 + MAX_SUBJECTS + 1))
        )
        last = list(store.log.records())[-1]
        assert (last.seq, last.subjects, last.detail) == (9, (), {"entries": MAX_SUBJECTS + 1})
        ChangingStore.of(store).entries.register(
            "helpline", (registration(n) for n in range(9000, 9000 + MAX_SUBJECTS))
        )
        assert len(list(store.log.records())[-1].subjects) == MAX_SUBJECTS
        assert store.log.verify().records == 10

    def test_records_come_in_pages(self, store: egide.Store) -> None:
        seqs = [record.seq for record in store.log.records(after=2, limit=3)]
        assert seqs == [3, 4, 5]
        assert [record.seq for record in store.log.records(after=8)] == []
        assert [record.seq for record in store.log.records(entry=2, after=2, limit=1)] == [4]


class TestVerifying:
    def test_sound_log_passes_with_any_head_that_it_ever_had(self, store: egide.Store) -> None:
        for record in list(store.log.records()):
            assert store.log.verify(expected_head=(record.seq, record.hash)).anchored
        assert store.log.verify(expected_head=(0, bytes(32))).anchored

    def test_new_store_has_a_sound_log_without_records(self, tmp_path: Path) -> None:
        with egide.open_store(f"sqlite:///{tmp_path}/new.db", create=True) as new:
            assert new.log.verify().records == 0

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("at", "at + 1"),
            ("actor", "'anna'"),
            ("action", "'confirm'"),
            ("bank", "NULL"),
            ("bank", "'other'"),
            ("revision", "NULL"),
            ("revision", "9"),
            ("subjects", "''"),
            ("subjects", "'aaaaaaaaaaaaaaaaaaaaaaaa'"),
            ("subjects", "x'00'"),
            ("detail", "'{}'"),
            ("detail", "'{\"entries\": 1}'"),
            ("detail", "'[]'"),
            ("detail", "'no json'"),
            ("detail", "x'00'"),
            ("previous", "zeroblob(32)"),
            ("previous", "'text'"),
            ("hash", "zeroblob(32)"),
            ("hash", "x''"),
            ("hash", "1"),
        ],
    )
    def test_any_changed_column_shows(self, store: egide.Store, column: str, value: str) -> None:
        tamper(store, f"UPDATE log SET {column} = {value} WHERE seq = 4")
        assert broken_at(store) in {4, 5}

    @pytest.mark.parametrize("seq", range(1, 9))
    def test_deleted_record_shows(self, store: egide.Store, seq: int) -> None:
        tamper(store, f"DELETE FROM log WHERE seq = {seq}")
        assert broken_at(store) == seq

    @pytest.mark.parametrize("seq", range(2, 9))
    def test_cut_tail_shows_by_the_revisions(self, store: egide.Store, seq: int) -> None:
        tamper(store, f"DELETE FROM log WHERE seq >= {seq}")
        assert broken_at(store) == seq

    def test_tail_cut_from_log_and_revisions_shows_by_the_entries(self, store: egide.Store) -> None:
        tamper(store, "DELETE FROM log WHERE seq > 6", "DELETE FROM revisions WHERE id > 5")
        assert broken_at(store) == 7

    def test_emptied_log_shows_by_the_keys_and_the_head(self, store: egide.Store) -> None:
        head = store.log.head()
        tamper(store, "DELETE FROM log")
        assert broken_at(store) == 1
        tamper(store, "DELETE FROM keys")
        assert store.log.verify().records == 0
        assert broken_at(store, head) == 1

    def test_closed_gap_shows(self, store: egide.Store) -> None:
        tamper(store, "DELETE FROM log WHERE seq = 4", "UPDATE log SET seq = seq - 1 WHERE seq > 4")
        assert broken_at(store) == 4

    def test_exchanged_records_show(self, store: egide.Store) -> None:
        tamper(
            store,
            "UPDATE log SET seq = 99 WHERE seq = 3",
            "UPDATE log SET seq = 3 WHERE seq = 4",
            "UPDATE log SET seq = 4 WHERE seq = 99",
        )
        assert broken_at(store) == 3

    def test_inserted_record_shows(self, store: egide.Store) -> None:
        tamper(
            store,
            "INSERT INTO log SELECT 9, at, 'ben', 'export', NULL, NULL, '', '{}', hash,"
            " randomblob(32) FROM log WHERE seq = 8",
        )
        assert broken_at(store) == 9

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE revisions SET at = at - 60 WHERE id = 3",
            "UPDATE revisions SET action = 'dispute' WHERE id = 3",
            "UPDATE revisions SET bank_id = NULL WHERE id = 3",
            "UPDATE revisions SET entries = 7 WHERE id = 3",
            "DELETE FROM revisions WHERE id = 3",
        ],
    )
    def test_changed_revision_shows(self, store: egide.Store, statement: str) -> None:
        tamper(store, statement)
        assert broken_at(store) == 3

    def test_revision_without_a_record_shows(self, store: egide.Store) -> None:
        tamper(store, "INSERT INTO revisions VALUES (8, 1, 'withdraw', 1, 1)")
        assert broken_at(store) == 9

    def test_renamed_bank_shows(self, store: egide.Store) -> None:
        tamper(store, "UPDATE banks SET name = 'renamed'")
        assert broken_at(store) == 1

    def test_key_that_was_put_into_the_database_shows(self, store: egide.Store) -> None:
        tamper(
            store,
            "INSERT INTO keys SELECT 77, 'ghost', 'ghost', secret_hash, 'admin', holder, 1,"
            " per_second, per_day, created, created_by, expires, revoked FROM keys",
        )
        with pytest.raises(LogBroken, match="the key ghost"):
            store.log.verify()

    @pytest.mark.parametrize("first", [2, 6, 8])
    def test_chain_that_was_written_anew_shows_by_the_noted_head_alone(
        self, store: egide.Store, first: int
    ) -> None:
        head = store.log.head()
        tamper(store, f"UPDATE log SET actor = 'nobody' WHERE seq = {first}")
        rewrite(store, first)
        assert not store.log.verify().anchored
        assert broken_at(store, head) == 8

    def test_records_cut_after_the_noted_head_do_not_show_by_it(self, store: egide.Store) -> None:
        head = store.log.head()
        store.log.append("export")
        tamper(store, "DELETE FROM log WHERE seq = 9")
        assert store.log.verify(expected_head=head).anchored

    def test_records_cut_before_the_noted_head_show(self, store: egide.Store) -> None:
        store.log.append("export")
        head = store.log.head()
        tamper(store, "DELETE FROM log WHERE seq = 9")
        assert store.log.verify().records == 8
        assert broken_at(store, head) == 9

    def test_revisions_older_than_the_log_are_no_tampering(self, store: egide.Store) -> None:
        tamper(store, "DELETE FROM log WHERE seq <= 3", "UPDATE log SET seq = seq - 3")
        rewrite(store, 1)
        assert store.log.verify().first_revision == 4


class TestCommands:
    def test_verify_prints_a_head_that_it_takes_again(
        self, store: egide.Store, tmp_path: Path
    ) -> None:
        done = egide_in(tmp_path, "log", "verify")
        assert done.code == 0
        head = done.out.splitlines()[-1]
        assert head == f"8:{store.log.head()[1].hex()}"
        again = egide_in(tmp_path, "log", "verify", "--head", head, "--json")
        assert json.loads(again.out) == {
            "records": 8,
            "head": head,
            "first_revision": 1,
            "anchored": True,
        }

    def test_tampering_ends_with_3_and_its_code(self, store: egide.Store, tmp_path: Path) -> None:
        tamper(store, "UPDATE log SET actor = 'anna' WHERE seq = 2")
        done = egide_in(tmp_path, "log", "verify")
        assert done.code == 3
        assert "record 2" in done.err
        assert "[log-broken]" in done.err

    @pytest.mark.parametrize("head", ["", "8", "8:zz", "x:" + "0" * 64, "8:" + "0" * 63])
    def test_impossible_head_is_wrong_usage(self, tmp_path: Path, head: str) -> None:
        assert egide_in(tmp_path, "log", "verify", "--head", head).code == 2

    def test_show_tells_of_one_entry(self, tmp_path: Path) -> None:
        done = egide_in(tmp_path, "log", "show", "--entry", "helpline", 2, "--json")
        actions = [record["action"] for record in json.loads(done.out)]
        assert actions == ["register", "dispute", "withdraw"]
        assert egide_in(tmp_path, "log", "show", "--entry", "helpline", 99).code == 3
        assert "create-key" in egide_in(tmp_path, "log", "show").out

    def test_export_can_be_checked_without_egide(self, tmp_path: Path) -> None:
        done = egide_in(tmp_path, "log", "export", "--out", "log.jsonl", "--json")
        assert json.loads(done.out) == {"file": "log.jsonl", "records": 9}
        out = tmp_path / "log.jsonl"
        assert stat.S_IMODE(out.stat().st_mode) == 0o600
        previous = "00" * 32
        for line in out.read_text("utf-8").splitlines():
            record = json.loads(line)
            names = ("seq", "unix_s", "actor", "action", "bank", "revision", "subjects", "detail")
            content = canonical([record[name] for name in names])
            assert record["previous"] == previous
            previous = sha256(bytes.fromhex(previous) + content.encode()).hexdigest()
            assert record["hash"] == previous
        assert egide_in(tmp_path, "log", "export", "--out", "log.jsonl").code == 3
