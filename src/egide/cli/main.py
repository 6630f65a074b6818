"""The `egide` command: its subcommands, its errors, its exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from egide._version import __version__
from egide.cli import audit, bank, entries, hash_files, match, report, store
from egide.cli.terminal import Exit, print_json, warn
from egide.errors import (
    BankNameInvalid,
    EgideError,
    HashInvalid,
    Interrupted,
    RadiusInvalid,
    UsageError,
)

_WRONG_USAGE = (UsageError, BankNameInvalid, RadiusInvalid, HashInvalid)


class _Commands(TyperGroup):
    """Turns Ctrl-C into an error of ours: click would exit with 1, which here means a match."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted(remedy="run the same command again to go on") from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 nothing matched or all went well; 1 something matched, or some files or "
        "lines could not be used; 2 wrong usage; 3 the command could not do its work; "
        "130 interrupted."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"egide {__version__}")  # noqa: T201 - the answer
        raise typer.Exit


@app.callback()
def egide(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Find copies of images whose people said no, in datasets and uploads.

    Fingerprints are kept in banks; pictures never are. Start with `egide bank create NAME`.
    """


audit.add_to(app)
match.add_to(app)
hash_files.add_to(app)
report.add_to(app)
bank_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Banks of fingerprints and their entries."
)
bank.add_to(bank_app)
entries.add_to(bank_app)
app.add_typer(bank_app, name="bank")
store_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="The database that holds the banks."
)
store.add_to(store_app)
app.add_typer(store_app, name="store")


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        app()
    except EgideError as error:
        _show(error)
        sys.exit(_exit_code(error))
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted.
        sys.stderr.close()
        sys.exit(Exit.FAILED)


def _show(error: EgideError) -> None:
    if "--json" in sys.argv:
        print_json({"error": {"code": error.code, "message": str(error)}})
    else:
        warn(f"egide: {error} [{error.code}]")


def _exit_code(error: EgideError) -> Exit:
    if isinstance(error, Interrupted):
        return Exit.INTERRUPTED
    return Exit.USAGE if isinstance(error, _WRONG_USAGE) else Exit.FAILED


if __name__ == "__main__":
    main()
