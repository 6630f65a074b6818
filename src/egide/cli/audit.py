"""`egide audit`: find copies of registered images in a dataset."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.coverage import AcceptOption, StrictOption, exit_code, others_sentence
from egide.cli.executing import RayOption, WorkersOption, joined_cluster, worker_count
from egide.cli.progress import show_progress
from egide.cli.report import Language, LanguageOption
from egide.cli.terminal import (
    DEFAULT_STORE,
    MATCH_COLUMNS,
    BanksOption,
    EndpointOption,
    JsonOption,
    ProfileOption,
    RadiusOption,
    StoreOption,
    counted,
    examples,
    match_cells,
    on_command_line,
    print_json,
    print_table,
    refuse,
    say,
    warn,
)
from egide.errors import Interrupted, NothingToCompare, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import egide

_SHOWN_MATCHES = 20
_SHOWN_GAPS = 20
_SHOWN_COLUMNS = 10
_FOUND = {
    "address": "by an address alone",
    "part": "in a part of a picture only",
    "anchored": "in a part only, by anchored hashes",
    "patches": "by keypoints only",
}
"""Ways of finding an item that are told apart by a line of their own."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "audit",
        epilog=examples(
            "egide audit dataset/ shard-{000..009}.tar train.parquet --out audit/",
            "egide audit s3://bucket/shards/ --out audit/ --workers 8 --lang fr",
            "egide audit dataset/ --out audit/ --thorough",
            "egide audit s3://bucket/shards/ --out audit/ --ray auto",
            "egide audit hashes.csv --out audit/ --json",
            "egide audit --again audit/",
            "egide audit dataset/ --out audit/ --matcher https://register.example "
            "--matcher-key register.key",
        ),
    )(audit)


