"""Processes that serve a register, and their children, for tests that end them in every way."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from served_process import Server, started


def serve(running: ExitStack, folder: Path, url: str, **settings: str) -> Server:
    """Start a process; `await_address` says when it answers."""
    environment = {"EGIDE_BULK_LIMIT": "1000000"} | settings
    return running.enter_context(started(folder, "--store", url, **environment))


def alive(process: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def command_of(process: int) -> bytes:
    """What a process was started as; nothing where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def descendants(process: int) -> set[int]:
    """The children of a process, and theirs."""
    found: set[int] = set()
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            for child in map(int, path.read_text().split()):
                found |= {child} | descendants(child)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found
