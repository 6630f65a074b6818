"""`egide compare`: what has changed between two states of a dataset."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.terminal import JsonOption, counted, examples, print_json, print_table, say

if TYPE_CHECKING:
    from egide.auditing.comparing import Comparison, Some


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "compare",
        epilog=examples(
            "egide compare audit-may/ audit-june/",
            "egide compare may.parquet june.parquet --json",
        ),
    )(compare)


def compare(
    old: Annotated[
        Path,
        typer.Argument(metavar="OLD", help="An audit's folder, or a file of `egide hash --out`."),
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The same of a later state.")],
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Names to give of each kind.")
    ] = 20,
    json: JsonOption = False,
) -> None:
    """Say what is new in a dataset, gone or changed, and what of two audits now matches.

    Items are compared by their bytes, where these are known, else by their hashes; so a picture
    that was only moved is the same. Exits with 0 if nothing differs, with 1 if something does.
    """
    from egide.auditing.comparing import compare as compare_states

    found = compare_states(old, new, limit=limit)
    if json:
        print_json({**asdict(found), "differs": found.differs})
    else:
        _print(found)
    raise typer.Exit(1 if found.differs else 0)


def _print(found: Comparison) -> None:
    kinds: dict[str, Some | None] = {
        "new": found.new,
        "gone": found.gone,
        "changed": found.changed,
        "now matches": found.now_match,
        "matches no more": found.match_no_more,
    }
    rows = [(kind, name) for kind, some in kinds.items() if some for name in some.names]
    if rows:
        print_table("", [("", "left"), ("item", "left")], rows)
    before = counted(found.old_items, "item")
    say(f"{before} before, {found.new_items:,} now, {found.same:,} the same.")
    for kind, some in kinds.items():
        if some is None:
            say(f"{kind}: not known, for one of the two is no audit")
        else:
            more = some.count - len(some.names)
            say(f"{kind}: {some.count:,}" + (f", {more:,} of them not shown" if more else ""))
    if found.old_gaps or found.new_gaps:
        say(
            f"Not looked at, so nothing is said of it: {found.old_gaps:,} before, "
            f"{found.new_gaps:,} now."
        )
