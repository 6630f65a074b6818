"""`egide store …`: the database itself."""

from __future__ import annotations

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    examples,
    print_json,
    say,
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("info", epilog=examples("egide store info"))(info)
    app.command("upgrade", epilog=examples("egide store upgrade"))(upgrade)


def info(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Show which store this is and at which revision."""
    import egide

    with egide.open_store(store) as opened:
        revision = opened.revision()
        at = opened.revision_info(revision).at.isoformat() if revision else None
        values = {
            "store": opened.url,
            "id": opened.id,
            "revision": revision,
            "revision_at": at,
            "banks": len(opened.banks()),
        }
    if json:
        print_json(values)
    else:
        for key, value in values.items():
            say(f"{key:12} {value}")


def upgrade(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Bring an older store to this version's schema.

    Make a copy of the database first.
    """
    import egide

    with egide.Store.upgrade(store) as opened:
        values = {"store": opened.url, "revision": opened.revision()}
    if json:
        print_json(values)
    else:
        say(f"{values['store']} is up to date.")
