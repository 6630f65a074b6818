"""`egide hash`: print fingerprints of files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egide.cli.terminal import Exit, JsonOption, examples, print_json


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "hash",
        epilog=examples(
            "egide hash photo.jpg",
            "egide hash --fast photos/ | jq -r .pdq",
        ),
    )(hash_files)


def hash_files(
    files: Annotated[
        list[str], typer.Argument(metavar="FILES", help="Pictures, or folders of them.")
    ],
    fast: Annotated[
        bool,
        typer.Option(
            "--fast/--exact",
            help="Decode JPEG at a reduced size, or in full (the default).",
        ),
    ] = False,
    json: JsonOption = True,  # noqa: ARG001 - always JSON; accepted for uniformity
) -> None:
    """Print the fingerprint of each file as a line of JSON.

    Each line has file, sha256, md5, pdq (64 hex digits), quality, width, height; or file and error.
    An animation also has frames, the PDQ of each distinct frame. Exits with 1 if a file could not
    be used, and with 3 if none could.
    """
    import egide
    from egide.settings import limits_from_environment
    from egide.usecases.register import picture_files

    limits = limits_from_environment()
    mode = egide.Mode.FAST if fast else egide.Mode.EXACT
    hashed = failed = 0
    for path in picture_files(files):
        try:
            values = _line(egide.fingerprint(path, name=str(path), mode=mode, limits=limits))
            hashed += 1
        except egide.ItemError as error:
            values = {"error": {"code": error.code, "message": str(error)}}
            failed += 1
        print_json({"file": str(path), **values})
    if failed:
        raise typer.Exit(Exit.FOUND if hashed else Exit.FAILED)


def _line(print_: Any) -> dict[str, Any]:
    values = {
        "sha256": print_.sha256.hex(),
        "md5": print_.md5.hex(),
        "pdq": print_.pdq.code.hex(),
        "quality": print_.pdq.quality,
        "width": print_.width,
        "height": print_.height,
    }
    if len(print_.frames) > 1 or print_.frames_skipped:
        values["frames"] = [
            {"pdq": frame.code.hex(), "quality": frame.quality} for frame in print_.frames
        ]
        values["frames_skipped"] = print_.frames_skipped
    if print_.share_read < 1:
        values["share_read"] = round(print_.share_read, 3)
    return values
