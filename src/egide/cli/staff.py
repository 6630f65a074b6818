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
    str, typer.Argument(metavar="NAME", help="The name to sign in with, also used in the log.")
]
IssuerOption = Annotated[
    str, typer.Option("--issuer", metavar="TEXT", help="The name of this register in their app.")
]
_ISSUER = "Egide"
_QUIET_MODULES = 2
"""Light modules around the QR code. With the standard's four it is too tall for 24 lines; two are
enough for readers."""


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
    """Make an account, and print its password and the code for an app, once.

    They are never shown again; the store keeps only a hash of the password. Have the worker beside
    you: they scan the QR code with an authenticator app, and write down the password.
    """
    import egide

    staffing = _staffing()
    with egide.open_store(store, create=True) as opened:
        made = staffing(opened).create(name, issuer=issuer)
    _show_new(made, json)


def list_staff(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the accounts, without their secrets."""
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
    """Give an account a new password and app secret, and sign it out everywhere.

    For a lost telephone or password. The old ones stop working.
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
    """Disable an account, and sign it out everywhere at once."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.disable(name), "is disabled and signed out", json)


def enable(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Enable a disabled account again, with its old password and app secret."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.enable(name), "is enabled", json)


def remove(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Delete an account. Its acts stay in the log, under its name."""
    import egide

    with egide.open_store(store) as opened:
        _show(opened.staff.remove(name), "is removed", json)


def _staffing() -> Any:
    """Import the class that makes accounts; it needs packages that only a served register has."""
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
        warn("Scan this with an app that makes six-digit codes:")
        draw(qr_code(made.uri))
    warn("They sign in under /en/staff/sign-in or /fr/staff/sign-in with name, password and code.")
    warn(f"If either is lost or exposed: egide staff reset {made.staff.name}")


def qr_code(text: str) -> list[str]:
    """Return a QR code as lines; its light modules are drawn."""
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
