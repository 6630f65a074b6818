"""`egide match`: is this picture in a bank?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    BanksOption,
    Exit,
    JsonOption,
    RadiusOption,
    StoreOption,
    examples,
    print_json,
    print_table,
    say,
    warn,
)
from egide.errors import EgideError, ItemError, UsageError

if TYPE_CHECKING:
    from egide.model import Fingerprint, Match


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "match",
        epilog=examples(
            "egide match suspicious.png",
            "egide match --json --bank helpline uploads/*.jpg",
            "egide match --pdq f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22",
        ),
    )(match)


def match(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="FILES", help="Pictures, or folders of them.")
    ] = None,
    pdq: Annotated[
        list[str] | None,
        typer.Option("--pdq", metavar="HEX", help="A PDQ hash instead of a file; repeat for more."),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    bank: BanksOption = None,
    radius: RadiusOption = None,
    json: JsonOption = False,
) -> None:
    """Search the banks for pictures or PDQ hashes.

    Mirrored and rotated copies are found too (not from a --pdq, which has only one orientation).
    Exits with 0 if nothing matched, 1 if something did, 3 if any file could not be compared and
    nothing matched.
    """
    import egide

    queries = [*_of_files(files or []), *_of_hashes(pdq or [])]
    if not queries:
        raise UsageError(reason="name a file, or give a hash with --pdq")
    good = [outcome for _, outcome in queries if not isinstance(outcome, EgideError)]
    with egide.open_store(store) as opened:
        found = iter(egide.match(opened, good, banks=bank, radius_bits=radius))
    matched = failed = 0
    for name, outcome in queries:
        if isinstance(outcome, EgideError):
            failed += 1
            _print_error(name, outcome, json)
            continue
        matches = next(found)
        matched += bool(matches)
        _print_result(name, outcome, matches, json)
    if matched:
        raise typer.Exit(Exit.FOUND)
    if failed:
        raise typer.Exit(Exit.FAILED)


def _of_files(files: list[Path]) -> list[tuple[str, Fingerprint | ItemError]]:
    import egide
    from egide.engine.registering import picture_files
    from egide.settings import limits_from_environment

    limits = limits_from_environment()
    queries: list[tuple[str, Fingerprint | ItemError]] = []
    for path in picture_files(files):
        try:
            queries.append((str(path), egide.fingerprint(path, name=str(path), limits=limits)))
        except ItemError as error:
            queries.append((str(path), error))
    return queries


def _of_hashes(values: list[str]) -> list[tuple[str, Fingerprint | ItemError]]:
    import egide
    from egide.hashlist import parse_hex

    return [
        (
            f"--pdq {number}",
            egide.Fingerprint((egide.Pdq(parse_hex(value, egide.Signal.PDQ), None),)),
        )
        for number, value in enumerate(values, 1)
    ]


def _print_error(name: str, error: EgideError, json: bool) -> None:
    if json:
        print_json({"query": name, "error": {"code": error.code, "message": str(error)}})
    else:
        warn(f"{error} [{error.code}]")


def _print_result(name: str, query: Fingerprint, matches: list[Match], json: bool) -> None:
    matchable = query.matchable or not query.frames
    if json:
        rows: list[dict[str, Any]] = [asdict(match) for match in matches]
        print_json({"query": name, "matchable": matchable, "matches": rows})
        return
    if not matches:
        detail = (
            "" if matchable else " (not matchable: too little detail, only identical files match)"
        )
        say(f"{name}: no match{detail}")
        return
    print_table(
        f"{name}: {len(matches)} match{'es' if len(matches) > 1 else ''} "
        f"at revision {matches[0].revision}",
        [
            ("bank", "left"),
            ("entry", "right"),
            ("by", "left"),
            ("distance", "right"),
            ("transform", "left"),
            ("trust", "left"),
        ],
        ([m.bank, str(m.entry), m.signal, str(m.distance), m.transform, m.trust] for m in matches),
    )