def audit(
    context: typer.Context,
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCES",
            help="Folders, pictures, .tar, .tar.gz, .zip, .parquet files, or hash lists "
            "(.csv, .txt); paths, or URLs such as s3://, gs:// and hf:// with their extra.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Write results here; makes it resumable."),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(
            "--again", metavar="FOLDER", help="Audit again what stands there, in the same way."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    matcher: Annotated[
        str | None,
        typer.Option(
            "--matcher",
            metavar="URL",
            help="Compare at this register, which keeps its banks, instead of with a store.",
        ),
    ] = None,
    matcher_key: Annotated[
        Path | None,
        typer.Option(
            "--matcher-key",
            metavar="FILE",
            help="Holds the key for it, for you alone to read; else EGIDE_MATCHER_KEY does.",
        ),
    ] = None,
    bank: BanksOption = None,
    radius: RadiusOption = None,
    workers: WorkersOption = None,
    ray: RayOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="NAME", help="Image column of Parquet files; repeat for more."
        ),
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact/--fast", help="Decode JPEG at full instead of reduced size.")
    ] = False,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough",
            help="Also search by anchored hashes, and by keypoints if entries have them.",
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Scan everything again; discard earlier results.")
    ] = False,
    strict: StrictOption = False,
    accept: AcceptOption = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Read object stores without credentials.")
    ] = False,
    requester_pays: Annotated[
        bool, typer.Option("--requester-pays", help="Agree to pay for what object stores serve.")
    ] = False,
    endpoint_url: EndpointOption = None,
    profile: ProfileOption = None,
    lang: LanguageOption = Language.EN,
    json: JsonOption = False,
) -> None:
    """Compare every picture of a dataset with the banks.

    With --out it writes matches.parquet, vetoed.parquet, not_compared.parquet, summary.json and
    report.html; after an interruption, the same command resumes. With --thorough, crops and other
    parts of pictures are found too, by anchored hashes (not with --radius, which asks for distances
    alone), and entries registered with --patches in copies that were written on or changed in part;
    this takes
    several times as long. With --again, sources and options are those of before: new and changed
    shards are read, and what was kept of the others is compared with a bank that has grown. Exits
    with 0 if everything was compared and nothing matched, 1 if
    something matched or was left out, 3 if a source could not be listed or opened at all, if
    nothing could be compared, or if nothing matched and a bank or the keypoints were not searched.
    """
    import egide
    from egide.auditing.executors.local import LocalExecutor
    from egide.auditing.sources import access
    from egide.settings import limits_from_environment

    if again is None and not sources:
        raise UsageError(reason="name at least one source to audit")
    if again is not None:
        refuse(
            {
                "sources": sources,
                "--out": out,
                "--bank": bank,
                "--column": column,
                "--radius": radius is not None,
                "--exact": exact,
                "--thorough": thorough,
                "--fresh": fresh,
            },
            "--again takes {} from the audit of before: leave it out",
        )
        out = again
    elif not any("://" in source for source in sources or ()):
        refuse(
            {
                "--anonymous": anonymous,
                "--requester-pays": requester_pays,
                "--endpoint-url": endpoint_url,
                "--profile": profile,
            },
            "{} is for object stores, and no source stands in one",
        )
    if matcher is None:
        refuse({"--matcher-key": matcher_key}, "{} is the key for a register: name it by --matcher")
    else:
        refuse(
            {"--store": on_command_line(context, "store")},
            "{} is not asked where a register is, by --matcher: leave one of them out",
        )
    if out is None:
        refuse(
            {"--fresh": fresh, "--lang": on_command_line(context, "lang")},
            "{} is about what stands in a folder: name it by --out",
        )
    with (
        _saying_what_is_kept(out),
        access(
            anonymous=anonymous,
            requester_pays=requester_pays,
            endpoint_url=endpoint_url,
            profile=profile,
        ),
        joined_cluster(ray, workers) as cluster,
        show_progress(quiet=json) as on_progress,
        _register(store, matcher, matcher_key, on_progress) as opened,
    ):
        how: dict[str, Any] = {
            "workers": worker_count(workers, cluster),
            "on_keypoints_error": _warn_of_keypoints,
            "on_progress": on_progress,
            "executor": cluster.executor if cluster else LocalExecutor,
        }
        if again is not None:
            running = egide.audit.again(again, opened, limits=limits_from_environment(), **how)
        else:
            running = egide.audit(
                sources or (),
                opened,
                out=out,
                banks=bank,
                radius_bits=radius,
                mode=egide.Mode.EXACT if exact else egide.Mode.FAST,
                columns=column or (),
                limits=limits_from_environment(),
                thorough=thorough,
                fresh=fresh,
                **how,
            )
        first: list[egide.MatchRow] = []
        for finding in running:
            if isinstance(finding, egide.MatchRow) and len(first) < _SHOWN_MATCHES:
                first.append(finding)
    summary = running.summary
    assert summary is not None  # the iterator was exhausted
    if running.read_anew_for:
        changed = ", ".join(running.read_anew_for)
        warn(f"Everything was read anew, for since the last audit this has changed: {changed}")
    if running.asked_anew_for:
        changed = ", ".join(running.asked_anew_for)
        warn(f"The results that stood in {out} are replaced. They were of another audit: {changed}")
    path = egide.write_report(out, lang=lang.value) if out is not None else None
    if json:
        print_json(summary.to_json())
    else:
        _print_result(summary, first, path)
    unsearched = bool(
        summary.not_compared or summary.banks_disabled or summary.patches.code is not None
    )
    raise typer.Exit(
        exit_code(
            [egide.GapKind(gap.kind) for gap in summary.gaps],
            matched=bool(summary.matches),
            nothing_compared=unsearched and not summary.matches,
            strict=strict,
            accepted=accept,
        )
    )


@contextmanager
def _register(
    store: str,
    matcher: str | None,
    key_file: Path | None,
    on_progress: Callable[[egide.Progress], None],
) -> Iterator[egide.Store | egide.RemoteRegister]:
    """Open what is searched."""
    import egide

    if matcher is None:
        with egide.open_store(store) as opened:
            yield opened
        return

    def wait(wait_s: float, reason: str) -> None:
        on_progress(egide.Progress(phase=f"waiting {wait_s:,.0f} s for the register ({reason})"))
        time.sleep(wait_s)

    yield egide.RemoteRegister(
        matcher, key_file=key_file, on_wait=wait, on_keypoints_error=_warn_of_keypoints
    )


