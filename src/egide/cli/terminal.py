"""What the commands share: options, exit codes, and the one place that prints.

All output of commands passes through here. Data is shown, never interpreted: control characters,
escape sequences, bidirectional and invisible characters, line breaks, lone surrogates, Rich's
markup. `tests/unit/cli/test_cli_printing.py` checks that no other module of the commands prints.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, TextIO, cast

import typer

from egide.errors import ConfirmationNeeded, Exit, UsageError
from egide.settings import DEFAULT_STORE
from egide.text.visible import visible, visible_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console

    from egide.auditing.rows import MatchRow
    from egide.domain.model import Match

StoreOption = Annotated[
    str,
    typer.Option("--store", envvar="EGIDE_STORE", help="The database, as a URL.", metavar="URL"),
]
EndpointOption = Annotated[
    str | None,
    typer.Option("--endpoint-url", metavar="URL", help="Of an object store of your own."),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Of the AWS configuration.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Do not ask before erasing; needed without a terminal.")
]
AfterOption = Annotated[
    int,
    # The largest number in a database.
    typer.Option(
        "--after", metavar="NUMBER", min=0, max=2**63 - 1, help="Only those after this number."
    ),
]
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

__all__ = [
    "DEFAULT_STORE",
    "AfterOption",
    "BanksOption",
    "Exit",
    "JsonOption",
    "RadiusOption",
    "StoreOption",
    "YesOption",
]

MATCH_COLUMNS = (
    ("bank", "left"),
    ("entry", "right"),
    ("found by", "left"),
    ("distance", "right"),
    ("transform", "left"),
    ("trust", "left"),
)
"""The columns of `match_cells`, for `print_table`."""


def examples(*lines: str) -> str:
    """Return a help epilog that shows examples line by line."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def refuse(given: Mapping[str, object], reason: str) -> None:
    """Refuse options that would do nothing, so that none is passed over in silence.

    Args:
        given: options by name, with what was given; what is false was not.
        reason: why not, with `{}` for their names.

    Raises:
        UsageError: one was given.
    """
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(reason=reason.format(" and ".join(wrong)))


def on_command_line(context: typer.Context, name: str) -> bool:
    """Whether an option was given there, and not by default or by the environment."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def counted(count: int, one: str, other: str = "") -> str:
    """A number with the word for what it counts; `other` is its plural if an s does not make it."""
    return f"{count:,} {one if count == 1 else other or one + 's'}"


# --- printing -------------------------------------------------------------------------


def say(text: str) -> None:
    """Print a line for a person, on standard output."""
    sys.stdout.write(visible(text) + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Print a line for a person, on standard error."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def print_json(values: Any) -> None:
    """Print a JSON document on one line, and flush."""
    sys.stdout.write(_json(values) + "\n")
    sys.stdout.flush()


def print_list(values: Iterable[Any]) -> None:
    """Print values as one JSON array, one element per line, in constant memory."""
    before = "["
    for value in values:
        sys.stdout.write(before + _json(value))
        before = ",\n"
    sys.stdout.write("]\n" if before != "[" else "[]\n")
    sys.stdout.flush()


def print_table(
    title: str, columns: Iterable[tuple[str, str]], rows: Iterable[Iterable[str]]
) -> None:
    """Print a table.

    Args:
        title: above it, or empty.
        columns: each a heading and `left` or `right`.
        rows: cells as text; long ones are cut.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    # Rich interprets markup and emoji names in strings, but not in a Text.
    table = Table(
        title=Text(visible(title)) if title else None,
        title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False,
    )  # fmt: skip
    for heading, justify in columns:
        table.add_column(
            Text(visible(heading)),
            justify="right" if justify == "right" else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(str(visible_name(cell))) for cell in row))
    plain = not sys.stdout.isatty()
    _console(sys.stdout, width=120 if plain else None).print(table)


def match_cells(match: Match | MatchRow) -> list[str]:
    """Return a match as cells of a table, in the order of `MATCH_COLUMNS`."""
    from egide.auditing.report.sentence import report_wording
    from egide.auditing.rows import way_of

    return [
        match.bank,
        str(match.entry),
        report_wording("en").text(f"ways.{way_of(match)}"),
        "–" if match.distance is None else str(match.distance),
        match.transform or "–",
        match.trust,
    ]


def draw(lines: Iterable[str]) -> None:
    """Print our own drawing on standard error, white on black; it must contain no data."""
    sys.stderr.writelines(f"\x1b[97;40m{line}\x1b[0m\n" for line in lines)
    sys.stderr.flush()


def is_watched() -> bool:
    """Whether standard error is a terminal, so that somebody may be looking."""
    return sys.stderr.isatty()


def show_count(text: str) -> None:
    """Print a line on standard error that the next one replaces."""
    sys.stderr.write(f"\r{visible(text)}\r")
    sys.stderr.flush()


@contextmanager
def progress_bar() -> Iterator[Callable[[str, str, int | None, int], None]]:
    """Show a bar on standard error.

    Yields:
        a function to change the bar: description, state, total (None: unknown), amount done.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=_console(sys.stderr), transient=True) as bars:
        task = bars.add_task("", total=None, state="")

        def change(description: str, state: str, total: int | None, done: int) -> None:
            bars.update(
                task,
                description=visible(description),
                state=visible(state),
                total=total,
                completed=done,
            )

        yield change


def export_stream() -> TextIO:
    """Standard output for a list of fingerprints; escaped only if it is a terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    return cast(TextIO, _ForTerminals(sys.stdout)) if sys.stdout.isatty() else sys.stdout


def input_stream() -> BinaryIO:
    """Standard input as bytes."""
    return sys.stdin.buffer


class _ForTerminals(io.TextIOBase):
    """Passes text on line by line, with control characters escaped."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        self._out.write("\n".join(visible(line) for line in text.split("\n")))
        return len(text)


# --- asking ---------------------------------------------------------------------------


def confirm_erasing(what: str, *, yes: bool) -> None:
    """Ask before much is erased at once.

    Args:
        what: will be erased, with the number, such as `21 entries of bank helpline`.
        yes: confirmed beforehand.

    Raises:
        ConfirmationNeeded: the answer was no, or there is no terminal to ask on.
    """
    if yes:
        return
    if sys.stdin.isatty():
        sys.stderr.write(visible(f"This erases {what}, for good. Go on? [y/N] "))
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return
    raise ConfirmationNeeded(what=what)


def ask_secret(prompt: str) -> str | None:
    """Ask for a secret without showing what is typed; None without a terminal."""
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    return getpass(prompt, sys.stderr)


# --- streams --------------------------------------------------------------------------


def prepare() -> None:
    """Prepare the streams, and the warnings that libraries print on them."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # for a terminal without UTF-8
    logging.getLogger().addHandler(_Warnings(logging.WARNING))
    logging.captureWarnings(capture=True)


def _open_closed_streams() -> None:
    """Open closed standard streams, so that no later file takes their descriptors."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def let_go_of_output() -> None:
    """Keep Python from writing the failed output again when it exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Warnings(logging.Handler):
    """Prints what libraries log."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())


def _json(values: Any) -> str:
    # `dumps` gives ASCII but does not escape DEL, which can only occur within strings.
    return json.dumps(values).replace("\x7f", "\\u007f")


def _console(stream: TextIO, width: int | None = None) -> Console:
    from rich.console import Console

    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
