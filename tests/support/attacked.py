"""`egide serve` as a process that tests attack: over raw sockets, with its memory watched."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from forked import command_forked

PATIENCE_S = 20.0
"""In which every request has to be answered, however it is made."""
_START_S = 60.0
_PDQ = "f0" * 32
_FINGERPRINTS = "/v1/match/fingerprints"
MAX_GROWTH_MIB = 120
"""The largest upload here has 37 MiB, of which three copies may be kept for the next one."""


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer; `status` is 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str | None:
        """Of the problem that it is, if any."""
        if self.headers.get("content-type") != "application/problem+json":
            return None
        return str(json.loads(self.body)["code"])

    def json(self) -> Any:
        """Return the body."""
        return json.loads(self.body)


CLOSED = Answered(0, {}, b"")


class Target:
    """A process that serves on a free port of loopback.

    Attributes:
        key: of the first admin; empty where there was one before.
        folder: holds the store and the log.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path, log: Path) -> None:
        self.process = process
        self.folder = folder
        self.log = log
        self.key = ""
        self.port = 0

    def await_address(self) -> None:
        """Wait until it takes requests."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            self.key = said.get("first_key", self.key)
            if "address" in said:
                self.port = int(said["address"].rpartition(":")[2])
                return
        raise AssertionError(f"it ended: {self.log.read_text('utf-8')}")

    def connect(self, source: str = "127.0.0.1", receive_bytes: int = 0) -> socket.socket:
        """Open a connection.

        Args:
            source: the address of loopback that it comes from.
            receive_bytes: what the system keeps of an answer that is not read; 0 for the usual.
        """
        connection = socket.socket()
        connection.settimeout(PATIENCE_S)
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        try:
            connection.bind((source, 0))
            connection.connect(("127.0.0.1", self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def raw(self, sent: bytes, source: str = "127.0.0.1") -> Answered:
        """Send bytes as they are; return the first answer."""
        with self.connect(source) as connection:
            with suppress(OSError):  # it may answer before it has read all
                connection.sendall(sent)
            return read_answer(connection)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | object = b"",
        *,
        key: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        content_type: str = "application/json",
        source: str = "127.0.0.1",
    ) -> Answered:
        """Send a request; what is no bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}"]
        if content:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Authorization: Bearer {self.key if key is None else key}")
        lines += [f"{name}: {value}" for name, value in headers]
        head = "\r\n".join([*lines, "Connection: close", "", ""])
        return self.raw(head.encode("utf-8") + content, source)

    def ready(self) -> None:
        """Wait until it matches, and answers as it should."""
        end = time.monotonic() + PATIENCE_S
        while self.ask("GET", "/readyz").status != 200:
            assert time.monotonic() < end, "it is not ready"
            time.sleep(0.05)

    def memory_mib(self) -> float:
        """How much memory the process itself has, without its children."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def worked_s(self) -> float:
        """How long the process itself has been at work, in its own code and the system's."""
        # Source: proc_pid_stat(5); what stands in brackets is the command.
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sockets(self) -> int:
        """How many sockets it holds."""
        count = 0
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                count += str(entry.readlink()).startswith("socket:")
        return count

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def end(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.terminate()
        return self.process.wait(_START_S)


@contextmanager
def target(folder: Path, *arguments: str, **environment: str) -> Iterator[Target]:
    """Start `egide serve` on a store in `folder`, or go on with the one that is there."""
    log = folder / f"log-{time.monotonic_ns()}"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("EGIDE_")}
    with log.open("w") as errors:
        process = command_forked(
            ["serve", "--json", "--port", "0", *arguments],
            cwd=folder, env=kept | {"EGIDE_DECODERS": "1"} | environment, text=True,
            stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        started = Target(process, folder, log)
        started.await_address()
        started.ready()
        yield started
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(_START_S)
        assert process.stdout is not None
        process.stdout.close()


def read_answer(connection: socket.socket) -> Answered:
    """Read one answer, or that there is none."""
    answer = HTTPResponse(connection)
    try:
        answer.begin()
        body = answer.read()
    except (HTTPException, ConnectionError):
        return CLOSED
    headers = {name.lower(): value for name, value in answer.getheaders()}
    return Answered(answer.status, headers, body)


def form(*parts: tuple[str, bytes], boundary: str = "b0undary") -> tuple[bytes, str]:
    """A form of parts, each what stands after `form-data; ` and a content; and its content type."""
    pieces = [
        f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n\r\n".encode("utf-8", "replace")
        + content
        + b"\r\n"
        for said, content in parts
    ]
    body = b"".join(pieces) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


@contextmanager
def under_attack(folder: Path) -> Iterator[Target]:
    """Start a register with short limits and a bank; at the end it has to be as it was."""
    with target(
        folder,
        EGIDE_BODY_TIMEOUT_S="3",
        EGIDE_HEADER_TIMEOUT_S="3",
        EGIDE_ITEM_TIMEOUT_S="3",
        EGIDE_MAX_BODY_BYTES="1000000",
        EGIDE_HMA_ENABLED="true",
        EGIDE_MAX_FAILURES_PER_MINUTE="1000000",
    ) as running:
        assert running.ask("POST", "/v1/banks", {"name": "helpline"}).status == 201
        assert_works(running)
        before_mib = running.memory_mib()
        yield running
        assert_works(running)
        assert running.memory_mib() < before_mib + MAX_GROWTH_MIB
        assert not [line for line in running.lines() if line["level"] == "error"]
        assert running.end() == 0


def assert_works(served: Target) -> None:
    """It answers an ordinary request."""
    answer = served.ask("POST", _FINGERPRINTS, {"fingerprints": [{"pdq": _PDQ}]})
    assert answer.status == 200, answer


def assert_refused(answer: Answered) -> None:
    """It is told what is wrong, with a code."""
    assert 400 <= answer.status < 500, answer
    if answer.body != b"Invalid HTTP request received.":
        assert answer.code or "message" in answer.json(), answer


def head(served: Target, path: str, *lines: str, method: str = "POST") -> bytes:
    """The head of a request with these further lines."""
    start = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {served.key}"]
    return "\r\n".join([*start, *lines, "", ""]).encode("latin-1")
