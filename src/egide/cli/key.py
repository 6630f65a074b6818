"""`egide key …`: the keys of a served register, and the key that seals keypoints."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egide.cli.terminal import (
    DEFAULT_STORE,
    JsonOption,
    StoreOption,
    examples,
    print_json,
    print_list,
    print_table,
    say,
    warn,
)
from egide.domain.access import Role
from egide.errors import UsageError

if TYPE_CHECKING:
    from egide.domain.access import Key
    from egide.security.sealing import KeypointKey

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")]
_OF_PEOPLE = {Role.CURATOR, Role.MODERATOR, Role.ADMIN}


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "create",
        epilog=examples(
            "egide key create --role matcher --name uploads",
            'egide key create --role moderator --name ben --holder "Ben Okri" --bank helpline',
            "KEY=$(egide key create --role partner --name forum --expires 2027-12-31)",
        ),
    )(create)
    app.command("list", epilog=examples("egide key list --json"))(list_keys)
    app.command("revoke", epilog=examples("egide key revoke uploads"))(revoke)
    app.command(
        "patches",
        epilog=examples(
            "egide key patches",
            "egide key patches --out /mnt/keys/helpline.key",
            "egide key patches --show-id",
        ),
    )(keypoints)


def create(
    role: Annotated[Role, typer.Option("--role", help="What it may do.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="The name of its user in the log.")
    ],
    holder: Annotated[
        str | None,
        typer.Option(
            "--holder",
            metavar="PERSON",
            help="Who gets it; two keys of one holder count as one person. "
            "Required for curators, moderators and admins; by default the name.",
        ),
    ] = None,
    banks: Annotated[
        list[str] | None,
        typer.Option(
            "--bank", metavar="BANK", help="Limit it to this bank; repeat for more. Default: all."
        ),
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", formats=["%Y-%m-%d"], help="Day (UTC) on which it expires."),
    ] = None,
    per_second: Annotated[
        int | None,
        typer.Option(
            "--per-second",
            metavar="N",
            help="Fingerprints that it may ask about per second; by default its role's.",
        ),
    ] = None,
    per_day: Annotated[
        int | None, typer.Option("--per-day", metavar="N", help="… and per UTC day.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    json: JsonOption = False,
) -> None:
    """Make a key for a served register, and print it once.

    It is never shown again: the store keeps only its hash.
    """
    import egide

    if holder is None and role in _OF_PEOPLE:
        raise UsageError(
            reason=f"say with --holder who gets a key of role {role}: some acts take two people, "
            "and two keys of one holder are one person"
        )
    ends = expires.replace(tzinfo=UTC) if expires else None
    if ends is not None and ends <= datetime.now(UTC):
        raise UsageError(reason="--expires names a day that has come already")
    with egide.open_store(store, create=True) as opened:
        key, token = opened.keys.create(
            name,
            role,
            holder or name,
            banks=banks or None,
            per_second=per_second,
            per_day=per_day,
            expires=ends,
        )
    if json:
        print_json({**_key_values(key), "key": token})
        return
    reach = "all banks" if key.banks is None else ", ".join(key.banks)
    warn(f"Key {key.name}, role {key.role}, for {reach}. It is shown this once:")
    say(token)
    warn("Keep it secret. Send it as `Authorization: Bearer KEY`.")
    warn(f"If it is lost or exposed: egide key revoke {key.name}")


def list_keys(store: StoreOption = DEFAULT_STORE, json: JsonOption = False) -> None:
    """List the keys of a served register, without their secrets."""
    import egide

    with egide.open_store(store) as opened:
        keys = opened.keys.list()
    if json:
        print_list(map(_key_values, keys))
        return
    if not keys:
        say("No keys yet: make one with egide key create.")
        return
    now = datetime.now(UTC)
    print_table(
        "",
        (
            ("name", "left"), ("role", "left"), ("holder", "left"), ("banks", "left"),
            ("a second", "right"), ("a day", "right"), ("expires", "left"), ("state", "left"),
        ),
        (
            (
                key.name, key.role, key.holder,
                "all" if key.banks is None else ", ".join(key.banks),
                f"{key.per_second:,}", f"{key.per_day:,}",
                f"{key.expires:%Y-%m-%d}" if key.expires else "", _state(key, now),
            )
            for key in keys
        ),
    )  # fmt: skip


def revoke(
    name: NameArgument, store: StoreOption = DEFAULT_STORE, json: JsonOption = False
) -> None:
    """Revoke a key: within a second it opens nothing in any serving process.

    Its name stays taken, since the log names it.
    """
    import egide

    with egide.open_store(store) as opened:
        key = opened.keys.revoke(name)
    if json:
        print_json(_key_values(key))
    else:
        say(f"Key {key.name} is revoked.")


def _key_values(key: Key) -> dict[str, Any]:
    return {
        "name": key.name,
        "handle": key.handle,
        "role": key.role.value,
        "holder": key.holder,
        "banks": None if key.banks is None else list(key.banks),
        "per_second": key.per_second,
        "per_day": key.per_day,
        "created": key.created.isoformat(),
        "created_by": key.created_by,
        "expires": key.expires.isoformat() if key.expires else None,
        "revoked": key.revoked.isoformat() if key.revoked else None,
        "state": _state(key, datetime.now(UTC)),
    }


def _state(key: Key, now: datetime) -> str:
    if key.revoked is not None:
        return "revoked"
    return "live" if key.live(now) else "expired"


def keypoints(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="By default EGIDE_PATCH_KEY_FILE, or ~/.config/egide/patches.key.",
        ),
    ] = None,
    show_id: Annotated[
        bool, typer.Option("--show-id", help="Make no key: print the id of the key in use.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make the key that seals keypoints.

    It is written to a new file that only you can read, and never printed. Keep a copy apart from
    the store and its backups. Without the key no keypoint can be read.
    """
    from egide.security.sealing import KeypointKey, key_path

    if show_id:
        if out is not None:
            raise UsageError(reason="--show-id makes no key: leave out --out")
        _show_id(KeypointKey.load(), json)
        return
    path = out or key_path()
    key = KeypointKey.generate()
    key.write(path)
    if json:
        print_json({"file": str(path), "key_id": key.key_id.hex()})
        return
    say(f"Patch key {key.key_id.hex()} written to {path}, readable by you alone.")
    say("Copy it to a safe place apart from the store and its backups:")
    say("- lost, the keypoints it sealed are lost; the pictures have to be registered again;")
    say("- stolen together with the store, they show recognisable parts of the pictures.")
    if os.environ.get("EGIDE_PATCH_KEY"):
        say("EGIDE_PATCH_KEY is set and comes first: unset it to use this file.")
    elif path.absolute() != key_path().absolute():
        say(f"To use it, set EGIDE_PATCH_KEY_FILE={path.absolute()}")


def _show_id(key: KeypointKey, json: bool) -> None:
    if json:
        print_json({"key_id": key.key_id.hex()})
    else:
        say(f"Patch key {key.key_id.hex()}")
