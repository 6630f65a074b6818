"""What processes use, from /proc: their memory, and how busy the machine was with others."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Self

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KIB_PER_MIB = 1024.0


@dataclass(frozen=True, slots=True)
class Memory:
    """What one process had at one moment, in MiB.

    Attributes:
        at_s: since the sampling began.
        resident: all of it.
        own: anonymous memory, that no file stands behind: what a leak would make grow.
        mapped: pages of files, the snapshot's above all, as they have been read.
    """

    at_s: float
    resident: float
    own: float
    mapped: float


def memory_of(pid: int, at_s: float) -> Memory:
    """Return a process's memory now.

    Raises:
        OSError: it is gone.
    """
    kib: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.startswith(("VmRSS", "Rss")):
            kib[name] = int(value.split()[0])
    return Memory(
        at_s,
        kib["VmRSS"] / _KIB_PER_MIB,
        kib["RssAnon"] / _KIB_PER_MIB,
        (kib["RssFile"] + kib["RssShmem"]) / _KIB_PER_MIB,
    )


class MemorySampler:
    """Samples a process each second, in a thread.

    Attributes:
        samples: so far.
    """

    def __init__(self, pid: int, every_s: float = 1.0) -> None:
        self.samples: list[Memory] = []
        self._pid = pid
        self._every_s = every_s
        self._ended = Event()
        self._thread = Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        began = time.monotonic()
        while True:
            at_s = time.monotonic() - began
            try:
                self.samples.append(memory_of(self._pid, at_s))
            except OSError:
                return
            if self._ended.wait(self._every_s):
                return


class OtherWork:
    """Tells how much of the machine others used while something was measured."""

    def __init__(self) -> None:
        self._busy_s = _busy_s()
        self._own_s = tree_s(os.getpid())
        self._began = time.monotonic()

    def share(self) -> float:
        """Of all cores since this was made: 0 for a quiet machine."""
        elapsed_s = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        others_s = _busy_s() - self._busy_s - (tree_s(os.getpid()) - self._own_s)
        return max(0.0, others_s / elapsed_s)


def _busy_s() -> float:
    """Seconds that all cores have worked, or were kept from it by the hypervisor."""
    first = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = map(int, first[:8])
    return (user + nice + system + interrupts + soft + stolen) / _TICKS_PER_S


def tree_s(root: int) -> float:
    """Seconds of a process, of all below it, and of those that they have waited for."""
    children: dict[int, list[int]] = defaultdict(list)
    ticks: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        children[int(fields[1])].append(int(folder.name))
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    total, left = 0, [root]
    while left:
        pid = left.pop()
        total += ticks.get(pid, 0)
        left += children[pid]
    return total / _TICKS_PER_S
