"""A PostgreSQL server of one's own, on loopback, in a temporary folder."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 20.0
_PORTS_TRIED = 3
# It may be killed and must then remember; the machine is not, so nothing needs to reach the disk.
FOR_TESTS = ("fsync=off", "full_page_writes=off", "max_connections=60", "shared_buffers=32MB")

# A new database takes a quarter of a second, TRUNCATE of all tables a tenth, this a hundredth
# where its connection stays: a new one reads the catalogue anew.
_EMPTY = """
DO $$ DECLARE name text; BEGIN
    PERFORM pg_terminate_backend(pid, 20000) FROM pg_stat_activity  -- waits for its end
        WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT IN ('store_meta', 'alembic_version')
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
    UPDATE store_meta SET erased_revision = 0, erasure_pending_since = NULL, erasures = 0;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
    LOOP PERFORM setval(name::regclass, 1, false); END LOOP;
END $$
"""


class PostgresServer:
    """A server in a temporary folder, whose superuser `egide` needs no password.

    Attributes:
        port: on 127.0.0.1.
        folder: holds its data, its socket and its log.
    """

    def __init__(self, programs: Path, settings: Sequence[str] = FOR_TESTS) -> None:
        self.port = 0
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="egide-postgresql-"))
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        self._emptying: dict[str, Any] = {}
        self._made = 0
        # PostgreSQL refuses to be run by root.
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        try:
            self._run("initdb", "--auth=trust", "--username=egide", "--encoding=UTF8",
                      "--locale=C", "--no-sync", f"--pgdata={self.data}")  # fmt: skip
            self._start_at_a_free_port()
        except BaseException:
            self.remove()
            raise

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    def _start_at_a_free_port(self) -> None:
        """Another may take a port between the moment it is found free and the server's start."""
        for left in reversed(range(_PORTS_TRIED)):
            self.port = _free_port()
            try:
                self.start()
            except RuntimeError:
                self.stop()
                if not left:
                    raise
            else:
                return

    def start(self) -> None:
        """Start it, on the same port as before, and wait until it answers."""
        command: list[str | Path] = [
            *(self._programs / "postgres", "-D", self.data, "-k", self.folder),
            *("-h", "127.0.0.1", "-p", str(self.port)),
        ]
        for setting in self._settings:
            command += ["-c", setting]
        with (self.folder / "log").open("ab") as log:
            # Two steps: the kernel forgets the signal where the user changes after it.
            self._process = subprocess.Popen(
                [*self._as_user, "setpriv", "--pdeathsig=INT", *command],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        end = time.monotonic() + _START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self, number: int = 2) -> None:
        """End it by a signal: SIGINT closes all connections, SIGKILL is a crash."""
        while self._emptying:
            self._emptying.popitem()[1].close()
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """The URL of one of its databases, as a store's."""
        return f"postgresql+psycopg://egide@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement outside of any transaction."""
        with self._connected(database) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _connected(self, database: str) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="egide", dbname=database, autocommit=True
        )

    def new_database(self, name: str) -> str:
        """Make an empty database and return what it is called."""
        self._made += 1
        database = re.sub(r"\W+", "_", name.lower())[:40] + f"_{self._made}"
        self.execute(f'CREATE DATABASE "{database}" TEMPLATE template0')
        return database

    def empty_store(self, database: str) -> None:
        """Make the store in a database like new, whoever is connected to it."""
        if database not in self._emptying:
            self._emptying[database] = self._connected(database)
        self._emptying[database].execute(_EMPTY)

    def drop(self, database: str) -> None:
        """Delete a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_user, self._programs / program, *arguments],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(done.stderr)

    def _answers(self) -> bool:
        import psycopg

        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


def find_programs() -> Path | None:
    """Where the newest PostgreSQL here has its programs; Debian keeps them out of the PATH."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parent.parent.name), default=None)
    on_path = shutil.which("initdb")
    return newest.parent if newest else Path(on_path).parent if on_path else None


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
