"""The figures as lines of text, each beside what was to be reached."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from service.plan import BATCH_GOAL, EFFECT_S, GROWTH_GOAL, P50_GOAL_MS, P99_GOAL_MS, UPLOADS_GOAL
from service.singles import ARRIVALS, EVEN
from service.workers import WORKERS_GOAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from service.endurance import Endurance
    from service.run import Figures

_MET = {True: "met", False: "MISSED"}


def lines(figures: Figures) -> Iterator[str]:
    """Yield the tables, in Markdown."""
    yield figures.machine
    yield f"{figures.plan.rows:,} entries"
    if figures.ready_s is not None:
        yield f"ready {figures.ready_s:.1f} s after the start, its snapshot at hand"
    yield from _batches(figures)
    yield from _singles(figures)
    yield from _uploads(figures)
    yield from _workers(figures)
    yield from _peer(figures)
    yield from _endurance(figures)
    yield ""
    for part, failure in figures.failures.items():
        yield f"{part} FAILED: {failure}"
    shares = ", ".join(f"{part} {share:.0%}" for part, share in figures.others.items())
    yield f"Of the machine other processes used: {shares}"


def _batches(figures: Figures) -> Iterator[str]:
    if not figures.batches:
        return
    yield from _head("fingerprints in a request", "clients", "fingerprints/s", "rounds", "goal")
    for one in figures.batches:
        reached = one.median_per_s >= BATCH_GOAL
        goal = f"{BATCH_GOAL:,.0f}: {_MET[reached]}" if one.size > 1 else ""
        least, most = min(one.per_s), max(one.per_s)
        yield _row(
            f"{one.size:,}",
            one.clients,
            f"{one.median_per_s:,.0f}",
            f"{least:,.0f} to {most:,.0f} in {len(one.per_s)}",
            goal,
        )


def _singles(figures: Figures) -> Iterator[str]:
    if not figures.singles:
        return
    yield from _head("arrivals", "p50 ms", "p90 ms", "p99 ms", "worst ms", "runs", "goal")
    for arrivals in ARRIVALS:
        runs = [one for one in figures.singles if one.arrivals == arrivals]
        p50 = statistics.median(one.p50 for one in runs)
        p99 = statistics.median(one.p99 for one in runs)
        goal = (
            f"p50 {P50_GOAL_MS:g}: {_MET[p50 <= P50_GOAL_MS]}, "
            f"p99 {P99_GOAL_MS:g}: {_MET[p99 <= P99_GOAL_MS]}"
        )
        yield _row(
            f"{figures.plan.singles_per_s}/s, {arrivals}",
            f"{p50:.2f}",
            f"{statistics.median(one.p90 for one in runs):.2f}",
            f"{p99:.2f} (of the client {statistics.median(one.sent_late_p99 for one in runs):.2f})",
            f"{max(one.worst for one in runs):.0f}",
            f"{len(runs)} of {figures.plan.singles_s:g} s",
            goal if arrivals == EVEN else "",
        )


def _uploads(figures: Figures) -> Iterator[str]:
    one = figures.uploads
    if one is None:
        return
    yield from _head("uploads of 2 megapixels", "pictures/s", "p50 ms", "p99 ms", "runs", "goal")
    kind = "drawings" if one.drawn else "photographs"
    yield _row(
        f"{one.pictures} {kind}, mean {one.mean_bytes / 1e3:,.0f} kB, "
        f"{figures.plan.upload_clients} clients",
        f"{one.median_per_s:.1f}",
        f"{one.p50_ms:.0f}",
        f"{one.p99_ms:.0f}",
        f"{min(one.per_s):.1f} to {max(one.per_s):.1f} in {len(one.per_s)}",
        f"{UPLOADS_GOAL:g}: {_MET[one.median_per_s >= UPLOADS_GOAL]}",
    )


def _workers(figures: Figures) -> Iterator[str]:
    one = figures.workers
    if one is None:
        return
    yield from _head("workers", "look-ups/s", "rounds", "CPU ms a look-up", "goal")
    for count, per_s, cpu_ms in (
        (1, one.one_per_s, one.one_cpu_ms),
        (2, one.two_per_s, one.two_cpu_ms),
    ):
        yield _row(
            count,
            f"{statistics.median(per_s):,.0f}",
            f"{min(per_s):,.0f} to {max(per_s):,.0f} in {len(per_s)}",
            f"{statistics.median(cpu_ms):.2f}",
            ""
            if count == 1
            else f"{WORKERS_GOAL:g} times: {_MET[one.ratio >= WORKERS_GOAL]}, {one.ratio:.2f}",
        )
    yield from _head("of two workers", "resident MiB", "private MiB", "with its part of the shared")
    for number, each in enumerate(one.memory):
        yield _row(number, f"{each.resident:.0f}", f"{each.private:.0f}", f"{each.part:.0f}")


def _peer(figures: Figures) -> Iterator[str]:
    peer = figures.peer
    if peer is None:
        return
    yield from _head(
        "look-ups/s", "Egide, over HTTP", f"PDQIndex {peer.version}, in process", "ratio"
    )
    for size, name, theirs in (
        (1, "one at a time", peer.singles_per_s),
        (1000, "by the thousand", peer.batch_per_s),
    ):
        ours = next(
            (one.median_per_s for one in figures.batches if (one.size, one.clients) == (size, 1)),
            None,
        )
        yield _row(
            name,
            "" if ours is None else f"{ours:,.0f}",
            f"{theirs:,.0f}",
            "" if ours is None else f"{ours / theirs:.2f}×",
        )


def _endurance(figures: Figures) -> Iterator[str]:
    if not figures.endurance:
        return
    yield from _head("endurance", *(one.database for one in figures.endurance))
    for name, values in _endured(figures.endurance):
        yield _row(name, *values)
    for one in figures.endurance:
        yield from one.wrong
        if one.errors[0]:
            yield f"first error: {one.errors[1]}"


def _endured(runs: list[Endurance]) -> Iterator[tuple[str, list[str]]]:
    yield "changes", [f"{one.added:,} + {one.withdrawn:,} in {one.seconds:.0f} s" for one in runs]
    yield (
        "a change, p50 and p99 ms",
        [f"{one.write_ms_p50:.0f}, {one.write_ms_p99:.0f}" for one in runs],
    )
    yield "changes behind schedule, at most", [f"{one.writes_late_s:.1f} s" for one in runs]
    yield (
        "look-ups of ten codes",
        [f"{one.requests:,}, {one.requests / one.seconds:.0f}/s" for one in runs],
    )
    yield (
        "a look-up, p50 and p99 ms",
        [f"{one.read_ms_p50:.0f}, {one.read_ms_p99:.0f}" for one in runs],
    )
    yield (
        f"codes judged (open: changed under {EFFECT_S:g} s before)",
        [f"{one.codes['right']:,} right, {one.codes['open']:,} open" for one in runs],
    )
    yield "codes asked about again at the end", [f"{one.checked_at_end:,}" for one in runs]
    yield "the store holds what it should", [_MET[one.kept] for one in runs]
    yield (
        "wrong answers (goal 0)",
        [f"{one.codes['wrong']}: {_MET[not one.codes['wrong']]}" for one in runs],
    )
    yield "errors (goal 0)", [f"{one.errors[0]}: {_MET[not one.errors[0]]}" for one in runs]
    yield (
        "oldest change that an answer did not know of",
        [f"{one.lag_s:.2f} s" for one in runs],
    )
    memory = [one.growth for one in runs]
    yield (
        "own memory after the warm-up, and at the end",
        [f"{one.own_first:.0f}, {one.own_last:.0f} MiB" for one in memory],
    )
    yield (
        f"grown (goal {GROWTH_GOAL:.0%} at most)",
        [
            f"{one.share:+.1%}, {one.own_per_minute:+.1f} MiB a minute: {_MET[one.flat]}"
            for one in memory
        ],
    )
    yield "pages of files, at the end", [f"{one.mapped_last:.0f} MiB" for one in memory]


def _head(*names: object) -> Iterator[str]:
    yield ""
    yield _row(*names)
    yield _row(*("---" for _ in names))


def _row(*values: object) -> str:
    return _joined(str(value) for value in values)


def _joined(values: Iterable[str]) -> str:
    return f"| {' | '.join(values)} |"
