"""Check the documents: what should be described is, and examples are of what there is.

Links and anchors are Sphinx's to check, in `make check` and `make docs`.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer.main

import blocks
import vendored
from egide import errors
from egide.cli.main import app
from egide.domain.model import Limits
from egide.server.settings import CONFIG_VARIABLE, ServerSettings

ROOT = Path(__file__).parents[1]
BINARY = frozenset({".pyc", ".png", ".wasm", ".jpg", ".svg", ".mo"})
PAGE_NAME = re.compile(r"(?<![\w/])docs/[\w/-]+\.(?:md|py)")


def main() -> None:
    """Print what is wrong and exit with 1, or say that all is well."""
    problems = [*lost_names(), *missing_errors(), *missing_settings(), *missing_commands()]
    problems += [*blocks.problems(), *vendored.problems()]
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(1)
    print(f"docs: {len(blocks.documents())} documents are in order")


def lost_names() -> list[str]:
    """Find pages that code, settings or deploy files name and that do not exist."""
    folders = ("src", "tests", "demo", "benchmarks", "deploy", ".ci")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    files += [ROOT / "Makefile", ROOT / "NOTICE", ROOT / "pyproject.toml"]
    return [
        f"{path.relative_to(ROOT)}: no file {name}"
        for path in files
        if path.suffix not in BINARY and "vendor" not in path.parts
        for name in PAGE_NAME.findall(path.read_text("utf-8", errors="ignore"))
        if not (ROOT / name).exists()
    ]


def missing_errors() -> list[str]:
    """Find rows that the table of errors lacks, and rows of it that are not so."""
    text = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `.*$", text, re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    known = {error_row(kind) for kind in kinds if "code" in vars(kind)}
    return [
        f"docs/reference/errors.md: this row is missing: {row}" for row in sorted(known - listed)
    ] + [f"docs/reference/errors.md: this row is not so: {row}" for row in sorted(listed - known)]


def error_row(kind: type[errors.EgideError]) -> str:
    """Return the row that the table has for an error."""
    message = str(kind.__doc__).replace("{", "‹").replace("}", "›")
    return f"| `{kind.code}` | {message} | {int(kind.exit)} | {int(kind.status)} |"


def missing_settings() -> list[str]:
    """Find settings that the page on settings does not list."""
    text = (ROOT / "docs" / "reference" / "settings.md").read_text("utf-8")
    names = ["EGIDE_STORE", "EGIDE_SNAPSHOT_DIR", "EGIDE_PATCH_KEY", "EGIDE_PATCH_KEY_FILE"]
    names.append("EGIDE_SIGNING_PASSPHRASE")
    names += [f"EGIDE_{field.name.upper()}" for field in fields(Limits)]
    names += [CONFIG_VARIABLE, *(f"EGIDE_{name.upper()}" for name in ServerSettings.model_fields)]
    return [
        f"docs/reference/settings.md: {name} is missing"
        for name in names
        if f"`{name}`" not in text
    ]


def missing_commands() -> list[str]:
    """Find commands that the page on commands does not describe, or that have no example."""
    text = (ROOT / "docs" / "reference" / "commands.md").read_text("utf-8")
    problems = []
    for name, command in commands(typer.main.get_command(app), "egide"):
        if f"`{name}" not in text:
            problems.append(f"docs/reference/commands.md: {name} is missing")
        if "Examples:" not in (command.epilog or ""):
            problems.append(f"{name} --help has no example")
    return problems


def commands(command: Any, name: str) -> list[tuple[str, Any]]:
    """Return every command below this one, with its full name."""
    below = getattr(command, "commands", None)
    if below is None:
        return [(name, command)]
    return [found for key, sub in below.items() for found in commands(sub, f"{name} {key}")]


if __name__ == "__main__":
    main()
