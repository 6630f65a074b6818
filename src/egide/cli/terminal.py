"""What the commands share: options, exit codes, and how they print."""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.settings import DEFAULT_STORE
from egide.visible import visible, visible_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from egide.auditing.rows import MatchRow
    from egide.model import Match

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="EGIDE_STORE", help="The database, as a URL.", metavar="URL"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
BanksOption = Annotated[
    list[str] | None,
    typer.Option("--bank", metavar="NAME", help="Search only this bank; repeat for more."),
]
RadiusOption = Annotated[
    int | None,
    typer.Option(
        "--radius",
        metavar="BITS",
        min=0,
        max=63,
        help="Match within this many of 256 bits instead of each bank's own radius.",
    ),
]

__all__ = ["DEFAULT_STORE", "BanksOption", "Exit", "JsonOption", "RadiusOption", "StoreOption"]

MATCH_COLUMNS = (
    ("bank", "left"),
    ("entry", "right"),
    ("by", "left"),
    ("distance", "right"),
    ("transform", "left"),
    ("trust", "left"),
)
"""The columns of `match_cells`, for `print_table`."""


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    FOUND = 1
    """Something matched; or some files or lines could not be used, and the rest was done."""
    USAGE = 2
    FAILED = 3
    INTERRUPTED = 130


def examples(*lines: str) -> str:
    """Return an epilog with examples, which help shows line by line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def print_json(values: Any) -> None:
    """Print one JSON document on one line, at once."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a line for a person, on standard output; characters that would act are escaped."""
    sys.stdout.write(visible(text) + "\n")


def warn(text: str) -> None:
    """Print a line for a person, on standard error."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def console() -> Console:
    """Return a console for tables, as wide as the terminal, or wide enough when piped."""
    from rich.console import Console

    plain = not sys.stdout.isatty()
    return Console(width=120 if plain else None, highlight=False)


def print_table(
    title: str, columns: Iterable[tuple[str, str]], rows: Iterable[Iterable[str]]
) -> None:
    """Print a table.

    Args:
        title: above it, or empty.
        columns: each a heading and `left` or `right`.
        rows: cells as text; control characters in them are shown, not obeyed, and long ones cut.
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading, justify in columns:
        table.add_column(
            heading, justify="right" if justify == "right" else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(escape(str(visible_name(cell))) for cell in row))
    console().print(table)


def match_cells(match: Match | MatchRow) -> list[str]:
    """Return a match as cells of a table, in the order of `MATCH_COLUMNS`."""
    return [
        match.bank,
        str(match.entry),
        match.signal,
        "–" if match.distance is None else str(match.distance),
        match.transform,
        match.trust,
    ]
