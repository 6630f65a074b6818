"""Progress of long work: a bar on a terminal, else an occasional line."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from egide.cli.terminal import counted, is_watched, progress_bar, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egide.auditing.progress import Progress

_LINE_EVERY_S = 30.0


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Callable[[Progress], None]]:
    """Yield a function that shows the progress of an audit on standard error."""
    if quiet:
        yield lambda _progress: None
    elif is_watched():
        with progress_bar() as change:
            yield _bar(change)
    else:
        yield _lines()


def _bar(change: Callable[[str, str, int | None, int], None]) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        total = progress.bytes_total if progress.phase == "scanning" else None
        change(progress.phase, describe(progress), total, progress.bytes_done)

    return show


def _lines() -> Callable[[Progress], None]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            warn(f"{progress.phase}: {describe(progress)}")

    return show


def describe(progress: Progress) -> str:
    """Return counts, rate and remaining time in words; no names."""
    if progress.phase == "preparing":
        return "what is searched"
    if progress.phase.startswith("waiting"):
        return "what was answered stands"
    if progress.phase == "listing":
        return f"{progress.bytes_total / 1e6:,.0f} MB so far"
    parts = [counted(progress.items, "item")]
    if progress.seconds > 1:
        parts.append(f"{progress.items / progress.seconds:,.0f}/s")
    if progress.matched_items:
        parts.append(f"{progress.matched_items:,} matched")
    if progress.unreadable:
        parts.append(f"{progress.unreadable:,} unreadable")
    if (remaining := remaining_s(progress)) is not None:
        minutes, seconds = divmod(round(remaining), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02}:{seconds:02} left")
    return ", ".join(parts)


def remaining_s(progress: Progress) -> float | None:
    """Return the time left, estimated from the bytes read so far; None while unknown."""
    done = progress.bytes_done - progress.bytes_kept
    left = progress.bytes_total - progress.bytes_done
    if progress.phase != "scanning" or done <= 0 or progress.seconds < 1:
        return None
    return max(left, 0) * progress.seconds / done
