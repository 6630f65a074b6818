"""`egide key …`: keys, which are kept apart from the store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from egide.cli.terminal import JsonOption, examples, print_json, say
from egide.errors import UsageError

if TYPE_CHECKING:
    from egide.sealing import PatchKey


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command(
        "patches",
        epilog=examples(
            "egide key patches",
            "egide key patches --out /mnt/keys/helpline.key",
            "egide key patches --show-id",
        ),
    )(patches)


def patches(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="By default EGIDE_PATCH_KEY_FILE, or ~/.config/egide/patches.key.",
        ),
    ] = None,
    show_id: Annotated[
        bool, typer.Option("--show-id", help="Make none: print which key is in use.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Make the key that seals keypoints.

    It is written into a file for you alone, and never replaces one. Keep a copy of it, apart from
    the store and its backups. Without it no keypoint can be read; it is never printed.
    """
    from egide.sealing import PatchKey, key_path

    if show_id:
        if out is not None:
            raise UsageError(reason="--show-id makes no key: leave out --out")
        _show_id(PatchKey.load(), json)
        return
    path = out or key_path()
    key = PatchKey.generate()
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


def _show_id(key: PatchKey, json: bool) -> None:
    if json:
        print_json({"key_id": key.key_id.hex()})
    else:
        say(f"Patch key {key.key_id.hex()}")
