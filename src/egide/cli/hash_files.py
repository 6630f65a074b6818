"""`egide hash`: print fingerprints of files."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from egide.cli.coverage import (
    AcceptOption,
    StrictOption,
    error_values,
    exit_code,
    fingerprinted,
    gap_values,
    others_sentence,
    warn_of_gaps,
)
from egide.cli.progress import show_progress
from egide.cli.terminal import JsonOption, counted, examples, print_json, refuse, say, warn
from egide.text.visible import visible_name

if TYPE_CHECKING:
    from egide.domain.coverage import GapKind


class HashFormat(StrEnum):
    """How fingerprints are printed."""

    JSON = "json"
    """A line for each file."""
    VPDQ = "vpdq"
    """A line for each half second of one video, as the tool `vpdq-hash-video` prints them."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "hash",
        epilog=examples(
            "egide hash photo.jpg",
            "egide hash --fast photos/ | jq -r .pdq",
            "egide hash clip.mp4 --format vpdq",
            "egide hash --fast dataset/ shard-{000..009}.tar --out dataset.parquet",
        ),
    )(hash_files)


def hash_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES",
            help="Pictures, videos, or folders of them; with --out all that an audit reads.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="Keep fingerprints in a Parquet file; resumable."
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        HashFormat,
        typer.Option(
            "--format", metavar="FORMAT", help="json, or vpdq: the frames of one video as vPDQ."
        ),
    ] = HashFormat.JSON,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast/--exact",
            help="Decode JPEG at a reduced size, or in full (the default).",
        ),
    ] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="With --out: keep anchored hashes too.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="NAME", help="With --out: of Parquet files."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="With --out: processes; by default 1."),
    ] = None,
    strict: StrictOption = False,
    accept: AcceptOption = None,
    json: JsonOption = False,
) -> None:
    """Print the fingerprint of each file as a line of JSON.

    Each line has file, sha256, sha1, md5, pdq (64 hex digits), quality, width, height; or file and
    error. An animation also has frames, the PDQ of each distinct frame; of a video they have
    start_s and end_s. What of a file was not looked at is in not_looked_at. Files in folders that
    are not pictures are counted. Exits with 1 if something was left out, with 3 if a named file
    could not be opened or no file could be used.

    With --out it writes them to a file instead, for `egide audit` and `egide compare`: of folders,
    archives and tables too, with what was not looked at. The pictures are not needed any more then.
    """
    import egide
    from egide.errors import UsageError
    from egide.hashlist.vpdq import vpdq_lines

    if format is HashFormat.VPDQ and (out is not None or len(files) != 1 or json):
        raise UsageError(reason="--format vpdq is of one video, without --out and --json")
    if out is not None:
        from egide.settings import limits_from_environment

        _keep(
            files,
            out,
            strict=strict,
            accept=accept,
            json=json,
            mode=egide.Mode.FAST if fast else egide.Mode.EXACT,
            columns=column or (),
            limits=limits_from_environment(),
            thorough=thorough,
            workers=workers or 1,
        )
    refuse(
        {"--thorough": thorough, "--column": column, "--workers": workers},
        "{} is for a file of fingerprints: name it by --out",
    )
    mode = egide.Mode.FAST if fast else egide.Mode.EXACT
    hashed = 0
    gaps: list[egide.Gap] = []
    others: Counter[str] = Counter()
    for name, outcome in fingerprinted(files, mode=mode):
        if isinstance(outcome, egide.Gap):
            gaps.append(outcome)
            print_json({"file": name, "error": error_values(outcome)})
        elif isinstance(outcome, egide.Fingerprint):
            hashed += 1
            values = _line(outcome)
            if left_out := egide.gaps_within(name, outcome):
                gaps += left_out
                values["not_looked_at"] = [gap_values(gap) for gap in left_out]
            if format is HashFormat.JSON:
                print_json({"file": name, **values})
            elif outcome.video is None:
                raise UsageError(reason="--format vpdq is of a video, and this is a picture")
            else:
                for line in vpdq_lines(outcome):
                    say(line)
        else:
            others[outcome.suffix] += 1
    warn_of_gaps(hashed, [(gap.kind, gap.count) for gap in gaps], "fingerprinted")
    if others:
        warn(others_sentence(others))
    raise typer.Exit(
        exit_code(
            [gap.kind for gap in gaps],
            nothing_compared=bool(gaps or others) and not hashed,
            strict=strict,
            accepted=accept,
        )
    )


def _keep(
    sources: list[str],
    out: Path,
    *,
    strict: bool,
    accept: list[GapKind] | None,
    json: bool,
    **how: Any,
) -> NoReturn:
    """Write fingerprints to a file, say how many, and exit."""
    from egide.auditing.keeping import keep_fingerprints
    from egide.domain.coverage import GapKind

    with show_progress(quiet=json) as on_progress:
        summary = keep_fingerprints(sources, out, on_progress=on_progress, **how)
    if json:
        names = ("items", "hashed", "unreadable", "bytes", "others", "dataset_sha256")
        values = summary.to_json()
        print_json({"file": str(out), **{name: values[name] for name in (*names, "gaps")}})
    else:
        said = f"{counted(summary.hashed, 'fingerprint')} of {counted(summary.items, 'item')}"
        say(f"{said}: {visible_name(str(out))}")
        for gap in summary.gaps:
            more = f"{gap.count:,} × {gap.kind}, the first: " if gap.count > 1 else ""
            say(f"Not looked at: {more}{gap.message} [{gap.code}]")
    raise typer.Exit(
        exit_code(
            [GapKind(gap.kind) for gap in summary.gaps],
            nothing_compared=not summary.hashed,
            strict=strict,
            accepted=accept,
        )
    )


def _line(print_: Any) -> dict[str, Any]:
    values = {
        "sha256": print_.sha256.hex(),
        "sha1": print_.sha1.hex(),
        "md5": print_.md5.hex(),
        "pdq": print_.pdq.code.hex(),
        "quality": print_.pdq.quality,
        "width": print_.width,
        "height": print_.height,
    }
    if print_.video is not None:
        track = print_.video
        values["duration_s"] = track.duration_ms / 1000
        values["frames"] = [
            {
                "start_s": start / 1000,
                "end_s": end / 1000,
                "pdq": frame.code.hex(),
                "quality": frame.quality,
            }
            for start, end, frame in zip(track.starts, track.ends, print_.frames, strict=True)
        ]
        values["frames_skipped"] = print_.frames_skipped
    elif len(print_.frames) > 1 or print_.frames_skipped:
        values["frames"] = [
            {"pdq": frame.code.hex(), "quality": frame.quality} for frame in print_.frames
        ]
        values["frames_skipped"] = print_.frames_skipped
    if print_.share_read < 1:
        values["share_read"] = round(print_.share_read, 3)
    return values
