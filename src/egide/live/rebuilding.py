"""Build the search snapshot in a low-priority child process, one at a time, while others search.

Run as a program, with the snapshot's path and the parent's process id, this module is that child.
It takes the store's URL from the environment: the URL may hold a password, and everyone can read
command lines.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from egide.errors import EgideError, SnapshotUnwritable
from egide.live.snapshots import build_store_snapshot, building, forget_snapshot
from egide.sandbox.limits import end_with_parent
from egide.sandbox.starting import end, start, variables

if TYPE_CHECKING:
    from subprocess import Popen

    from egide.index.live import LiveIndex

_MODULE = "egide.live.rebuilding"
URL_VARIABLE = "EGIDE_REBUILD_STORE"
_READ_TOO = (
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "EGIDE_STORE_TIMEOUT_S",
)
_NICENESS = 10
_BUSY_STATUS = 75
_STOP_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 600.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RebuildRules:
    """When to rebuild a snapshot.

    Attributes:
        min_changes: changes in memory that never require a rebuild.
        changes_share: the same, as a share of the snapshot's entries; the larger limit counts.
        forget_after_s: how long a snapshot may hold a fingerprint that the store has erased.
    """

    min_changes: int = 50_000
    changes_share: float = 0.1
    forget_after_s: float = 900.0

    def most_changes(self, index: LiveIndex) -> int:
        """The most changes that a live index may hold on top of its snapshot."""
        return max(self.min_changes, int(self.changes_share * index.base.entry_count))

    def due(self, index: LiveIndex, *, file_exists: bool, now_s: float) -> bool:
        """Whether a live index needs a new snapshot.

        Args:
            index: the live index.
            file_exists: whether the snapshot's file exists; a withdrawal may have removed it.
            now_s: the present, by `time.monotonic`.
        """
        if not file_exists:
            return True
        if index.held_changes > self.most_changes(index):
            return True
        since_s = index.erased_since_s
        return since_s is not None and now_s - since_s > self.forget_after_s


class Rebuilder:
    """Starts and ends the child process; retries later after a failure.

    Attributes:
        failure: the error code of the last build; None after a success.
    """

    def __init__(self, url: str, path: Path) -> None:
        """Prepare to build the snapshot of a store.

        Args:
            url: of the store, with its password.
            path: of the snapshot.
        """
        self.failure: str | None = None
        self._url = url
        self._path = path
        self._child: Popen[bytes] | None = None
        self._started_s = 0.0
        self._not_before_s = 0.0
        self._failures = 0

    @property
    def running(self) -> bool:
        """Whether a child is building."""
        return self._child is not None

    def start(self) -> None:
        """Start the child, unless one runs, another process builds, or it is too soon.

        An unwritable folder counts as a failed build.
        """
        if self._child is not None or time.monotonic() < self._not_before_s:
            return
        try:
            with building(self._path, wait=False) as free:
                if not free:
                    return
        except SnapshotUnwritable as error:
            self._fail(error.code)
            return
        self._started_s = time.monotonic()
        try:
            self._child = start(
                _MODULE,
                str(self._path),
                str(os.getpid()),
                environment={**_database_variables(self._url), URL_VARIABLE: self._url},
                reads=False,
            )
        except EgideError as error:
            self._fail(error.code)

    def poll(self) -> None:
        """Record the outcome of the child once it has ended."""
        child = self._child
        if child is None or child.poll() is None:
            return
        said, _ = child.communicate()
        self._child = None
        now_s = time.monotonic()
        if child.returncode == _BUSY_STATUS:
            return
        if child.returncode == 0:
            self.failure = None
            self._failures = 0
            # However often entries end, builds take at most half of one core.
            self._not_before_s = now_s + (now_s - self._started_s)
            return
        self._fail(said.decode("utf-8", "replace").strip() or f"status {child.returncode}")

    def _fail(self, code: str) -> None:
        if code != self.failure:
            log.warning("cannot build the search snapshot: %s", code)
        self.failure = code
        pause_s = min(_FIRST_PAUSE_S * 2**self._failures, _LONGEST_PAUSE_S)
        self._not_before_s = time.monotonic() + pause_s
        self._failures += 1

    def close(self) -> None:
        """End the child, if one runs; it removes its unfinished file."""
        child, self._child = self._child, None
        if child is not None:
            end(child, timeout_s=_STOP_TIMEOUT_S)


def _database_variables(url: str) -> dict[str, str]:
    """The environment variables that a PostgreSQL store reads besides its URL."""
    if url.startswith("sqlite"):
        return {}
    # libpq's names have no underscore; other names that begin with PG are not libpq's.
    own = {name: value for name, value in variables(prefixes=("PG",)).items() if "_" not in name}
    return {**own, **variables(_READ_TOO)}


def main() -> int:
    """Run as the child: build once; on failure, print the error code."""
    from egide.store import Store

    # The default handler would leave the unfinished file behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.nice(_NICENESS)
    path, parent = Path(sys.argv[1]), int(sys.argv[2])
    # The signal's handler removes the unfinished file.
    end_with_parent(parent, partial(os.kill, os.getpid(), signal.SIGTERM))
    try:
        with building(path, wait=False) as free:
            if not free:
                return _BUSY_STATUS
            with Store.open(os.environ[URL_VARIABLE]) as store:
                try:
                    build_store_snapshot(store, path)
                finally:
                    if os.getppid() != parent:
                        # It may hold entries withdrawn meanwhile, and no parent will remove it.
                        forget_snapshot(store)
    except EgideError as error:
        sys.stdout.write(error.code)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
