"""The fenced blocks of the documents, and what can be said of them without running them.

Each block says what it is. It is run or read by a test, or the line before it says why not:

    <!-- not run: needs root -->

What a block needs beforehand, and no reader has to see, stands there too:

    <!-- given: egide bank create helpline -->
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main
import yaml  # type: ignore[import-untyped]

from egide.cli.main import app
from egide.errors import SettingInvalid
from egide.server.pages.site.helplines import helplines
from egide.server.settings import ServerSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
SHELL = frozenset({"sh", "console"})
"""Commands as they are typed; a console has them behind `$ `, with what they print."""
READ = frozenset({"json", "toml", "yaml", "js"})

_BLOCK = re.compile(
    r"^(?P<comments>(?:[ ]*<!-- .*? -->\n)*)(?P<indent>[ ]*)```(?P<kind>\S*)\n"
    r"(?P<text>.*?)^[ ]*```$",
    re.MULTILINE | re.DOTALL,
)
_COMMENT = re.compile(r"<!-- (given|not run): (.*?) -->", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`(egide [a-z-][^`]*)`")
_EXTRAS = re.compile(r"pip install '\.\[([^]]+)\]'")
_OPERATORS = "();<>|&\n"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: the word behind its fence.
        given: commands to run before it.
        not_run: why it is not tested; empty where it is.
    """

    page: Path
    line: int
    kind: str
    text: str
    given: str
    not_run: str

    @property
    def commands(self) -> str:
        """What a shell is to run."""
        if self.kind == "console":
            typed = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
            return "\n".join(typed) + "\n"
        return self.text

    def __str__(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def documents() -> list[Path]:
    """Return every Markdown file of the project."""
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]


def blocks(page: Path) -> Iterator[Block]:
    """Find the blocks of a page, in order."""
    text = page.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        said = dict(_COMMENT.findall(found["comments"]))
        content = re.sub(rf"^{found['indent']}", "", found["text"], flags=re.MULTILINE)
        line = text.count("\n", 0, found.end("comments")) + 1
        yield Block(
            page, line, found["kind"], content, said.get("given", ""), said.get("not run", "")
        )


def problems() -> list[str]:
    """Find blocks that cannot be right, and commands in the text that do not exist."""
    found = []
    for page in documents():
        for block in blocks(page):
            found += [f"{block}: {problem}" for problem in _of_block(block)]
        for command in _INLINE.findall(page.read_text("utf-8")):
            found += [f"{page.relative_to(ROOT)}: {said}" for said in _of_commands(command)]
    return found


def _of_block(block: Block) -> Iterator[str]:
    if block.kind in SHELL:
        syntax = subprocess.run(
            ["/bin/bash", "-n"], input=block.commands, capture_output=True, text=True, check=False
        )
        yield from syntax.stderr.splitlines()
        yield from _of_commands(block.commands)
    elif block.kind == "python":
        compile(block.text, str(block), "exec")
    elif block.kind in READ:
        try:
            _read(block)
        except (ValueError, SettingInvalid, yaml.YAMLError) as error:
            yield str(error)
    elif not block.not_run:
        yield f"a block of the kind {block.kind!r} is not tested: say why, <!-- not run: … -->"


def _read(block: Block) -> None:
    """Load a block as what it is an example of.

    Raises:
        ValueError: it cannot be.
    """
    if block.kind == "json":
        json.loads(block.text)
    elif block.kind == "yaml":
        yaml.safe_load(block.text)
    else:
        with tempfile.NamedTemporaryFile("w", suffix=f".{block.kind}") as file:
            file.write(block.text)
            file.flush()
            if block.kind == "js":
                _read_script(Path(file.name))
            elif "helpline" in tomllib.loads(block.text):
                helplines("en", Path(file.name))
            else:
                ServerSettings.load(Path(file.name))


def _read_script(path: Path) -> None:
    command = ["node", "--input-type=module", "--check"]
    try:
        with path.open() as script:
            done = subprocess.run(
                command, stdin=script, capture_output=True, text=True, check=False
            )
    except FileNotFoundError:
        return  # who has Node.js checks it; CI has
    if done.returncode:
        raise ValueError(done.stderr.strip())


def _of_commands(text: str) -> Iterator[str]:
    """Find commands, options, make targets and extras that do not exist."""
    for extras in _EXTRAS.findall(text):
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        for extra in extras.split(","):
            if extra not in known["project"]["optional-dependencies"]:
                yield f"there is no extra {extra}"
    for program, *arguments in _simple_commands(text):
        if program == "make":
            yield from (f"there is no make {name}" for name in arguments[:1] if not _makes(name))
        elif program.rpartition("/")[2] == "egide":
            yield from _of_arguments("egide", _command(), arguments)


def _simple_commands(text: str) -> Iterator[list[str]]:
    uncommented = re.sub(r"(?:^|(?<=\s))#.*$", "", text, flags=re.MULTILINE)
    lexer = shlex.shlex(uncommented.replace("\\\n", " "), posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= {*_OPERATORS, "$"}:
            if words:
                yield words
            words = []
        elif words or not re.match(r"\w+=", word):
            words.append(word)


@cache
def _command() -> Any:
    return typer.main.get_command(app)


@cache
def _makefile() -> str:
    return (ROOT / "Makefile").read_text("utf-8")


def _makes(target: str) -> bool:
    return re.search(rf"^{re.escape(target)}:", _makefile(), re.MULTILINE) is not None


def _of_arguments(name: str, command: Any, arguments: list[str]) -> Iterator[str]:
    below = getattr(command, "commands", {})
    if below and arguments and not arguments[0].startswith("-"):
        if arguments[0] not in below:
            yield f"there is no command {name} {arguments[0]}"
        else:
            yield from _of_arguments(f"{name} {arguments[0]}", below[arguments[0]], arguments[1:])
        return
    known = {"--help", "-h"}
    known.update(option for given in command.params for option in given.opts)
    known.update(option for given in command.params for option in given.secondary_opts)
    for argument in arguments:
        if argument.startswith("-") and argument.partition("=")[0] not in known:
            yield f"{name} has no option {argument}"
