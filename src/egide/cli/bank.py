"""`egide bank …`: create, fill and export banks."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TextIO

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    Exit,
    JsonOption,
    StoreOption,
    counted,
    examples,
    export_stream,
    input_stream,
    print_json,
    print_list,
    print_table,
    say,
    warn,
)
from egide.domain.model import DEFAULT_RADIUS_BITS, SIGNAL_BYTES, BankKind, Signal, State, Trust
from egide.errors import FileMissing, FileUnreadable, OutputUnwritable, UsageError
from egide.files import written_whole
from egide.hashlist import BadLine, HashListFormat
from egide.text.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egide.domain.model import Bank
    from egide.store import Store
    from egide.usecases.import_lists import ImportReport
    from egide.usecases.register import RegisteredFile

BankArgument = Annotated[str, typer.Argument(metavar="BANK", help="The bank's name.")]
_SHOWN_BAD_LINES = 20
_SHOWN_REASONS = 10
_SHOWN_ENTRIES = 20
_KEYPOINTS_SHOWN = {
    "": "",
    "stored": ", keypoints stored",
    "not-enough-detail": ", too little detail for keypoints: none stored",
}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("create", epilog=examples("egide bank create helpline --radius 31"))(create)
    app.command("list", epilog=examples("egide bank list --json"))(list_banks)
    app.command(
        "set",
        epilog=examples("egide bank set helpline --radius 20", "egide bank set old --disable"),
    )(set_bank)
    app.command(
        "add",
        epilog=examples(
            "egide bank add helpline photos/*.jpg",
            "egide bank add helpline folder/ --source case-17 --expires 2027-12-31",
            "egide bank add helpline folder/ --patches",
        ),
    )(add)
    app.command(
        "import",
        epilog=examples(
            "egide bank import helpline hashes.csv",
            "threatexchange dataset -P --csv | egide bank import partners - --source collab",
        ),
    )(import_list)
    app.command("export", epilog=examples("egide bank export helpline --out hashes.csv"))(export)


def create(
    name: BankArgument,
    radius: Annotated[
        int, typer.Option("--radius", min=0, max=63, help="Match within this many of 256 bits.")
    ] = DEFAULT_RADIUS_BITS,
    description: Annotated[str, typer.Option("--description", help="What it is for.")] = "",
    kind: Annotated[
        BankKind,
        typer.Option(
            "--kind", help="negative: its pictures are harmless, and a match there vetoes others."
        ),
    ] = BankKind.POSITIVE,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Create a bank, and the store if it does not exist."""
    import egide
    from egide.usecases.banks import create_bank

    with egide.open_store(store, create=True) as opened:
        bank = create_bank(opened, name, radius_bits=radius, description=description, kind=kind)
        if json:
            print_json(bank_values(opened, bank))
        else:
            negative = "negative " if bank.kind is BankKind.NEGATIVE else ""
            say(
                f"Created {negative}bank {bank.name} in {opened.url}, "
                f"radius {bank.radius_bits} bits."
            )


