"""`egide store …`: the database itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    counted,
    examples,
    print_json,
    say,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.store.copying import Copied

BackupArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]
_LINE_EVERY_S = 10.0


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("info", epilog=examples("egide store info"))(info)
    app.command("upgrade", epilog=examples("egide store upgrade"))(upgrade)
    app.command("backup", epilog=examples("egide store backup /mnt/backups/monday.db"))(backup)
    app.command(
        "restore",
        epilog=examples(
            "egide store restore /mnt/backups/monday.db --store sqlite:///new.db",
            "egide store restore egide.db --store postgresql://egide@localhost/egide",
        ),
    )(restore)


def info(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Show the store's id and revision."""
    import egide

    with egide.open_store(store) as opened:
        revision = opened.revision()
        at = opened.revision_info(revision).at.isoformat() if revision else None
        values = {
            "store": opened.url,
            "id": opened.id,
            "revision": revision,
            "revision_at": at,
            "banks": len(opened.banks.list()),
        }
    if json:
        print_json(values)
    else:
        for key, value in values.items():
            say(f"{key:12} {value}")


def upgrade(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """Upgrade an older store to this version's schema.

    First stop all processes that serve the store, and make a backup with the old version.
    """
    import egide
    from egide.live.forgetting import settle

    with egide.Store.upgrade(store) as opened:
        settle(opened)
        values = {"store": opened.url, "revision": opened.revision()}
    if json:
        print_json(values)
    else:
        say(f"{values['store']} is up to date.")


def backup(
    file: BackupArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Copy the store, even while in use, into a new file.

    The file is an SQLite store, whatever database the original is in. It holds all fingerprints, so
    keep it as private as the store. Later withdrawals do not reach it: delete old backups, and
    withdraw again after you restore one.
    """
    import egide

    with egide.open_store(store) as opened:
        copied = opened.backup(file, on_progress=_progress(quiet=json))
        url = opened.url
    if json:
        print_json({"file": str(file), **_values(copied)})
        return
    say(f"Copied {url} as of revision {copied.revision} to {file}, readable by you alone.")
    say("It holds all fingerprints, and goes on holding what is withdrawn from now on.")


def restore(
    file: BackupArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Fill a new store from a backup: a new file, or an empty PostgreSQL database.

    It takes any store in a file, so it can also move a store from SQLite to PostgreSQL. First stop
    all processes that use the old store. Entries that were withdrawn after the backup are in the
    new store again: withdraw them before anything uses it.
    """
    from egide.store.copying import restore_store

    copied = restore_store(file, store, on_progress=_progress(quiet=json))
    if json:
        print_json({"file": str(file), **_values(copied)})
        return
    rows = counted(sum(copied.rows.values()), "row")
    say(f"Restored revision {copied.revision} from {file}: {rows}.")
    say("What was withdrawn after that revision is in it again: withdraw it now.")


def _values(copied: Copied) -> dict[str, object]:
    return {"id": copied.store_id, "revision": copied.revision, "rows": copied.rows}


def _progress(*, quiet: bool) -> Callable[[int, int], None]:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if not quiet and time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            warn(f"copied {done:,} of {total:,} rows")

    return show
