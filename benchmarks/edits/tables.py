"""The tables that a run prints, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from edits.codes import PEERS
from edits.edit import Group
from edits.pairwise import BOTH, METHODS, PARTS, PLAIN, TIER_0
from edits.results import Results, names
from edits.suite import EDITS
from edits.tally import Tally
from machine import machine_line

_BANKED = (PLAIN, TIER_0, PARTS, BOTH)


def lines(results: Results) -> Iterator[str]:
    """All tables."""
    yield machine_line()
    yield (
        f"{len(EDITS)} edits of {results.pictures} pictures (half: {results.plan.half}),"
        f" {results.single[BOTH].queries} queries; {results.seconds / 60:.0f} minutes"
    )
    for peer in PEERS:
        yield f"{peer.name}: {peer.why}"
    yield "\nRecall by edit, %, each query compared with the registered pictures one by one:\n"
    yield from _recall(results.single, [[edit.name] for edit in EDITS], by_group=False)
    yield "\nRecall by group, %:\n"
    yield from _recall(results.single, [names(group) for group in Group], by_group=True)
    yield "\nDistinct pictures taken for one another:\n"
    yield from _false(results.single, METHODS)
    yield "\nPictures that share an overlay, and copies under it (recall by overlay, %):\n"
    yield from _overlays(results.overlays, METHODS)
    yield "\n… through a bank of all of them:\n"
    yield from _overlays(results.overlays_banked, _BANKED)
    yield (
        f"\nLow texture: {results.low_pictures} pictures,"
        f" {results.not_enough_detail} say not-enough-detail:\n"
    )
    yield from _false(results.low, METHODS)
    if results.speed is not None:
        yield from _bank(results)


def _recall(
    tallies: Mapping[str, Tally], rows: Sequence[Sequence[str]], *, by_group: bool
) -> Iterator[str]:
    yield from _head("group" if by_group else "edit", METHODS)
    for number, edits in enumerate(rows):
        label = str(list(Group)[number]) if by_group else edits[0]
        cells = [f"{tallies[method].recall(edits):.1%}" for method in METHODS]
        yield _row(f"{label} ({len(edits)})" if by_group else label, cells)
    yield _row("**all**", [f"**{tallies[method].recall():.1%}**" for method in METHODS])


def _false(tallies: Mapping[str, Tally], methods: Sequence[str]) -> Iterator[str]:
    yield from _head("method", ("pairs", "false pairs", "queries", "queries with a false match"))
    for method in methods:
        tally = tallies[method]
        counts = (tally.pairs, tally.false_pairs, tally.queries, tally.false_queries)
        yield _row(method, [f"{count:,}" for count in counts])
    for method in methods[-3:]:
        for edit, key, other in tallies[method].wrong[:5]:
            yield f"- {method}: {edit} of {key} taken for {other}"


def _overlays(tallies: Mapping[str, Tally], methods: Sequence[str]) -> Iterator[str]:
    overlays: dict[str, list[str]] = {}
    for edit in tallies[BOTH].copies:
        overlays.setdefault(edit.partition(":")[0], []).append(edit)
    yield from _head("overlay", methods)
    for overlay, edits in overlays.items():
        yield _row(overlay, [f"{tallies[method].recall(edits):.1%}" for method in methods])
    yield _row("**all**", [f"**{tallies[method].recall():.1%}**" for method in methods])
    yield ""
    yield from _false(tallies, methods)


def _bank(results: Results) -> Iterator[str]:
    speed = results.speed
    assert speed is not None
    yield (
        f"\nThrough a bank of {speed.registered:,} pictures"
        f" ({results.banked[BOTH].queries} of the queries), built in {speed.build_s:.1f} s,"
        f" {speed.keypoint_bytes / 1e3:.1f} kB of keypoints a picture in memory:\n"
    )
    titles = (
        "recall",
        "recall one by one",
        "false pairs",
        "pairs",
        "median ms",
        "slowest ms",
        "with decoding",
    )
    yield from _head("method", titles)
    for method in _BANKED:
        tally = results.banked[method]
        yield _row(
            method,
            [
                f"{tally.recall():.1%}",
                f"{results.single_of_banked[method].recall():.1%}",
                f"{tally.false_pairs:,}",
                f"{tally.pairs:,}",
                f"{speed.median_ms[method]:.1f}",
                f"{speed.slowest_ms[method]:.1f}",
                f"{speed.file_ms[method]:.1f}",
            ],
        )
    yield (
        f"\nTimes are of {speed.queries} queries on one core, from decoded pixels to matches"
        " (decoding is left out, but for the last column)."
    )
    for method in _BANKED:
        for edit, key, other in results.banked[method].wrong[:5]:
            yield f"- {method}: {edit} of {key} taken for {other}"


def _head(first: str, titles: Sequence[str]) -> Iterator[str]:
    yield _row(first, titles)
    yield "|" + "---|" * (len(titles) + 1)


def _row(label: str, cells: Sequence[str]) -> str:
    return f"| {label} | {' | '.join(cells)} |"
