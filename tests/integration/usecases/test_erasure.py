"""What is withdrawn, expired or found false is in no file of ours: by every door, however it ends.

A door is one of the ways in which an entry ends. Its fingerprints stand in the database and in a
search snapshot before; afterwards every file of the register's folder is searched for them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

import egide
from case_samples import PIN, image, submission
from commands import egide_in
from egide.domain.access import Role
from egide.domain.cases import Authority, Case, CaseRules
from egide.domain.model import DIGEST_SIGNALS, Registration, Signal, State
from egide.errors import EgideError
from egide.index.container import array_section, write_container
from egide.live.snapshots import open_snapshot, snapshot_path
from egide.security.sealing import KeypointKey
from egide.store.changing import ChangingStore
from egide.store.tables.register import entries as entry_table
from egide.usecases import sync
from egide.usecases import withdraw as withdrawing
from egide.usecases.banks import empty_bank
from egide.usecases.cases import Casework
from egide.usecases.follow import Follower
from egide.usecases.import_lists import import_hashes
from egide.usecases.review import CaseReview
from egide.usecases.staff import Staffing
from egide.usecases.sync import remove_upstream, sync_once
from erased import Sought, ended_with_fingerprints, sought_of
from keypoint_samples import keypoint_set
from recovery_processes import alive, descendants, serve
from register_load import until
from served_process import Server
from store_samples import code, migrated_to, picture
from sync_samples import Partner

PAST = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2126, 1, 1, tzinfo=UTC)
KEYPOINT_KEY = KeypointKey(b"k" * 32)
STANDING = range(900, 910)
"""Entries that stay, so that a snapshot and a database always have something to hold."""
COOKIE = "__Host-egide"


def command(folder: Path, *arguments: str, **environment: str) -> None:
    """Run a command that succeeds."""
    done = egide_in(folder, *arguments, **environment)
    assert done.code == 0, done.out + done.err


# --- commands and Python ----------------------------------------------------------------------


class Here:
    """A register without anybody who serves it: banks `helpline` and `partners`, entries that stay.

    Attributes:
        folder: of all its files.
        url: of its store.
        there: a partner's, which is followed into `partners` under the name `there`.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder / "here"
        self.folder.mkdir()
        self.url = url or f"sqlite:///{self.folder}/egide.db"
        with self.open(create=True) as store:
            for name in ("helpline", "partners"):
                store.banks.create(name)
            store.entries.register("helpline", map(picture, STANDING))
            store.upstreams.add(
                "there", "http://127.0.0.1:9", "/nowhere", remote_bank="ncii", bank="partners"
            )
        self.there = ChangingStore.open(f"sqlite:///{folder}/there.db", create=True)
        self.there.banks.create("ncii")

    @contextmanager
    def open(self, *, create: bool = False) -> Iterator[ChangingStore]:
        """Open the store as commands do."""
        with egide.open_store(self.url, create=create) as store:
            yield ChangingStore.of(store)

    def build(self) -> Path:
        """Have a snapshot of all that is active now."""
        with self.open() as store:
            open_snapshot(store).close()
            return snapshot_path(store)

    def sync(self) -> None:
        """Follow the partner once, as `egide sync run` does."""
        with self.open() as store, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sync, "connect", lambda *_, **__: Partner(self.there).client)
            sync_once(store, "there")

    def case(self, *numbers: int) -> Case:
        with self.open() as store:
            return Casework(store, "helpline").open(
                [image(number) for number in numbers], PIN, submission=submission(numbers[0])
            )


@pytest.fixture(params=["sqlite", "postgresql"])
def here(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Here]:
    url = ""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_store_url")
        monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path / "here"))
    made = Here(tmp_path, url)
    yield made
    made.there.close()


Prepared = tuple[Sought, Callable[[], object]]
"""What is in the store then, and the act after which it must be nowhere."""


def registered(here: Here, *some: Registration, bank: str = "helpline") -> list[int]:
    with here.open() as store:
        done = store.entries.register(bank, some, outcomes=True, keypoint_key=KEYPOINT_KEY)
        return [outcome.entry for outcome in done.outcomes]


def by_command(here: Here) -> Prepared:
    (entry,) = registered(here, picture(1))
    return sought_of([1]), lambda: command(
        here.folder, "bank", "withdraw", "helpline", str(entry), "--store", here.url
    )


