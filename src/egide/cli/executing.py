"""Where the work of a command runs: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from egide.auditing.executors.cluster import Cluster

WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", min=1, help="Processes; by default one per core."),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="CLUSTER",
        help="Work on a Ray cluster: local starts one here, auto is the one that runs here, "
        "else host:port.",
    ),
]


def joined_cluster(name: str | None, workers: int | None) -> AbstractContextManager[Cluster | None]:
    """Join the cluster that was named, if any."""
    if name is None:
        return nullcontext()
    from egide.auditing.executors.cluster import joined

    return joined(name, processes=workers or _cores())


def worker_count(workers: int | None, cluster: Cluster | None) -> int:
    """How many workers there are to be: as told, or one for each processor."""
    return workers or (cluster.processors if cluster else _cores())


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