def list_banks(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the banks and how many entries they hold."""
    import egide

    with egide.open_store(store) as opened:
        rows = [bank_values(opened, bank) for bank in opened.banks.list()]
    if json:
        print_list(rows)
        return
    counts = ("active", "confirmed", "disputed", "withdrawn")
    print_table(
        "",
        [
            ("bank", "left"),
            ("kind", "left"),
            ("radius", "right"),
            *((name, "right") for name in counts),
            ("enabled", "left"),
            ("description", "left"),
        ],
        (
            [
                row["name"],
                row["kind"],
                str(row["radius_bits"]),
                *(f"{row[name]:,}" for name in counts),
                "yes" if row["enabled"] else "no",
                row["description"],
            ]
            for row in rows
        ),
    )


def set_bank(
    name: BankArgument,
    radius: Annotated[
        int | None, typer.Option("--radius", min=0, max=63, help="New radius in bits.")
    ] = None,
    description: Annotated[
        str | None, typer.Option("--description", help="New description.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether searches use it.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Change a bank's radius or description, or disable it."""
    import egide
    from egide.usecases.banks import update_bank

    with egide.open_store(store) as opened:
        bank = update_bank(
            opened, name, radius_bits=radius, description=description, enabled=enabled
        )
        if json:
            print_json(bank_values(opened, bank))
        else:
            state = "enabled" if bank.enabled else "disabled"
            say(f"Bank {bank.name}: radius {bank.radius_bits} bits, {state}.")


def add(
    name: BankArgument,
    files: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Pictures, or folders of them.")
    ],
    source: Annotated[
        str, typer.Option("--source", help="Where they come from: a case, a person, a list.")
    ] = "local",
    note: Annotated[str, typer.Option("--note", help="Free text, erased on withdrawal.")] = "",
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", formats=["%Y-%m-%d"], help="Day (UTC) on which they expire."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also register what was withdrawn before.")
    ] = False,
    keypoints: Annotated[
        bool,
        typer.Option(
            "--patches",
            help="Also keep keypoints, sealed with the key of `egide key patches`. They find "
            "heavily edited copies but reveal more of a picture: ask the person first.",
        ),
    ] = False,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Register pictures: fingerprints are stored, pictures never.

    A picture that was withdrawn, or judged a false positive, is refused. Exits with 1 if a file
    was refused or could not be used, and with 3 if none could be used.
    """
    import egide
    from egide.settings import limits_from_environment

    done = refused = failed = whole_only = 0
    with egide.open_store(store) as opened:
        for result in egide.register(
            opened,
            name,
            files,
            source=source,
            note=note,
            expires=expires.replace(tzinfo=UTC) if expires else None,
            again=again,
            keypoints=keypoints,
            limits=limits_from_environment(),
        ):
            if result.error is not None:
                failed += 1
            elif result.outcome == "refused":
                refused += 1
            else:
                done += 1
                whole_only += not result.anchored_count
            _print_registered(opened, name, result, json)
        if not json:
            counts = "".join(
                f", {count:,} {word}"
                for word, count in (("refused", refused), ("failed", failed))
                if count
            )
            say(
                f"{done:,} of {counted(done + refused + failed, 'file')} done{counts}; "
                f"bank {name} at revision {opened.revision()}."
            )
            if whole_only:
                warn(
                    f"Without anchored hashes, for want of detail: {whole_only:,} of {done:,}; "
                    "no part of such a picture is found."
                )
    if failed or refused:
        raise typer.Exit(Exit.FOUND if done or refused else Exit.FAILED)


def _print_registered(store: Store, bank: str, result: RegisteredFile, json: bool) -> None:
    if json:
        values: dict[str, Any] = {
            "file": result.file,
            "entry": result.entry,
            "outcome": result.outcome,
            "matchable": result.matchable,
            "patches": result.keypoints,
            "anchored_count": result.anchored_count,
        }
        if result.error is not None:
            values["error"] = {"code": result.error.code, "message": str(result.error)}
        print_json(values)
    elif result.error is not None:
        warn(f"{result.error} [{result.error.code}]")
    elif result.outcome == "refused":
        assert result.entry is not None  # what is refused is known
        why = (
            "judged to be a false positive before, which lasts"
            if store.entries.get(bank, result.entry).state is State.TOMBSTONED
            else "withdrawn before; with --again it is taken back in"
        )
        warn(f"{result.file}: entry {result.entry}, refused: {why}")
    else:
        detail = _KEYPOINTS_SHOWN[result.keypoints]
        if result.anchored_count:
            detail += f", {counted(result.anchored_count, 'anchored hash', 'anchored hashes')}"
        if not result.matchable:
            detail += ", too little detail for PDQ"
            if result.keypoints != "stored" and not result.anchored_count:
                detail += ": only identical files will match"
        say(f"{result.file}: entry {result.entry}, {result.outcome}{detail}")


def import_list(
    name: BankArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A hash list; - for standard input.")
    ],
    signal: Annotated[
        Signal | None,
        typer.Option(
            "--type",
            metavar="|".join(SIGNAL_BYTES),
            help="Kind of values of which nothing in the list tells it.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Where the list is from; by default its name.")
    ] = None,
    trust: Annotated[
        Trust, typer.Option("--trust", help="Trust given to its entries.")
    ] = Trust.UNVERIFIED,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Register the hashes of a list.

    Reads values and addresses one a line, tables, the output of sha256sum, threatexchange, the PDQ
    tool and `egide hash`, and what StopNCII, NCMEC, Tech Against Terrorism and Project VIC give.
    What is left out is reported by number and kind; the rest is imported as one change. What its
    source has withdrawn is withdrawn here. Importing twice changes nothing. A hash that was
    withdrawn, or judged a false positive, is refused. Exits with 1 if anything was refused or
    left out, and with 3 if all was.
    """
    import egide

    bad: list[BadLine] = []

    def keep(line: BadLine) -> None:
        if len(bad) < _SHOWN_BAD_LINES:
            bad.append(line)

    with egide.open_store(store) as opened:
        for stream in _open(file):
            report = egide.import_hashes(
                opened,
                name,
                stream,
                name=visible(file.name) if str(file) != "-" else "stdin",
                signal=signal,
                source=source,
                trust=trust,
                on_bad_line=keep,
            )
    if json:
        shown = [{line.unit: line.line, "code": line.code, "reason": line.reason} for line in bad]
        print_json({**asdict(report), "first_bad_lines": shown})
    else:
        _print_imported(name, report, bad)
    if not report.is_whole:
        good = report.added + report.renewed + report.known + report.refused + report.ended
        raise typer.Exit(Exit.FOUND if good else Exit.FAILED)