def acting(act: Callable[[ChangingStore, list[int]], object]) -> Callable[[Here], Prepared]:
    """A door of Python, which is that of a command too."""

    def prepare(here: Here) -> Prepared:
        found = registered(here, picture(1, source="her"), picture(2, source="her"))

        def do() -> None:
            with here.open() as store:
                act(store, found)

        return sought_of([1, 2]), do

    return prepare


def by_expiry(here: Here) -> Prepared:
    registered(here, picture(1, expires=LATER))

    def do() -> None:
        with here.open() as store:
            assert withdrawing.expire(store, now=LATER + timedelta(days=1)) == 1

    return sought_of([1]), do


def by_renewal(here: Here) -> Prepared:
    """Its time is over, nobody has swept it yet, and a list that brings it again says less."""
    digest, trimmed = code(1), code(2)
    registered(
        here,
        Registration((), sha256=digest, trimmed_pdqs=(trimmed,), source="list", expires=PAST),
    )

    def do() -> None:
        with here.open() as store:
            line = BytesIO(f"{digest.hex()}\n".encode())
            done = import_hashes(store, "helpline", line, name="list", signal=Signal.SHA256)
            assert done.renewed == 1

    return Sought((trimmed,)), do


def by_dropped_keypoints(here: Here) -> Prepared:
    (entry,) = registered(here, picture(1, keypoints=keypoint_set(1)))
    with here.open() as store, store._database.read() as connection:
        (sealed,) = connection.execute(sa.text("SELECT sealed FROM patches")).scalars()
    # A long row is spread over pages.
    pieces = tuple(bytes(sealed[at : at + 24]) for at in range(0, len(sealed) - 24, 300))

    def do() -> None:
        with here.open() as store:
            assert withdrawing.drop_keypoints(store, "helpline", [entry]) == 1

    return Sought(pieces), do


def followed(end: Callable[[Here], object] | None) -> Callable[[Here], Prepared]:
    """What came from a partner: it ends there and is synced, or the partner is removed here."""

    def prepare(here: Here) -> Prepared:
        here.there.entries.register("ncii", [picture(1, expires=LATER)])
        here.sync()

        def do() -> None:
            if end is None:
                with here.open() as store:
                    assert remove_upstream(store, "there") == 1
            else:
                end(here)
                here.sync()

        return sought_of([1]), do

    return prepare


def by_case(act: Callable[[ChangingStore, Casework, Case], object]) -> Callable[[Here], Prepared]:
    def prepare(here: Here) -> Prepared:
        case = here.case(1)

        def do() -> None:
            with here.open() as store:
                act(store, Casework(store, "helpline"), case)

        return Sought.of(image(1)), do

    return prepare


def by_staff(store: ChangingStore, _casework: Casework, case: Case) -> None:
    worker = Staffing(store).create("amina").staff
    CaseReview(store, "helpline", CaseRules()).withdraw(case.id, Authority.BY_PHONE, staff=worker)


DOORS: dict[str, Callable[[Here], Prepared]] = {
    "bank withdraw": by_command,
    "withdraw": acting(lambda store, found: withdrawing.withdraw(store, "helpline", found)),
    "withdraw --source": acting(
        lambda store, _: withdrawing.withdraw_source(store, "helpline", "her")
    ),
    "tombstone": acting(lambda store, found: withdrawing.tombstone(store, "helpline", found)),
    "empty bank": acting(lambda store, _: empty_bank(store, "helpline")),
    "expire": by_expiry,
    "renewal": by_renewal,
    "drop patches": by_dropped_keypoints,
    "sync remove": followed(None),
    "partner withdraws": followed(lambda here: here.there.entries.withdraw("ncii", [1])),
    "partner tombstones": followed(lambda here: here.there.entries.tombstone("ncii", [1])),
    "partner's time is over": followed(lambda here: here.there.entries.expire(LATER)),
    "case withdraw": by_case(lambda _, casework, case: casework.withdraw(case.id)),
    "case image": by_case(
        lambda _, casework, case: casework.withdraw_image(case.id, case.images[0].id)
    ),
    "case expiry": by_case(lambda _, casework, __: casework.expire(LATER)),
    "staff": by_case(by_staff),
}


TRIED = [("sqlite", door) for door in DOORS] + [
    # Of those that come to the same statements, one.
    ("postgresql", door)
    for door in ("withdraw", "renewal", "drop patches", "sync remove", "partner withdraws", "staff")
]


