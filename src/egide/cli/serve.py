"""`egide serve`: serve the register over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egide.cli.terminal import JsonOption, examples, print_json, say, warn
from egide.errors import ServerUnavailable


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "serve",
        epilog=examples(
            "egide serve",
            "egide serve --store sqlite:///register.db --port 8080",
            "egide serve --store postgresql://egide@db.example.org/egide",
            "egide serve --pages",
            "egide serve --workers 4",
            "egide serve --config /etc/egide/egide.toml",
        ),
    )(serve)


def serve(
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="The database; created if missing."),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Listening address; by default 127.0.0.1."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="N", min=0, max=65535, help="By default 8000; 0 for any free port."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", min=1, help="Processes that answer requests; by default 1."
        ),
    ] = None,
    decoders: Annotated[
        int | None,
        typer.Option(
            "--decoders",
            metavar="N",
            min=1,
            help="Processes that decode uploads, for all workers; by default one per core.",
        ),
    ] = None,
    pages: Annotated[
        bool | None,
        typer.Option("--pages/--no-pages", help="Also serve the pages for people; by default not."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Settings as TOML; see docs/reference/settings.md."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Serve the register over HTTP until the process is told to end.

    If no admin has a key, one is made and printed once. The log goes to standard error.
    """
    try:
        from egide.server.running import run
        from egide.server.settings import ServerSettings
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "egide":
            raise
        raise ServerUnavailable from error

    def print_first_key(token: str) -> None:
        if json:
            print_json({"first_key": token})
            return
        warn("The first key, of role admin. It is shown this once:")
        say(token)
        warn("Keep it secret. Send it as `Authorization: Bearer KEY`.")
        warn("For everything else make keys of lesser roles, with `egide key create`.")

    def print_address(address: str) -> None:
        if json:
            shown = {"address": address, "docs": f"{address}/docs"}
            print_json(shown | ({"pages": f"{address}/"} if settings.pages else {}))
            return
        say(f"Egide serves at {address}, its API is described at {address}/docs")
        if settings.pages:
            say(f"The pages for people begin at {address}/")

    settings = ServerSettings.load(
        config,
        store=store,
        host=host,
        port=port,
        workers=workers,
        decoders=decoders,
        pages=pages,
    )
    run(settings, print_first_key, print_address)
