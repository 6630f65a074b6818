"""Say and draw, in a terminal, which seconds of a video matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egide.domain.model import Fingerprint, Match
    from egide.domain.video import Span

_WIDTH = 40
_SPEED = 0.015
"""Of two lines as good, the usual speed is found; a smaller difference is not told."""


def clock(time_ms: int) -> str:
    """A time in a video, such as `1:02:03.5`; halves of seconds are told where there are any."""
    seconds, rest = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    half = f".{rest // 100}" if rest else ""
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}{half}"
    return f"{minutes}:{seconds:02}{half}"


def when(span: Span) -> str:
    """A part of a video's time, such as `0:20–0:32.5`."""
    return f"{clock(span.start_ms)}–{clock(span.end_ms)}"


def video_sentence(match: Match, query: Fingerprint) -> str | None:
    """Say which seconds of which video matched, with a timeline; None without a video."""
    shown = match.video
    if shown is None:
        return None
    if shown.query is None:
        there = "" if shown.entry is None else f", seen at {when(shown.entry)}"
        return f"Entry {match.entry}: like a frame of the registered video{there}."
    frames = f"{shown.frames} frame{'s' * (shown.frames != 1)}"
    if shown.entry is None:
        said = f"Entry {match.entry}: the picture is seen at {when(shown.query)}, in {frames}."
    else:
        faster = abs(shown.speed - 1) > _SPEED
        speed = f", at {shown.speed:.2f} times its speed" if faster else ""
        said = (
            f"Entry {match.entry}: {when(shown.entry)} of the registered video is seen at "
            f"{when(shown.query)}{speed}; {frames} agree, for {clock(shown.agreeing_ms)} in all."
        )
    if query.video is None:
        return said
    return f"{said}\n{timeline(shown.query, query.video.duration_ms)}"


def timeline(span: Span, duration_ms: int) -> str:
    """Draw where a part lies in a video."""
    whole = max(duration_ms, span.end_ms, 1)
    first = min(span.start_ms * _WIDTH // whole, _WIDTH - 1)
    last = max(-(-span.end_ms * _WIDTH // whole), first + 1)
    bar = "·" * first + "█" * (last - first) + "·" * (_WIDTH - last)
    return f"  0:00 {bar} {clock(whole)}"