@pytest.mark.parametrize(("here", "door"), TRIED, indirect=["here"])
def test_nothing_is_left_when_a_command_is_done(here: Here, door: str) -> None:
    sought, act = DOORS[door](here)
    built = here.build()
    sqlite = here.url.startswith("sqlite")
    in_snapshot = door != "drop patches"  # keypoints are never in one
    assert bool(sought.held_by(here.folder)) is (sqlite or in_snapshot)
    assert any(value in built.read_bytes() for value in sought.values) is in_snapshot
    act()
    assert sought.held_by(here.folder) == []
    with here.open() as store:
        assert store.erasure.get().pending_since is None
        assert ended_with_fingerprints(store) == 0


def test_the_database_refuses_a_fingerprint_of_what_has_ended(here: Here) -> None:
    registered(here, picture(1))
    values = ("pdqs", *DIGEST_SIGNALS)
    empty = {**dict.fromkeys(values), "note": ""}
    change = sa.update(entry_table).where(entry_table.c.id == 1)
    with here.open() as store:
        for state in set(State) - {State.ACTIVE}:
            with store._database.write() as connection:
                connection.execute(change.values(**empty, state=state.value))
            for column in values:
                with pytest.raises(sa.exc.IntegrityError), store._database.write() as connection:
                    connection.execute(change.values({column: b"x" * 32}))


# --- a register that is served ----------------------------------------------------------------


class Page:
    """Somebody's browser, signed in already; it keeps the cookie by hand, as there is no TLS."""

    def __init__(self, server: Server, cookie: str) -> None:
        self._server = server
        self._cookie = f"{COOKIE}={cookie}"

    def post(self, path: str, **fields: str) -> None:
        headers = {"Cookie": self._cookie}
        form = self._server.http.request(
            "GET", f"{self._server.address}/en/{path}", headers=headers
        )
        token = re.search(rb'name="csrf" value="([^"]+)"', form.data)
        assert token, form.data
        answer = self._server.http.request(
            "POST",
            f"{self._server.address}/en/{path}",
            headers=headers,
            fields={"csrf": token[1].decode(), **fields},
            encode_multipart=False,
            redirect=False,
        )
        assert answer.status == 303, answer.data


@dataclass
class Run:
    """A register that is served, and entries that end by each of its doors.

    Attributes:
        folder: of all its files.
        url: of its store.
        server: its process.
        doors: by name: what ends there, and the act, which returns once it is acknowledged.
    """

    folder: Path
    url: str
    server: Server
    doors: dict[str, Prepared] = field(default_factory=dict)

    def open(self) -> ChangingStore:
        """Its store, without anything that opening does beside."""
        return ChangingStore.open(self.url, forget_at_once=False)

    def held(self) -> dict[str, list[str]]:
        """Of each door the files that hold something of what ended there."""
        found = {name: sought.held_by(self.folder) for name, (sought, _) in self.doors.items()}
        return {name: files for name, files in found.items() if files}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ChangingStore, Server, Path]]:
    """A partner's register, served: its store, and the key for it."""
    folder = tmp_path_factory.mktemp("there")
    url = f"sqlite:///{folder}/egide.db"
    with ExitStack() as running, ChangingStore.open(url, create=True) as store:
        store.banks.create("ncii")
        _, token = store.keys.create("here", Role.PARTNER, "the other register")
        key_file = folder / "partner.key"
        key_file.touch(0o600)
        key_file.write_text(token)
        server = serve(running, folder, url)
        server.await_address()
        yield store, server, key_file


