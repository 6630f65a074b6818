"""`egide report`: write an audit's page again, for example in another language."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from egide.cli.terminal import JsonOption, examples, print_json, say


class Language(StrEnum):
    """The languages of the page."""

    EN = "en"
    FR = "fr"


LanguageOption = Annotated[Language, typer.Option("--lang", help="Language of report.html.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "report",
        epilog=examples("egide report audit/ --lang fr", "egide report after/ --before audit/"),
    )(report)


def report(
    out: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="The folder of `egide audit --out`.")
    ],
    before: Annotated[
        Path | None,
        typer.Option("--before", metavar="AUDIT", help="The audit before a purge: shows both."),
    ] = None,
    lang: LanguageOption = Language.EN,
    json: JsonOption = False,
) -> None:
    """Write the page of a finished audit again.

    Nothing is scanned: the page is made from the tables in the folder. With --before it sets the
    audit of the dataset as it was beside this one, with what the purge says of itself.
    """
    import egide

    path = egide.write_report(out, lang=lang.value, before=before)
    if json:
        print_json({"report": str(path)})
    else:
        say(f"Report: {path}")
