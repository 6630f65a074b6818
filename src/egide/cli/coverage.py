"""What a command did not look at: the options about it, its words, and the exit code.

One rule holds for `audit`, `match` and `hash`; see docs/reference/commands.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import Exit, counted, warn
from egide.domain.coverage import GapKind
from egide.errors import ItemError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from egide.auditing.sources import Other
    from egide.domain.coverage import Gap
    from egide.domain.model import Fingerprint, Limits

StrictOption = Annotated[
    bool,
    typer.Option("--strict", help="Exit with 3 if anything was not looked at."),
]
AcceptOption = Annotated[
    list[GapKind] | None,
    typer.Option(
        "--accept",
        metavar="KIND",
        help="Leave the exit code as it is where this was not looked at: "
        f"{', '.join(GapKind)}; repeat for more.",
    ),
]
_SHOWN_SUFFIXES = 5
_UNITS = {
    GapKind.SOURCE: ("source", "sources"),
    GapKind.LISTING: ("folder", "folders"),
    GapKind.ARCHIVE: ("archive or document", "archives and documents"),
    GapKind.ITEM: ("file", "files"),
    GapKind.FRAME: ("frame of an animation", "frames of animations"),
    GapKind.PIXELS: ("part of a cut picture", "parts of cut pictures"),
}
"""The kinds that single files can leave; an audit has words for all."""


def exit_code(
    kinds: Iterable[GapKind],
    *,
    matched: bool = False,
    nothing_compared: bool = False,
    strict: bool,
    accepted: Collection[GapKind] | None,
) -> Exit:
    """Return the exit code of a run.

    Args:
        kinds: of what was not looked at.
        matched: something matched.
        nothing_compared: the run has no answer to give.
        strict: whatever was not looked at is an error.
        accepted: kinds that change nothing.
    """
    left = set(kinds) - set(accepted or ())
    if nothing_compared or GapKind.SOURCE in left or (strict and left):
        return Exit.FAILED
    return Exit.FOUND if matched or left else Exit.OK


def warn_of_gaps(compared: int, gaps: Iterable[tuple[GapKind, int]], done: str) -> None:
    """Say how many files were used, and what was not; nothing if all were.

    Args:
        compared: files that were used.
        gaps: what was not looked at, with its count.
        done: what was done with the files, as a participle.
    """
    counts = dict.fromkeys(GapKind, 0)
    for kind, count in gaps:
        counts[kind] += count
    parts = [counted(count, *_UNITS[kind]) for kind, count in counts.items() if count]
    if not parts:
        return
    files = compared + counts[GapKind.ITEM] + counts[GapKind.SOURCE]
    listed = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
    verb = "was" if sum(counts.values()) == 1 else "were"
    warn(
        f"Of {counted(files, 'file')} {counted(compared, 'was', 'were')} {done}; "
        f"{listed} {verb} not."
    )


def fingerprinted(
    files: Iterable[str], **settings: Any
) -> Iterator[tuple[str, Fingerprint | Gap | Other]]:
    """Fingerprint files, and those in folders; what is no picture there is told by an audit's rule.

    Args:
        files: pictures, or folders of them.
        settings: of `egide.fingerprint`; the limits are those of the environment.
    """
    from egide.hashing import fingerprint_or_error
    from egide.settings import limits_from_environment
    from egide.usecases.register import picture_files

    limits = limits_from_environment()
    for file in picture_files(files):
        name = str(file.path)
        outcome: Fingerprint | Gap | Other | ItemError | None = file.error
        if outcome is None and not file.named:
            outcome = _beside(file.path, limits)
        if outcome is None:
            outcome = fingerprint_or_error(file.path, name=name, limits=limits, **settings)
        yield name, file.gap(outcome) if isinstance(outcome, ItemError) else outcome


def _beside(path: Path, limits: Limits) -> Gap | Other | None:
    from egide.auditing.sources import look_beside

    try:
        with path.open("rb") as stream:
            return look_beside(str(path), stream, limits)
    except OSError:
        return None  # reading it as a picture says why


def others_sentence(others: Mapping[str, int]) -> str:
    """Say how many files are not pictures, by their suffixes; they are no gap."""
    kinds = sorted(others.items(), key=lambda kind: -kind[1])[:_SHOWN_SUFFIXES]
    shown = ", ".join(f"{suffix or 'without suffix'} {count:,}" for suffix, count in kinds)
    more = ", …" if len(others) > len(kinds) else ""
    return f"Files that are not pictures: {sum(others.values()):,} ({shown}{more})."


def gap_values(gap: Gap) -> dict[str, Any]:
    """A gap as JSON values, without the name, which stands beside it."""
    return {"kind": gap.kind, "count": gap.count, "code": gap.code, "message": gap.message}


def error_values(gap: Gap) -> dict[str, Any]:
    """The error of a file as JSON values."""
    return {"code": gap.code, "message": gap.message, "kind": gap.kind}
