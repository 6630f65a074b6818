"""All measurements, one after the other: those of speed share a server, others have their own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from machine import machine_line
from service.batches import Batches, measure_batches
from service.database import postgresql, restored
from service.endurance import Endurance, measure_endurance
from service.peer import Peer, measure_peer
from service.prepared import codes_of, make_keys, prepare, working_copy
from service.processes import OtherWork
from service.progress import say
from service.served import Server, serve
from service.singles import Singles, measure_singles
from service.uploads import Uploads, measure_uploads
from service.workers import Scaling, measure_workers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from service.plan import Plan
    from service.prepared import Keys

_PACKAGES = ("fastapi", "uvicorn", "sqlalchemy")
_NOTABLE = 0.05
_SPEED = ("batches", "singles", "uploads")


@dataclass(slots=True)
class Figures:
    """All that was measured, so far.

    Attributes:
        plan: how much was to be done.
        machine: and the versions of what runs on it.
        ready_s: from the start of a server with the snapshot at hand until it answers.
        others: share of the machine that other processes used, by part.
        failures: what went wrong, by part.
    """

    plan: Plan
    machine: str = ""
    ready_s: float | None = None
    batches: list[Batches] = field(default_factory=list)
    singles: list[Singles] = field(default_factory=list)
    uploads: Uploads | None = None
    endurance: list[Endurance] = field(default_factory=list)
    peer: Peer | None = None
    workers: Scaling | None = None
    others: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def right(self) -> bool:
        """Whether no answer was wrong, no request failed and no memory grew."""
        return not self.failures and all(
            one.kept and one.growth.flat and not one.wrong and not one.errors[0]
            for one in self.endurance
        )

    def as_json(self) -> dict[str, Any]:
        """Everything, for a program to read."""
        return asdict(self)


def run(figures: Figures, parts: Sequence[str], cache: Path) -> None:
    """Measure these parts, in the order of `PARTS`; what fails costs no other part."""
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    figures.machine = f"{machine_line()}, {versions}"
    prepared = prepare(cache, figures.plan.rows)
    codes = codes_of(figures.plan.rows)
    speed = [part for part in parts if part in _SPEED]
    if speed:
        with _attempt(figures, "serving"), working_copy(prepared) as path:
            _measure_speed(figures, speed, path, codes)
    if "workers" in parts:
        with _attempt(figures, "workers"), _beside(figures, "workers"):
            figures.workers = measure_workers(prepared, codes, figures.plan)
    if "endurance-sqlite" in parts:
        with _attempt(figures, "endurance-sqlite"), working_copy(prepared) as path:
            _endure(figures, "endurance-sqlite", f"sqlite:///{path}", path.parent, codes)
    if "endurance-postgresql" in parts:
        with (
            _attempt(figures, "endurance-postgresql"),
            working_copy(prepared) as path,
            postgresql() as url,
        ):
            restored(path, url)
            # The snapshot beside the file is of the same store, and of the same revision.
            os.environ["EGIDE_SNAPSHOT_DIR"] = str(path.parent)
            try:
                _endure(figures, "endurance-postgresql", url, path.parent, codes)
            finally:
                del os.environ["EGIDE_SNAPSHOT_DIR"]
    if "peer" in parts:
        with _attempt(figures, "peer"), _beside(figures, "peer"):
            figures.peer = measure_peer(codes, figures.plan)


def _measure_speed(
    figures: Figures, parts: Sequence[str], path: Path, codes: NDArray[np.uint8]
) -> None:
    plan = figures.plan
    with _served(f"sqlite:///{path}", path.parent) as (server, keys):
        figures.ready_s = server.ready_s
        for part in parts:
            with _attempt(figures, part), _beside(figures, part):
                if part == "batches":
                    figures.batches = measure_batches(server, keys.matcher, codes, plan)
                elif part == "singles":
                    figures.singles = measure_singles(server, keys.matcher, codes, plan)
                else:
                    figures.uploads = measure_uploads(server, keys, plan)


def _endure(figures: Figures, part: str, url: str, folder: Path, codes: NDArray[np.uint8]) -> None:
    with _served(url, folder) as (server, keys), _beside(figures, part):
        figures.endurance.append(measure_endurance(url, server, keys, codes, figures.plan))


@contextmanager
def _served(url: str, folder: Path) -> Iterator[tuple[Server, Keys]]:
    keys = make_keys(url)
    with serve(url, folder / "log") as server:
        yield server, keys


@contextmanager
def _attempt(figures: Figures, part: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - hours of figures are not lost for one of them
        figures.failures[part] = f"{type(error).__name__}: {error}"
        say(f"{part} failed: {figures.failures[part]}")


@contextmanager
def _beside(figures: Figures, part: str) -> Iterator[None]:
    others = OtherWork()
    yield
    figures.others[part] = others.share()
    if figures.others[part] > _NOTABLE:
        say(f"other processes used {figures.others[part]:.0%} of the machine meanwhile")