@contextmanager
def served(
    folder: Path, there: tuple[ChangingStore, Server, Path], first: int, **settings: str
) -> Iterator[Run]:
    """Serve a register with all its doors; its pictures are numbered from `first` on."""
    partner, partner_server, key_file = there
    url = f"sqlite:///{folder}/egide.db"
    numbers = range(first, first + 20)
    with ChangingStore.open(url, create=True) as store, ExitStack() as running:
        for name in ("helpline", "shared", "doomed", "partners"):
            store.banks.create(name)
        store.entries.register("shared", map(picture, [*STANDING, *numbers[:3]]))
        store.entries.register("doomed", [picture(numbers[3])])
        remote = partner.entries.register(
            "ncii", map(picture, numbers[4:7]), outcomes=True
        ).outcomes
        theirs = [outcome.entry for outcome in remote]
        casework = Casework(store, "helpline")
        cases = [
            casework.open([image(number), image(number + 1)], PIN, submission=submission(number))
            for number in (first, first + 2, first + 4)
        ]
        _, token = store.keys.create("admin", Role.ADMIN, "a holder")
        store.upstreams.add(
            "there", partner_server.address, str(key_file), remote_bank="ncii", bank="partners"
        )
        sync_once(store, "there")
        ours = {entry.sha256: entry.id for entry in store.entries.list("partners")}
        sessions = [
            store.sessions.start("case", case.id, idle_s=900, longest_s=900) for case in cases[:2]
        ]
        worker = Staffing(store).create("amina").staff
        desk = store.sessions.start("staff", worker.id, idle_s=900, longest_s=900)
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        with pytest.MonkeyPatch.context() as patch:  # as by an audit with other settings
            patch.setenv("EGIDE_SNAPSHOT_DIR", str(elsewhere))
            open_snapshot(store).close()
        open_snapshot(store).close()
        server = serve(
            running, folder, url,
            EGIDE_PAGES="1", EGIDE_HMA_ENABLED="1", EGIDE_SYNC_INTERVAL_S="0.1", **settings,
        )  # fmt: skip
        server.await_address()
        run = Run(folder, url, server)

        def ask(method: str, path: str) -> Callable[[], object]:
            def act() -> None:
                answer = server.ask(method, path, key=token)
                assert answer.status == 200, answer.data

            return act

        def arrives(number: int, end: Callable[[], object]) -> Callable[[], object]:
            entry = ours[picture(number).sha256]

            def act() -> None:
                end()
                until(
                    lambda: store.entries.get("partners", entry).state is not State.ACTIVE,
                    "what a partner did to arrive",
                )

            return act

        entry = {one.sha256: one.id for one in store.entries.list("shared")}
        ids = [entry[picture(number).sha256] for number in numbers[:3]]
        run.doors = {
            "API withdraw": (
                sought_of([numbers[0]]),
                ask("POST", f"/v1/banks/shared/entries/{ids[0]}/withdraw"),
            ),
            "API tombstone": (
                sought_of([numbers[1]]),
                ask("POST", f"/v1/banks/shared/entries/{ids[1]}/tombstone"),
            ),
            "HMA content": (
                sought_of([numbers[2]]),
                ask("DELETE", f"/hma/c/bank/shared/content/{ids[2]}"),
            ),
            "HMA bank": (sought_of([numbers[3]]), ask("DELETE", "/hma/c/bank/doomed")),
            "partner withdraws": (
                sought_of([numbers[4]]),
                arrives(numbers[4], lambda: partner.entries.withdraw("ncii", theirs[:1])),
            ),
            "partner tombstones": (
                sought_of([numbers[5]]),
                arrives(numbers[5], lambda: partner.entries.tombstone("ncii", theirs[1:2])),
            ),
            "page of a case": (
                Sought.of(image(first), image(first + 1)),
                lambda: Page(server, sessions[0]).post("case/withdraw"),
            ),
            "page of an image": (
                Sought.of(image(first + 2)),
                lambda: Page(server, sessions[1]).post(
                    "case/withdraw", image=str(cases[1].images[0].id)
                ),
            ),
            "page of the staff": (
                Sought.of(image(first + 4), image(first + 5)),
                lambda: Page(server, desk).post(
                    f"staff/cases/{cases[2].id}/withdraw", authority="by-phone"
                ),
            ),
        }
        assert set(run.held()) == set(run.doors)
        path = snapshot_path(store)
        for name, (sought, _) in run.doors.items():
            assert any(value in path.read_bytes() for value in sought.values), name
        yield run


def end_all(run: Run) -> None:
    """Go through every door; each has answered when the next one is taken."""
    for _, act in run.doors.values():
        act()


def test_nothing_is_left_while_a_register_is_served(
    tmp_path: Path, there: tuple[ChangingStore, Server, Path]
) -> None:
    with served(tmp_path, there, 100, EGIDE_FORGET_AFTER_S="0.2") as run:
        end_all(run)
        until(lambda: not run.held(), "it to leave the files")
        assert run.server.end() == 0
        assert run.held() == {}