@contextmanager
def _saying_what_is_kept(out: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(remedy=_what_is_kept(out)) from None


def _what_is_kept(out: Path | None) -> str:
    from egide.auditing.output import Output
    from egide.auditing.parts import count_kept_items

    if out is None:
        return "nothing was kept; with --out an audit can be resumed"
    if items := count_kept_items(Output(out).parts):
        return f"{counted(items, 'item is', 'items are')} kept; run the same command again to go on"
    return "nothing was finished that can be kept; the same command starts again"


def _warn_of_keypoints(error: egide.KeypointsError) -> None:
    warn(f"Not searched by keypoints: {error} [{error.code}]")


def _why_nothing(summary: egide.AuditSummary) -> str:
    reasons = [f"the bank {name} is disabled" for name in summary.banks_disabled]
    reasons += [f"the bank {bank.name} has no entry that can match" for bank in summary.banks]
    return ", ".join(reasons) or "there is no enabled bank"


def _print_result(
    summary: egide.AuditSummary, first: list[egide.MatchRow], report: Path | None
) -> None:
    if first:
        print_table(
            "Matches"
            if len(first) == summary.matches
            else f"First {len(first)} of {summary.matches:,} matches",
            [("item", "left"), ("shard", "left"), *MATCH_COLUMNS],
            ([row.item, row.shard, *match_cells(row)] for row in first),
        )
    figures = {
        "items": f"{summary.items:,}",
        "hashed": f"{summary.hashed:,}",
        "unreadable": f"{summary.unreadable:,}",
        "not matchable": f"{summary.not_matchable:,}",
        "matched": f"{summary.matched_items:,}",
        "matches": f"{summary.matches:,}",
        "scanned now": f"{summary.scanned_items:,}",
        "in seconds": f"{summary.scan_seconds:.1f}",
        "items/s": f"{summary.items_per_s:,.0f}",
    }
    print_table("", [(heading, "right") for heading in figures], [figures.values()])
    say(summary.sentence)
    for name in summary.banks_disabled:
        warn(f"Not searched: the bank {name} is disabled")
    if summary.not_compared == "no-picture":
        warn("Nothing could be compared: no readable picture was found. [nothing-compared]")
    elif summary.not_compared:
        error = NothingToCompare(reason=_why_nothing(summary))
        warn(f"{error} [{error.code}]")
    if summary.compared:
        by = ", ".join(f"{signal} {count:,}" for signal, count in summary.compared.items())
        say(f"Rows of tables and lists, without pictures, compared by: {by}.")
    for way, words in _FOUND.items():
        if count := summary.ways[way]:
            say(f"Found {words}: {counted(count, 'match', 'matches')}.")
    if summary.anchored.searched and summary.anchored.items_without:
        say(f"Without anchored hashes to search by: {summary.anchored.items_without:,}.")
    if summary.patches.not_enough_detail:
        count = summary.patches.not_enough_detail
        say(f"Not enough detail to search by keypoints: {count:,}.")
    for gap in summary.gaps[:_SHOWN_GAPS]:
        more = f"{gap.count:,} × {gap.kind}, the first: " if gap.count > 1 else ""
        say(f"Not compared: {more}{gap.message} [{gap.code}]")
    if any(gap.count > 1 for gap in summary.gaps) or len(summary.gaps) > _SHOWN_GAPS:
        say("All that was not compared, one by one: not_compared.parquet in the same folder.")
    if summary.gaps:
        left_out = dict.fromkeys(gap.kind for gap in summary.gaps)
        options = " ".join(f"--accept {kind}" for kind in left_out)
        say(f"Where you know of it, leave a kind out of the exit code: {options}")
    for words, paths in (
        ("Columns with pictures, hashes or addresses", summary.columns.taken),
        ("Columns without any", summary.columns.empty),
        ("Columns not read", summary.columns.left),
    ):
        if paths:
            more = f" and {len(paths) - _SHOWN_COLUMNS} more" if len(paths) > _SHOWN_COLUMNS else ""
            say(f"{words}: {', '.join(list(paths)[:_SHOWN_COLUMNS])}{more}.")
    if summary.others:
        say(others_sentence(summary.others))
    if report is not None:
        say(f"Report: {report}")
