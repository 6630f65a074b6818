"""Commands run as a user runs them: in this process, or in one of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, cast

import pytest

from egide.cli.main import run

EGIDE = [sys.executable, "-m", "egide.cli.main"]


class Result:
    """What a command printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def json(self) -> Any:
        return json.loads(self.out)


def egide_in(
    folder: Path, *arguments: object, stdin: str | None = None, **environment: str
) -> Result:
    """Run a command here, which saves a second each time; in a process of its own if it has to be.

    Args:
        folder: in which it runs.
        arguments: of the command.
        stdin: what stands on its standard input.
        environment: more variables; Python reads `PYTHONPATH` when it starts, and only then.
    """
    if "PYTHONPATH" in environment:
        return egide_apart(folder, *arguments, **environment)
    if arguments[0] == "audit" and "--workers" not in arguments:
        arguments = (*arguments, "--workers", "1")  # each takes half a second to load
    read = io.TextIOWrapper(io.BytesIO((stdin or "").encode()))
    out, err = (
        io.TextIOWrapper(io.BytesIO(), "utf-8", errors="backslashreplace", write_through=True)
        for _ in range(2)
    )
    with (
        pytest.MonkeyPatch.context() as patched,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        patched.setattr("sys.stdin", read)
        patched.chdir(folder)
        for name in list(os.environ):
            if name.startswith("EGIDE_"):
                patched.delenv(name)
        for name, value in {"COLUMNS": "200", **environment}.items():
            patched.setenv(name, value)
        code = run(list(map(str, arguments)))
    printed = [cast("io.BytesIO", stream.buffer).getvalue().decode() for stream in (out, err)]
    return Result(code, *printed)


def egide_apart(folder: Path, *arguments: object, **environment: str) -> Result:
    """Run a command in a process of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("EGIDE_")}
    done = subprocess.run(
        [*EGIDE, *map(str, arguments)],
        cwd=folder, env={**clean, "COLUMNS": "200", **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)