@pytest.mark.slow
def test_nothing_is_left_by_a_register_that_was_stopped(
    tmp_path: Path, there: tuple[ChangingStore, Server, Path]
) -> None:
    with served(tmp_path, there, 200) as run:
        end_all(run)
        assert run.held()
        assert run.server.end() == 0
        assert run.held() == {}


def test_nothing_is_left_once_anybody_opens_a_register_that_was_killed(
    tmp_path: Path, there: tuple[ChangingStore, Server, Path]
) -> None:
    with served(tmp_path, there, 300) as run:
        end_all(run)
        run.server.end(signal.SIGKILL)
        assert set(run.held()) == set(run.doors)
        command(tmp_path, "store", "info")
        assert run.held() == {}


# --- what a kill leaves -----------------------------------------------------------------------

KILLED_IN_IT = """
import importlib, os, sys
def die(*_, **__): os.kill(os.getpid(), 9)
os.fsync = os.replace = die
from egide.store.database.sqlite import SqliteDatabase
act = sys.argv.pop(1)
if act == "restore":
    SqliteDatabase.end_loading = die
    SqliteDatabase.notice_growth = lambda _, made: made.exec_driver_sql("PRAGMA cache_size=1")
if act == "rebuild": importlib.import_module("egide.live.rebuilding").main()
else: importlib.import_module("egide.cli.main").app()
"""
"""Runs a command, or the child that rebuilds, up to where it would give its file a name."""


@pytest.mark.parametrize("act", ["build", "rebuild", "backup", "export", "restore"])
def test_what_a_kill_leaves_goes_when_anybody_opens_the_store(tmp_path: Path, act: str) -> None:
    folder, name = tmp_path / "here", "odd [1] *.db"
    folder.mkdir()
    url, restored = f"sqlite:///{folder}/{name}", f"sqlite:///{folder}/restored {name}"
    with ChangingStore.open(url, create=True) as store:
        store.banks.create("helpline")
        # For a restore more than a page cache holds, so that it has begun to write.
        count = 2000 if act == "restore" else 30
        store.entries.register("helpline", map(picture, range(STANDING[0], STANDING[0] + count)))
        store.backup(tmp_path / "backup.db")
        path = snapshot_path(store)
    arguments = {
        "build": ("match", "--pdq", code(1).hex(), "--store", url),
        "rebuild": (str(path), str(os.getpid())),
        "backup": ("store", "backup", str(folder / "copy.db"), "--store", url),
        "export": ("bank", "export", "helpline", "--out", str(folder / "list.csv"), "--store", url),
        "restore": ("store", "restore", "backup.db", "--store", restored),
    }[act]
    sought = sought_of(STANDING)
    before = sought.held_by(folder)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_IT, act, *arguments],
        cwd=tmp_path, env=os.environ | {"EGIDE_REBUILD_STORE": url}, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert len(sought.held_by(folder)) == len(before) + 1
    with egide.open_store(url) as store:
        assert len(list(store.entries.list("helpline"))) == count
    if act == "restore":
        with pytest.raises(EgideError):
            egide.open_store(restored)
    assert sought.held_by(folder) == before


def test_a_file_that_is_being_written_is_left_to_its_writer(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    file = tmp_path / "one.part"
    file.touch()
    with ChangingStore.open(url, create=True) as store, store.erasure.writing(file):
        egide.open_store(url).close()
        assert file.exists()


@pytest.mark.parametrize("host", ["this", "another, such as a container that is no more"])
@pytest.mark.parametrize("suffixes", [("", "-wal"), ("-wal", "-shm", "-journal")])
def test_unfinished_files_go_with_what_stands_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, suffixes: tuple[str, ...]
) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    file = tmp_path / "one.part"
    with ChangingStore.open(url, create=True) as store:
        with monkeypatch.context() as patch:
            if host != "this":
                patch.setattr("socket.gethostname", lambda: host)
            store.erasure._begin_file(file)
        for suffix in suffixes:
            Path(f"{file}{suffix}").touch()
    egide.open_store(url).close()
    assert [path.name for path in tmp_path.iterdir()] == ["egide.db"]


WAITS_IN_IT = """
import os, sys, time
from pathlib import Path
from egide.live import rebuilding
flush = os.fsync
def wait(descriptor):
    Path("waiting").touch()
    while not Path("go").exists(): time.sleep(0.01)
    flush(descriptor)
os.fsync = wait
rebuilding.main()
"""
STARTS_IT = """
import os, subprocess, sys
subprocess.run([sys.executable, "-c", *sys.argv[1:], str(os.getpid())])
"""


