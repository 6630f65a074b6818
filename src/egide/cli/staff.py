"""`egide staff …`: the accounts of a helpline's workers."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    draw,
    examples,
    is_watched,
    print_json,
    print_list,
    print_table,
    say,
    warn,
)
from egide.errors import ServerUnavailable

if TYPE_CHECKING:
    from egide.domain.staff import Staff
    from egide.usecases.staff import NewAccount

NameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What they sign in with, and the log calls them.")
]
IssuerOption = Annotated[
    str, typer.Option("--issuer", metavar="TEXT", help="What their app calls this register.")
]
_ISSUER = "Egide"
_QUIET_MODULES = 2
"""Light modules around the QR code. The standard's four make it too tall for 24 lines; readers
find it with two."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "add",
        epilog=examples("egide staff add amina", 'egide staff add ben --issuer "Helpline Écoute"'),
    )(add)
    app.command("list", epilog=examples("egide staff list --json"))(list_staff)
    app.command("reset", epilog=examples("egide staff reset amina"))(reset)
    app.command("disable", epilog=examples("egide staff disable amina"))(disable)
    app.command("enable", epilog=examples("egide staff enable amina"))(enable)
    app.command("remove", epilog=examples("egide staff remove amina"))(remove)


def add(
    name: NameArgument,
    issuer: IssuerOption = _ISSUER,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Make an account, and print its password and the code for an app: this once, and never again.

    The store keeps only a hash of the password. Have the worker beside you: they read the QR code
    with an app that makes six-digit codes, and write down the password.
    """
    import egide

    staffing = _staffing()
    with egide.open_store(store, create=True) as opened:
        made = staffing(opened).create(name, issuer=issuer)
    _show_new(made, json)


def list_staff(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the accounts, without anything to sign in with."""
    import egide

    with egide.open_store(store) as opened:
        accounts = opened.staff.list()
    if json:
        print_list(map(_values, accounts))
        return
    if not accounts:
        say("No accounts yet: make one with egide staff add.")
        return
    print_table(
        "",
        (("name", "left"), ("made", "left"), ("state", "left")),
        ((one.name, f"{one.created:%Y-%m-%d}", _state(one)) for one in accounts),
    )


def reset(
    name: NameArgument,
    issuer: IssuerOption = _ISSUER,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Give an account another password and app secret, and sign it out everywhere.

    For a lost telephone or password. What they had before opens nothing any more.
    """
    import egide

    staffing = _staffing()
    with egide.open_store(store) as opened:
        made = staffing(opened).reset(name, issuer=issuer)
    _show_new(made, json)
    if made.staff.disabled is not None:
        warn(f"The account is still disabled: egide staff enable {made.staff.name}")


def disable(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Shut an account, and sign it out everywhere at once."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.disable(name), "is disabled and signed out", json)


def enable(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Open a disabled account again, with the password and the app that it had."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.enable(name), "is enabled", json)


def remove(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Delete an account. What they did stays in the log, under their name."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.remove(name), "is removed", json)


def _staffing() -> Any:
    """The class that makes accounts, which needs packages that only a served register has."""
    try:
        import argon2  # noqa: F401
        import pyotp  # noqa: F401
        import segno  # noqa: F401

        from egide.usecases.staff import Staffing
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "egide":
            raise
        raise ServerUnavailable from error
    return Staffing


def _show_new(made: NewAccount, json: bool) -> None:
    if json:
        print_json({**_values(made.staff), "password": made.password, "uri": made.uri})
        return
    warn(f"Account {made.staff.name}. This is shown once:")
    say(f"password {made.password}")
    say(made.uri)
    if is_watched():
        warn("To be read with an app that makes six-digit codes:")
        draw(qr_code(made.uri))
    warn("They sign in under /en/staff/sign-in or /fr/staff/sign-in with name, password and code.")
    warn(f"If either is lost or known to somebody else: egide staff reset {made.staff.name}")


def qr_code(text: str) -> list[str]:
    """Return a QR code as lines; what is drawn are its light modules."""
    import segno

    drawn = StringIO()
    segno.make_qr(text, error="l").terminal(out=drawn, border=_QUIET_MODULES, compact=True)
    return drawn.getvalue().splitlines()


def _show(staff: Staff, what: str, json: bool) -> None:
    if json:
        print_json(_values(staff))
    else:
        say(f"Account {staff.name} {what}.")


def _values(staff: Staff) -> dict[str, Any]:
    return {
        "name": staff.name,
        "created": staff.created.isoformat(),
        "disabled": staff.disabled.isoformat() if staff.disabled else None,
        "state": _state(staff),
    }


def _state(staff: Staff) -> str:
    return "disabled" if staff.disabled else "enabled"
