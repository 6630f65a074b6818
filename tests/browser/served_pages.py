"""`egide serve --pages` as a process of its own, as a helpline runs it, on a new store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import egide
from egide.domain.model import State
from forked import command_forked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egide.domain.model import Entry

DEADLINE_S = 120.0
BANK = "helpline"
EXIT_URL = "https://neutral.example/"


class ServedPages:
    """A served register, and where all that it writes lies.

    Attributes:
        folder: the process's own: its store, its temporary files.
        address: of the pages, without a slash at the end.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.address = ""
        self._environment = environment
        self._outputs: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "tmp").mkdir()

    @property
    def store_url(self) -> str:
        return f"sqlite:///{self.folder / 'egide.db'}"

    def start(self) -> None:
        """Serve; again at the same port, if it has served before."""
        port = self.address.rpartition(":")[2] or "0"
        # Beside the folder: what is said is not to be taken for what is kept.
        output = self.folder.parent / f"said-{len(self._outputs)}"
        self._outputs.append(output)
        with output.open("wb") as said, output.with_suffix(".log").open("wb") as log:
            self._process = command_forked(
                ["serve", "--pages", "--json", "--port", port, "--decoders", "1"],
                cwd=self.folder, env=os.environ | self._environment, stdout=said, stderr=log,
            )  # fmt: skip
        ends_at = time.monotonic() + DEADLINE_S
        while '"address"' not in (text := output.read_text("utf-8")):
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < ends_at
            time.sleep(0.02)
        self.address = json.loads(text.splitlines()[-1])["address"]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the process; nothing happens if it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(DEADLINE_S)

    def said(self) -> str:
        """Everything that it printed and logged so far."""
        return "".join(
            path.read_text("utf-8")
            for output in self._outputs
            for path in (output, output.with_suffix(".log"))
        )

    def kept(self) -> dict[str, bytes]:
        """Every file that it has written and that is still there, by its path."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    @contextmanager
    def store(self) -> Iterator[egide.Store]:
        with egide.open_store(self.store_url) as opened:
            yield opened

    def active(self) -> list[Entry]:
        """The entries that can be found now."""
        with self.store() as opened:
            return [entry for entry in opened.entries.list(BANK) if entry.state is State.ACTIVE]


@contextmanager
def serving_pages(folder: Path, **environment: str) -> Iterator[ServedPages]:
    """Serve in a folder of this folder until the block ends."""
    own = folder / "served"
    own.mkdir()
    served = ServedPages(
        own,
        {
            "EGIDE_CASE_PROOF_BITS": "8",
            "EGIDE_CASES_PER_HOUR": "1000",
            "EGIDE_PAGES_EXIT_URL": EXIT_URL,
            "EGIDE_LOG_LEVEL": "debug",
            "TMPDIR": str(own / "tmp"),
        }
        | environment,
    )
    try:
        served.start()
        yield served
    finally:
        served.stop()