def test_a_child_that_outlives_a_killed_register_leaves_no_snapshot(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/egide.db"
    with ChangingStore.open(url, create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", map(picture, range(3)))
        path = snapshot_path(store)
        parent = subprocess.Popen(
            [sys.executable, "-c", STARTS_IT, WAITS_IN_IT, str(path)],
            cwd=tmp_path, env=os.environ | {"EGIDE_REBUILD_STORE": url},
        )  # fmt: skip
        until((tmp_path / "waiting").exists, "a build")
        (child,) = descendants(parent.pid)
        parent.kill()
        parent.wait()
        withdrawing.withdraw(store, "helpline", [1])
        egide.open_store(url).close()
        (tmp_path / "go").touch()
        until(lambda: not alive(child), "the child to end")
        assert sought_of([0]).held_by(tmp_path) == []


def earlier_state(store: ChangingStore, url: str) -> None:
    """Put a backup from before the snapshot in the place of the store."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    for number in range(5):
        withdrawing.confirm(store, "helpline", [number + 1])
    open_snapshot(store).close()
    store.close()
    for path in folder.glob("egide.db*"):
        if not path.name.endswith(".snapshot"):
            path.unlink()
    from egide.store.copying import restore_store

    restore_store(folder.parent / "backup.db", url)


def other_store(store: ChangingStore, url: str) -> None:
    """Delete the store and begin another one of the same name, with the same pictures."""
    folder = Path(url.removeprefix("sqlite:///")).parent
    open_snapshot(store).close()
    store.close()
    for path in folder.glob("egide.db*"):
        if not path.name.endswith(".snapshot"):
            path.unlink()
    with ChangingStore.open(url, create=True) as new:
        new.banks.create("helpline")
        new.entries.register("helpline", map(picture, range(6)))


def other_kind(store: ChangingStore, url: str) -> None:
    """Have something else stand where the snapshot is."""
    path = snapshot_path(store)
    path.write_bytes(b"x" * 100 + picture(0).pdqs[0])
    store.close()


def busy_build(store: ChangingStore, url: str) -> None:
    """Have every build find the store changed again, as in one that never rests."""
    from egide.live import snapshots

    build = snapshots.build_store_snapshot

    def interrupted(of: ChangingStore, path: Path) -> None:
        build(of, path)
        withdrawing.confirm(store, "helpline", [next(numbers)])

    numbers = iter(range(2, 6))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "build_store_snapshot", interrupted)
        open_snapshot(store).close()
    store.close()


@pytest.mark.parametrize("life", [earlier_state, other_store, other_kind, busy_build])
def test_a_snapshot_of_another_life_goes_too(
    tmp_path: Path, life: Callable[[ChangingStore, str], None]
) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    url = f"sqlite:///{folder}/egide.db"
    store = ChangingStore.open(url, create=True)
    store.banks.create("helpline")
    store.entries.register("helpline", map(picture, range(6)))
    store.backup(tmp_path / "backup.db")
    life(store, url)
    assert len(sought_of([0]).held_by(folder)) == 2
    with egide.open_store(url) as opened:
        withdrawing.withdraw(opened, "helpline", [1])
    assert sought_of([0]).held_by(folder) == []


@pytest.mark.parametrize("other", ["setting", "link", "moved"])
def test_a_snapshot_of_other_settings_goes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    file = tmp_path / "egide.db"
    url = f"sqlite:///{file}"
    with ChangingStore.open(url, create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", map(picture, range(2)))
    (tmp_path / "other").mkdir()
    built = url
    if other == "setting":
        monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path / "other"))
    elif other == "link":
        (tmp_path / "other/linked.db").symlink_to(file)
        built = f"sqlite:///{tmp_path}/other/linked.db"
    with egide.open_store(built) as store:
        open_snapshot(store).close()
    monkeypatch.delenv("EGIDE_SNAPSHOT_DIR", raising=False)
    if other == "moved":
        url = f"sqlite:///{file.rename(tmp_path / 'other/moved.db')}"
        with ChangingStore.open(f"sqlite:///{file}", create=True) as new:
            new.banks.create("helpline")
    assert len(sought_of([0]).held_by(tmp_path)) >= 2
    with egide.open_store(url) as store:
        withdrawing.withdraw(store, "helpline", [1])
    assert sought_of([0]).held_by(tmp_path) == []


def test_a_withdrawal_in_the_midst_of_builds_leaves_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from egide.live import snapshots

    url = f"sqlite:///{tmp_path}/egide.db"
    build = snapshots.build_store_snapshot
    numbers = iter(range(1, 6))

    def slow(of: ChangingStore, path: Path) -> None:
        """Between the reading of the entries and the naming of the file somebody withdraws."""
        build(of, path)
        held = path.read_bytes()
        path.unlink()
        withdrawing.withdraw(of, "helpline", [next(numbers)])
        path.write_bytes(held)

    with ChangingStore.open(url, create=True) as store:
        store.banks.create("helpline")
        store.entries.register("helpline", map(picture, range(6)))
        monkeypatch.setattr(snapshots, "build_store_snapshot", slow)
        open_snapshot(store).close()
        gone = [entry.id - 1 for entry in store.entries.list("helpline", state=State.WITHDRAWN)]
        assert gone
        assert sought_of(gone).held_by(tmp_path) == []


def test_following_for_long_erases_as_it_goes(here: Here) -> None:
    here.there.entries.register("ncii", [picture(1)])
    here.sync()
    here.build()
    with here.open() as store:
        follower = Follower(store, interval_s=0.05, connect=lambda _: Partner(here.there).client)
        follower.start()
        try:
            here.there.entries.withdraw("ncii", [1])
            until(lambda: not sought_of([1]).held_by(here.folder), "it to leave the files")
        finally:
            follower.stop()


# --- older stores -----------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def old_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/egide.db"
    new: Callable[[], str] = request.getfixturevalue("postgres_url")
    return new()


def test_an_upgrade_erases_what_false_positives_held(
    old_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGIDE_SNAPSHOT_DIR", str(tmp_path))
    migrated_to(old_url, "0004")
    engine = sa.create_engine(old_url)
    if sqlite := old_url.startswith("sqlite"):
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO store_meta VALUES ('an-id', :key, 1)"), {"key": bytes(32)}
        )
        connection.execute(
            sa.text("INSERT INTO banks VALUES (1, 'helpline', 31, '', :yes, 1, 1)"), {"yes": True}
        )
        connection.execute(sa.text("INSERT INTO revisions VALUES (1, 1, 'register', 1, 6)"))
        for number in range(6):
            one = picture(number)
            values = {
                "bank_id": 1,
                "identity": bytes([number]) * 32,
                "pdqs": b"".join(one.pdqs),
                "trimmed": 0,
                "sha256": one.sha256,
                "md5": one.md5,
                "quality": 90,
                "trust": "confirmed",
                "state": "tombstoned" if number < 3 else "active",
                "source": "local",
                "note": "a note",
                "added": 1,
                "changed": 1,
                "revision": 1,
            }
            connection.execute(sa.insert(entry_table).values(values))
    # An Egide of then built its snapshot from active ones; one from before it was found false.
    write_container(
        tmp_path / "an-id.snapshot",
        {"store_id": "an-id", "revision": 0, "banks": [], "trusts": []},
        {"code": array_section(np.frombuffer(picture(0).pdqs[0], np.uint8).reshape(1, 32))},
    )
    files = sought_of([0]).held_by(tmp_path)
    assert [name for name in files if name.startswith("an-id")]
    assert not sqlite or [name for name in files if "-wal" in name]
    # Another connection is open: the log does not go by itself.
    command(tmp_path, "store", "upgrade", "--store", old_url, EGIDE_SNAPSHOT_DIR=str(tmp_path))
    assert sought_of(range(3)).held_by(tmp_path) == []
    assert sqlite is bool(sought_of([3]).held_by(tmp_path))
    with ChangingStore.open(old_url) as store:
        assert ended_with_fingerprints(store) == 0
        assert store.erasure.get().pending_since is None
        states = [entry.state for entry in store.entries.list("helpline")]
        assert states == [State.TOMBSTONED] * 3 + [State.ACTIVE] * 3
        with pytest.raises(sa.exc.IntegrityError), store._database.write() as connection:
            connection.execute(
                sa.update(entry_table).where(entry_table.c.id == 1).values(sha256=picture(0).sha256)
            )
    engine.dispose()
