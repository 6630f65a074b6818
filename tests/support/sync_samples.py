"""A partner's register for tests: another store, asked without a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

from commands import Result, egide_in
from egide.domain.access import Role
from egide.domain.model import DIGEST_SIGNALS, BankKind, Entry, FeedbackKind, State
from egide.domain.partners import RemoteChanges, RemoteEntry, RemoteFeedback, RemoteVideo
from egide.partners.client import RegisterClient
from egide.store.changing import ChangingStore as Store
from served_process import Server, started


class Partner:
    """Answers like API v1 of the register of `store`.

    Attributes:
        asked: the positions that changes were asked from, and whether for ended ones only.
        before: called before each answer; it may raise, or change the store.
    """

    def __init__(self, store: Store, name: str = "partner") -> None:
        self.store = store
        self.name = name
        self.asked: list[tuple[int, int | None, bool]] = []
        self.before: Callable[[Partner], None] = lambda _: None

    @property
    def client(self) -> RegisterClient:
        return cast(RegisterClient, self)

    def _video(self, entry: Entry) -> RemoteVideo | None:
        return None if entry.video is None else RemoteVideo(entry.pdqs, entry.video)

    def changes(
        self,
        since: int,
        after: int | None = None,
        limit: int = 1000,
        bank: str | None = None,
        only_ended: bool = False,
    ) -> RemoteChanges:
        self.asked.append((since, after, only_ended))
        self.before(self)
        banks = None if bank is None else [bank]
        page = self.store.feed.page(
            since, after=after, limit=limit, banks=banks, ended_only=only_ended
        )
        return RemoteChanges(
            entries=tuple(
                RemoteEntry(
                    id=entry.id,
                    bank=entry.bank,
                    revision=entry.revision,
                    state=entry.state,
                    trust=entry.trust,
                    pdqs=entry.pdqs if entry.state is State.ACTIVE else (),
                    **{
                        signal: getattr(entry, signal) if entry.state is State.ACTIVE else None
                        for signal in DIGEST_SIGNALS
                    },
                    quality=entry.quality,
                    added=entry.added,
                    changed=entry.changed,
                    expires=entry.expires,
                    video=self._video(entry),
                    anchored=entry.anchored if entry.state is State.ACTIVE else None,
                    kind=BankKind.NEGATIVE if entry.bank in page.negative else BankKind.POSITIVE,
                )
                for entry in page.entries
            ),
            next_since=page.next.since,
            next_after=page.next.after,
            revision=page.revision,
            store_id=self.store.id,
            more=page.more,
        )

    def send_feedback(self, feedback: Sequence[RemoteFeedback]) -> None:
        self.before(self)
        for said in feedback:
            self.store.feedback.add_all(
                said.bank, [(said.entry, FeedbackKind(said.kind), said.at)], partner=self.name
            )


DEADLINE_S = 60.0


class Pair:
    """A register `remote`, and `here`, which follows its bank `ncii` into `partners`."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self.running = running
        self.folders = {name: folder / name for name in ("remote", "here")}
        for one in self.folders.values():
            one.mkdir()
        self.remote = running.enter_context(self._open("remote"))
        self.remote.banks.create("ncii")
        self.here = running.enter_context(self._open("here"))
        self.here.banks.create("partners")
        _, token = self.remote.keys.create("here", Role.PARTNER, "the other register")
        self.key_file = folder / "partner.key"
        self.write_key(token)

    def _open(self, name: str) -> Store:
        return Store.open(f"sqlite:///{self.folders[name] / 'egide.db'}", create=True)

    def write_key(self, token: str) -> None:
        self.key_file.write_text(f"{token}\n")
        self.key_file.chmod(0o600)

    def serve(self, name: str, port: int = 0) -> Server:
        server = self.running.enter_context(
            started(
                self.folders[name],
                "--port",
                str(port),
                EGIDE_SYNC_INTERVAL_S="0.2",
            )
        )
        server.await_address()
        return server

    def sync(self, *arguments: str) -> Result:
        return egide_in(self.folders["here"], "sync", *arguments, "--json")

    def add(self, url: str) -> None:
        done = self.sync(
            "add", "helpline", url, "--key-file", str(self.key_file),
            "--from", "ncii", "--into", "partners",
        )  # fmt: skip
        assert done.code == 0, done.out + done.err

    def held(self) -> list[Entry]:
        return list(self.here.entries.list("partners"))
