"""The `egide` command: its subcommands, its errors, its exit codes."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from egide._version import __version__
from egide.cli import (
    attest,
    audit,
    bank,
    compare,
    entries,
    hash_files,
    key,
    log,
    match,
    purge,
    report,
    serve,
    signing_key,
    staff,
    store,
    sync,
    verify,
    webhook,
)
from egide.cli.terminal import Exit, examples, let_go_of_output, prepare, print_json, say, warn
from egide.errors import EgideError, Interrupted, OutputUnwritable, Unexpected, UsageError
from egide.sandbox.exhaustion import exhausted, require_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

_TYPERS_USAGE_ERROR: Any = typer.BadParameter.__base__


class _ReaderGone(Exception):
    """The reader of the output has gone."""


class _Commands(TyperGroup):
    """Turns interrupts into our errors: Typer would exit with 1, which here means a match."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted(remedy="run the same command again to go on") from None
        except BrokenPipeError as error:
            raise _ReaderGone from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=(
        "Exit codes: 0 nothing matched or all went well; 1 something matched, or something was "
        "left out or refused; 2 wrong usage, or the erasure was not confirmed; 3 the command could "
        "not do its work, or not look at a source; 130 interrupted."
    ),
)


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"egide {__version__}")
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
    """Find copies of images shared without consent, in datasets and uploads.

    Banks keep fingerprints, never pictures. Start with `egide bank create NAME`.
    """


audit.add_to(app)
purge.add_to(app)
match.add_to(app)
hash_files.add_to(app)
compare.add_to(app)
report.add_to(app)
attest.add_to(app)
verify.add_to(app)
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
    help="Keys of a served register, the key that seals keypoints, and the one that signs proofs.",
    epilog=examples("egide key create --role matcher --name uploads", "egide key patches"),
)
key.add_to(key_app)
signing_key.add_to(key_app)
app.add_typer(key_app, name="key")
log_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The log of everything that was done: verify, show, export.",
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
    help="Webhooks: services that are told of events.",
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
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores them
            signal.signal(number, _interrupt)
    prepare()
    threading.excepthook = _show_thread_ended
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command and report its error; return its exit code.

    Args:
        arguments: as on a command line, without the program's name.
    """
    json = "--json" in arguments
    try:
        require_files()
        # Not Typer's own mode: it prints messages unescaped, and they may hold a file's name.
        command = _command()
        code: int | None = command(list(arguments), prog_name="egide", standalone_mode=False)
    except EgideError as error:
        # If a resource ran out, that is the cause, whatever followed, and its remedy helps.
        shown = exhausted(error) or error
        _show(shown, json)
        return shown.exit
    except _TYPERS_USAGE_ERROR as error:
        _show_usage(error, json)
        return Exit.USAGE
    except (BrokenPipeError, _ReaderGone):
        # The reader, such as `head`, has read enough.
        let_go_of_output()
        return Exit.FAILED
    except OSError as error:
        # Errors of other files are ours by now; this one is of the output itself.
        with suppress(OSError):
            reason = error.strerror or type(error).__name__
            unwritable = OutputUnwritable(name="standard output", reason=reason.lower())
            _show(exhausted(error) or unwritable, json)
        let_go_of_output()
        return Exit.FAILED
    except UnicodeEncodeError:
        # Only file names may hold such bytes; databases reject them.
        _show(UsageError(reason="a name or text was given that is not UTF-8"), json)
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001 - Python would exit with 1, which means a match
        with suppress(OSError):
            if (ran_out := exhausted(error)) is None:
                _show_places(error.__traceback__)
            _show(ran_out or Unexpected(reason=type(error).__name__), json)
        return Exit.FAILED
    return code or Exit.OK


@cache
def _command() -> Any:
    return typer.main.get_command(app)  # takes half as long as Python's start


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _show_thread_ended(thread: threading.ExceptHookArgs) -> None:
    _show_places(thread.exc_traceback)
    warn(f"egide: a thread ended: {thread.exc_type.__name__}")


def _show_places(places: TracebackType | None) -> None:
    # Only places in the code: the text of an error may hold a name or a fingerprint.
    for place in traceback.extract_tb(places):
        warn(f"  {place.filename}:{place.lineno} {place.name}")


def _show_usage(error: Any, json: bool) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        for line in error.format_message().splitlines():
            warn(line)
        return
    command = error.ctx.command_path if error.ctx else "egide"
    message = error.format_message().rstrip(".")
    _show(UsageError(reason=f"{message}. See `{command} --help`"), json)


def _show(error: EgideError, json: bool) -> None:
    if json:
        print_json({"error": {"code": error.code, "message": str(error)}})
    else:
        warn(f"egide: {error} [{error.code}]")


if __name__ == "__main__":
    main()
