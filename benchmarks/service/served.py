"""`egide serve` as a user starts it, and its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

from service.plan import BenchmarkFailed
from service.progress import say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_TIMEOUT_S = 600.0
_STOP_TIMEOUT_S = 60.0
_PAUSE_S = 0.05
# More than a day's additions of a helpline: else a second person has to approve them.
_ENVIRONMENT = {"EGIDE_BULK_LIMIT": "1000000"}


@dataclass(frozen=True, slots=True)
class Server:
    """A register that is served.

    Attributes:
        address: of its HTTP.
        pid: of its main process.
        ready_s: from its start until it could answer.
    """

    address: str
    pid: int
    ready_s: float


@contextmanager
def serve(url: str, log: Path, *arguments: str) -> Iterator[Server]:
    """Serve a store on a free port of the loopback until the block ends.

    Args:
        url: of the store.
        log: what the server writes to standard error goes there.
        arguments: further ones of the command.

    Raises:
        BenchmarkFailed: it does not start, does not end when asked, or failed at something.
    """
    command = [sys.executable, "-m", "egide.cli.main", "serve", "--json", "--port", "0"]
    began = time.monotonic()
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [*command, "--store", url, *arguments],
            env=os.environ | _ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        address = _await_address(process, log)
        _await_ready(address, process, log)
        ready_s = time.monotonic() - began
        say(f"serving after {ready_s:.1f} s, process {process.pid}")
        yield Server(address, process.pid, ready_s)
        process.send_signal(signal.SIGTERM)
        if process.wait(_STOP_TIMEOUT_S) != 0:
            raise BenchmarkFailed(
                f"the server ended with status {process.returncode}\n{_tail(log)}"
            )
        _require_no_failure(log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _await_address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if "address" in said:
            return str(said["address"])
    raise BenchmarkFailed(f"the server did not start\n{_tail(log)}")


def _await_ready(address: str, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < until:
        try:
            with urlopen(f"{address}/readyz", timeout=10):
                return
        except HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(_PAUSE_S)
    raise BenchmarkFailed(f"the server did not get ready\n{_tail(log)}")


def _require_no_failure(log: Path) -> None:
    failures = [
        line
        for line in log.read_text("utf-8").splitlines()
        if json.loads(line).get("level") == "error"
    ]
    if failures:
        raise BenchmarkFailed(f"the server's log tells of {len(failures)} failures: {failures[0]}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text("utf-8").splitlines()[-20:])