def _print_imported(bank: str, report: ImportReport, bad: list[BadLine]) -> None:
    for line in bad:
        warn(f"{line.unit} {line.line}: {line.reason} [{line.code}]")
    if report.bad_lines > len(bad):
        warn(f"… and more bad lines: {report.bad_lines - len(bad):,}; most often:")
        for reason, count in [*report.reasons.items()][:_SHOWN_REASONS]:
            warn(f"  {count:,}: {reason}")
    for kind, count in report.not_taken.items():
        warn(f"Not taken: {count:,} of the kind {kind}, which Egide cannot search.")
    if report.cut:
        warn(f"Only a part of the list was read: nothing {report.cut}.")
    ended = ""
    if report.ended:
        ended = f"{report.ended:,} ended at their source ({report.withdrawn:,} withdrawn here), "
    say(
        f"{report.added + report.renewed:,} added, {report.known:,} known, "
        f"{report.refused:,} refused (withdrawn or false), {ended}"
        f"{counted(report.bad_lines, 'bad line')}; bank {bank} at revision {report.revision}."
    )
    if kinds := [f"{kind} {count:,}" for kind, count in report.kinds.items()]:
        say(f"Hashes, by kind: {', '.join(kinds)}.")


def _open(file: Path) -> Iterator[BinaryIO]:
    if str(file) == "-":
        yield input_stream()
        return
    try:
        stream = file.open("rb")
    except FileNotFoundError as error:
        raise FileMissing(name=file) from error
    except OSError as error:
        raise FileUnreadable(name=file, reason=(error.strerror or "").lower()) from error
    with stream:
        yield stream


def export(
    name: BankArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Output file; by default standard output."),
    ] = None,
    list_format: Annotated[
        HashListFormat,
        typer.Option("--format", help="csv keeps all fields; the others only hashes."),
    ] = HashListFormat.CSV,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Write the active entries of a bank as a hash list.

    Fingerprints are personal data: give them only to recipients that the people agreed to.
    """
    import egide

    if json and out is None:
        raise UsageError(reason="--json describes the written file: it needs --out")
    with egide.open_store(store) as opened:
        if out is None:
            egide.export_hashes(opened, name, export_stream(), list_format)
            return
        opened.banks.get(name)  # fails before `out` is created
        with _written_whole(out, opened) as stream:
            count = egide.export_hashes(opened, name, stream, list_format)
    if json:
        print_json({"file": str(out), "entries": count, "format": list_format.value})
    else:
        say(f"{counted(count, 'entry', 'entries')} of bank {name} written to {out}.")


@contextmanager
def _written_whole(path: Path, store: Store) -> Iterator[TextIO]:
    """Open a private file for writing; it appears at `path` once complete.

    The store records the unfinished file: if this process is killed, another one removes the file.
    """
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():  # a terminal, a pipe
            with path.open("w", encoding="utf-8", newline="") as opened:
                yield opened
            return
        with written_whole(path, noted=store.erasure.writing) as binary:
            stream = TextIOWrapper(binary, encoding="utf-8", newline="")
            yield stream
            stream.detach()  # flushed; `written_whole` closes the file
    except OSError as error:
        raise OutputUnwritable(name=path, reason=error.strerror) from error


def keypoint_values(store: Store, bank: Bank) -> dict[str, Any]:
    """Return how many entries of a bank have keypoints, and the first of them."""
    key_id = store.keypoints.key_id()
    return {
        "with_patches": store.keypoints.count(bank.name),
        "entries_with_patches": store.keypoints.entry_ids(bank.name, limit=_SHOWN_ENTRIES),
        "patch_key_id": None if key_id is None else key_id.hex(),
    }


def bank_values(store: Store, bank: Bank) -> dict[str, Any]:
    """Return a bank and its counts as plain values."""
    counts = store.banks.counts(bank.name)
    return {
        "name": bank.name,
        "kind": bank.kind.value,
        "radius_bits": bank.radius_bits,
        "description": bank.description,
        "enabled": bank.enabled,
        **{state.value: counts.state(state) for state in State},
        **{trust.value: counts.trust(trust) for trust in Trust},
    }
