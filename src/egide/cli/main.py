"""The `egide` command: its subcommands, its errors, its exit codes."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from egide._version import __version__
from egide.cli import (
    audit,
    bank,
    entries,
    hash_files,
    key,
    log,
    match,
    report,
    serve,
    staff,
    store,
    sync,
    webhook,
)
from egide.cli.terminal import Exit, examples, print_json, warn
from egide.errors import (
    BankNameInvalid,
    EgideError,
    HashInvalid,
    Interrupted,
    NameInvalid,
    RadiusInvalid,
    Unexpected,
    UsageError,
)

_WRONG_USAGE = (UsageError, BankNameInvalid, NameInvalid, RadiusInvalid, HashInvalid)


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
serve.add_to(app)
bank_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Banks of fingerprints and their entries.",
    epilog=examples("egide bank create helpline", "egide bank add helpline photos/*.jpg"),
)
bank.add_to(bank_app)
entries.add_to(bank_app)
app.add_typer(bank_app, name="bank")
key_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Keys: of a served register, and the one that seals keypoints.",
    epilog=examples("egide key create --role matcher --name uploads", "egide key patches"),
)
key.add_to(key_app)
app.add_typer(key_app, name="key")
log_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The log of everything that was done: check it, read it, hand it on.",
    epilog=examples("egide log verify", "egide log show --entry helpline 17"),
)
log.add_to(log_app)
app.add_typer(log_app, name="log")
staff_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Accounts of a helpline's workers, for the pages.",
    epilog=examples("egide staff add amina", "egide staff reset amina"),
)
staff.add_to(staff_app)
app.add_typer(staff_app, name="staff")
sync_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Partners' registers that this one follows.",
    epilog=examples(
        "egide sync add helpline https://… --key-file helpline.key --from ncii --into partners",
        "egide sync list",
    ),
)
sync.add_to(sync_app)
app.add_typer(sync_app, name="sync")
webhook_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Webhooks: who is told of what happens here.",
    epilog=examples("egide webhook add reviews https://… --event decision.review"),
)
webhook.add_to(webhook_app)
app.add_typer(webhook_app, name="webhook")
store_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The database that holds the banks.",
    epilog=examples("egide store info --store sqlite:///egide.db"),
)
store.add_to(store_app)
app.add_typer(store_app, name="store")


def main() -> None:
    """Run the command line and exit with its code."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # not so under nohup
            signal.signal(number, _interrupt)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not of UTF-8
    try:
        app()
    except EgideError as error:
        _show(error)
        sys.exit(_exit_code(error))
    except BrokenPipeError:
        # The reader, such as `head`, has what it wanted.
        _let_go_of_output()
        sys.exit(Exit.FAILED)
    except OSError as error:
        # Whoever touches files turns their errors into ours; what is left is the output itself.
        _fail(error, error.strerror or type(error).__name__)
    except Exception as error:  # noqa: BLE001 - Python would exit with 1: something matched
        # Places in the code only: the text of an error may hold a name or a fingerprint.
        sys.stderr.writelines(traceback.format_tb(error.__traceback__))
        _fail(error, type(error).__name__)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _fail(error: Exception, reason: str) -> None:
    with suppress(OSError):
        _show(Unexpected(reason=reason))
    if isinstance(error, OSError):
        _let_go_of_output()
    sys.exit(Exit.FAILED)


def _let_go_of_output() -> None:
    """Keep Python from writing again, at its end, what could not be written."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
