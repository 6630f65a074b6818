"""`egide serve` in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from urllib3 import HTTPResponse, PoolManager

from forked import command_forked

DEADLINE_S = 120.0


class Server:
    """A process that serves, on a free port.

    Attributes:
        key: the first one, if it printed any.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self.log = log
        self.key = ""
        self.http = PoolManager(retries=False, timeout=30)

    def await_address(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            self.key = said.get("first_key", self.key)
            if "address" in said:
                self.address = str(said["address"])
                return
        raise AssertionError(f"it ended: {self.log.read_text('utf-8')}")

    def ask(self, method: str, path: str, key: str | None = None, **rest: Any) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {key or self.key}"} | rest.pop("headers", {})
        answer = self.http.request(method, self.address + path, headers=headers, **rest)
        assert isinstance(answer, HTTPResponse)
        return answer

    def connect(self) -> socket.socket:
        host, port = self.address.removeprefix("http://").split(":")
        return socket.create_connection((host, int(port)), timeout=20)

    def await_refusal(self) -> None:
        ends_at = time.monotonic() + DEADLINE_S
        while time.monotonic() < ends_at:
            try:
                self.connect().close()
            except OSError:
                return
            time.sleep(0.05)
        raise AssertionError("it goes on taking connections")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.http.clear()
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_S)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    log = folder / f"log-{time.monotonic_ns()}"
    with log.open("w") as errors:
        command = ["serve", "--json", "--port", "0", "--decoders", "1", *arguments]
        process = command_forked(
            command, cwd=folder, env=os.environ | environment, text=True,
            stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
    try:
        yield Server(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(DEADLINE_S)
        assert process.stdout is not None
        process.stdout.close()
