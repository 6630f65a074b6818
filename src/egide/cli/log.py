"""`egide log …`: verify, show and export the log."""

from __future__ import annotations

import json as json_lines
import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    AfterOption,
    JsonOption,
    StoreOption,
    counted,
    examples,
    is_watched,
    print_json,
    print_list,
    print_table,
    say,
    show_count,
    warn,
)
from egide.errors import OutputUnwritable, UsageError
from egide.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.store import LogRecord

_HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)
_SHOWN = 100


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "verify",
        epilog=examples("egide log verify", "egide log verify --head 1234:9f86d081… --json"),
    )(verify)
    app.command(
        "show",
        epilog=examples(
            "egide log show",
            "egide log show --entry helpline 17",
            "egide log show --after 1200 --limit 50 --json",
        ),
    )(show)
    app.command("export", epilog=examples("egide log export --out log.jsonl"))(export)


def verify(
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            metavar="SEQ:HASH",
            help="A head noted elsewhere: only with it is a wholly rewritten log detected.",
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Check that nothing in the log was changed, left out or added.

    Prints the head: number and hash of the last record. Note it outside the store, and pass it
    the next time. Exits with 3 if the log was tampered with.
    """
    import egide

    noted = None if head is None else _parse_head(head)
    watched = is_watched() and not json
    with egide.open_store(store) as opened:
        verdict = opened.log.verify(
            expected_head=noted, on_progress=_show_checked if watched else None
        )
    shown = f"{verdict.records}:{verdict.head.hex()}"
    if json:
        print_json(
            {
                "records": verdict.records,
                "head": shown,
                "first_revision": verdict.first_revision,
                "anchored": verdict.anchored,
            }
        )
        return
    say(f"{verdict.records} records, and nothing wrong with them.")
    if verdict.first_revision is not None and verdict.first_revision > 1:
        say(f"Revisions before {verdict.first_revision} are older than the log.")
    if not verdict.anchored:
        say("A log that was written anew as a whole shows only with --head and an earlier head.")
    say("Note this head elsewhere:")
    say(shown)


def show(
    entry: Annotated[
        tuple[str, int] | None,
        typer.Option("--entry", metavar="BANK ID", help="Only records that name this entry."),
    ] = None,
    after: AfterOption = 0,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=1, help="Most records; by default the last ones."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Show who did what, when.

    Entries are named by references that mean nothing without the store. An act on more than 100
    entries names none of them.
    """
    import egide

    with egide.open_store(store) as opened:
        number = None if entry is None else opened.entries.get(*entry).id
        if limit is None and after == 0 and number is None and not json:
            after = max(0, opened.log.head()[0] - _SHOWN)
        with closing(opened.log.records(after=after, limit=limit, entry=number)) as records:
            if json:
                print_list(map(_values, records))
                return
            rows = [_cells(record) for record in records]
    columns = ("", "at", "actor", "action", "bank", "revision", "details")
    print_table(
        "",
        [(name, "right" if name in {"", "revision"} else "left") for name in columns],
        rows,
    )


def export(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A new file.")],
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Write the whole log as JSON lines, to a file that only you can read.

    It tells who did what and when, and holds no fingerprint. The log also records the export.
    """
    import egide

    with egide.open_store(store) as opened:
        opened.log.append("export-log")
        with closing(opened.log.records()) as records:
            count = _write(out, records)
    if json:
        print_json({"file": str(out), "records": count})
    else:
        warn(f"{counted(count, 'record')} written to {out}.")


def _show_checked(records: int) -> None:
    # Some 45 µs a record: a million would take 45 s without any output.
    show_count(f"{counted(records, 'record')} checked")


def _write(out: Path, records: Iterator[LogRecord]) -> int:
    count = 0
    try:
        with written_whole(out, replacing=False) as lines:
            for record in records:
                lines.write(f"{json_lines.dumps(_values(record))}\n".encode())
                count += 1
    except OSError as error:
        raise OutputUnwritable(name=str(out), reason=error.strerror or "the disk") from error
    return count


def _parse_head(text: str) -> tuple[int, bytes]:
    found = _HEAD.fullmatch(text)
    if found is None:
        raise UsageError(reason="a head is SEQ:HASH, as `egide log verify` prints it")
    return int(found[1]), bytes.fromhex(found[2])


def _values(record: LogRecord) -> dict[str, Any]:
    return {
        "seq": record.seq,
        "at": _moment(record).isoformat(),
        "unix_s": record.at,
        "actor": record.actor,
        "action": record.action,
        "bank": record.bank,
        "revision": record.revision,
        "subjects": list(record.subjects),
        "detail": dict(record.detail),
        "previous": record.previous.hex(),
        "hash": record.hash.hex(),
    }


def _cells(record: LogRecord) -> list[str]:
    details = [f"{name}={value}" for name, value in record.detail.items()]
    return [
        str(record.seq),
        f"{_moment(record):%Y-%m-%d %H:%M:%S}",
        record.actor,
        record.action,
        record.bank or "",
        "" if record.revision is None else str(record.revision),
        ", ".join(details),
    ]


def _moment(record: LogRecord) -> datetime:
    return datetime.fromtimestamp(record.at, UTC)
