"""What the command line prints: data is shown and never obeyed, and one module prints it."""

from __future__ import annotations

import ast
import logging
import zipfile
from pathlib import Path

import pytest

import egide
from egide.cli import main, terminal
from egide.cli.main import run
from egide.domain.access import Role
from egide.errors import ConfirmationNeeded
from egide.server.http.logs import Lines
from egide.text.visible import visible
from pictures import encoded, pictures

CLI = Path(main.__file__).parent
HOSTILE = {
    "closing-tag": "a[/b]",
    "style": "[bold red]x[/bold red]",
    "link": "[link=https:x]y[/link]",
    "emoji": ":smile:",
    "backslash-tag": "\\[b]x\\",
    "escape": "\x1b[2J\x1b]0;t\x07",
    "c1-csi": "\x9b31m",
    "bidi": "\u202egpj.exe",
    "line-break": "a\nEVIL\rEVIL",
    "separators": "a\u2028EVIL\u2029EVIL\x85EVIL",
    "surrogate": "\udcff\ud800",
    "delete": "a\x7fb",
    "invisible": "a\u200b\ufe0f\u3164b",
}
NAME = "[b]a[⁄b]:smile:\x1b[2J\x9b1m\u202e\nEVIL\r\u2028\x85\udcff\x7f\u200b"
"""All of it in one name that a file can have."""
PDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
COMMANDS = [
    ["hash", "{name}.png"],
    ["hash", "{name}.txt"],
    ["hash", "no-{name}"],
    ["match", "{name}.png"],
    ["match", "{name}.txt", "other.png"],
    ["match", "no-{name}", "{name}.png"],
    ["match", "--bank", "{name}", "{name}.png"],
    ["match", "--pdq", "{name}"],
    ["audit", "no-{name}", "--workers", "1"],
    ["report", "no-{name}"],
    ["bank", "create", "{name}"],
    ["bank", "create", "b", "--radius", "{name}"],
    ["bank", "set", "helpline", "--description", "{name}"],
    ["bank", "list"],
    ["bank", "add", "helpline", "{name}.png", "{name}.txt", "no-{name}", "--source", "{name}"],
    ["bank", "add", "helpline", "{name}.png", "--note", "{name}", "--source", "2{name}"],
    ["bank", "add", "helpline", "other.png", "--expires", "{name}"],
    ["bank", "import", "helpline", "{name}.txt"],
    ["bank", "import", "helpline", "no-{name}"],
    ["bank", "import", "helpline", "{name}.csv"],
    ["bank", "entries", "helpline"],
    ["bank", "entries", "helpline", "--state", "{name}"],
    ["bank", "show", "helpline"],
    ["bank", "show", "helpline", "1"],
    ["bank", "show", "{name}", "1"],
    ["bank", "export", "helpline", "--out", "no-{name}/x.csv"],
    ["bank", "withdraw", "helpline", "--source", "{name}"],
    ["bank", "withdraw", "helpline", "{name}"],
    ["key", "create", "--role", "matcher", "--name", "{name}"],
    ["key", "create", "--role", "matcher", "--name", "held", "--holder", "{name}"],
    ["key", "create", "--role", "matcher", "--name", "k", "--bank", "{name}"],
    ["key", "create", "--role", "{name}", "--name", "k"],
    ["key", "list"],
    ["key", "patches", "--out", "no-{name}/x"],
    ["key", "revoke", "{name}"],
    ["staff", "add", "{name}"],
    ["staff", "disable", "{name}"],
    ["staff", "list"],
    ["log", "show"],
    ["log", "show", "--entry", "{name}", "1"],
    ["log", "verify", "--head", "{name}"],
    ["log", "export", "--out", "no-{name}/x"],
    ["sync", "add", "{name}", "https://e.example", "--key-file", "k", "--from", "a", "--into", "b"],
    ["sync", "add", "p", "{name}", "--key-file", "k", "--from", "a", "--into", "b"],
    ["sync", "add", "p", "https://e.example", "--key-file", "{name}", "--from", "a", "--into", "b"],
    ["sync", "add", "p", "https://e.example", "--key-file", "k", "--from", "a", "--into", "b",
     "--trust", "{name}"],
    ["sync", "list"],
    ["sync", "remove", "{name}"],
    ["webhook", "add", "{name}", "https://e.example", "--event", "decision.block"],
    ["webhook", "add", "w", "{name}", "--event", "decision.block"],
    ["webhook", "add", "w", "https://e.example", "--event", "{name}"],
    ["webhook", "list"],
    ["webhook", "dead"],
    ["store", "info", "--store", "{name}"],
    ["store", "info", "--store", "sqlite:///no-{name}"],
    ["store", "backup", "no-{name}/x"],
    ["store", "restore", "no-{name}"],
    ["serve", "--config", "no-{name}"],
    ["{name}"],
    ["bank", "{name}"],
    ["match", "--{name}"],
]  # fmt: skip
VARIABLES = ["EGIDE_MAX_PIXELS", "EGIDE_STORE", "EGIDE_SNAPSHOT_DIR", "EGIDE_PATCH_KEY_FILE"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with a picture that is registered; all files but one have the hostile name."""
    picture, other = pictures(2)
    (tmp_path / f"{NAME}.png").write_bytes(encoded(picture.reduce(4), "PNG"))
    (tmp_path / "other.png").write_bytes(encoded(other.reduce(4), "PNG"))
    (tmp_path / f"{NAME}.txt").write_text("no picture")
    rows = f"signal_type,signal_str,source\npdq,{PDQ},\x1b[2J\n\x1b[2J,{PDQ},\n"
    (tmp_path / f"{NAME}.csv").write_text(rows)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGIDE_STORE", "sqlite:///egide.db")
    assert run(["bank", "create", "helpline"]) == 0
    assert run(["bank", "add", "helpline", f"{NAME}.png"]) == 0
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    for line in (out + err).split("\n"):
        assert line == visible(line), repr(line)
        assert not line.startswith("EVIL")
    return out + err


def test_no_command_obeys_what_data_holds(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed(capsys)
    for command in COMMANDS:
        for json_too in ([], ["--json"]):
            code = run([part.format(name=NAME) for part in command] + json_too)
            said = printed(capsys)
            assert code in {0, 1, 2, 3}
            assert "unexpected" not in said, (command, said)
            # What was left out is also told in words, beside the JSON.
            lines = [line for line in said.splitlines() if not line.startswith("Of ")]
            if json_too:
                assert all(line.startswith(("{", "[", "]")) for line in lines), command
    for variable in VARIABLES:
        with monkeypatch.context() as patched:
            patched.setenv(variable, NAME.replace("\0", ""))
            run(["match", "other.png"])
            printed(capsys)


def test_markup_in_a_path_hides_no_later_match(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    picture = encoded(pictures(1)[0].reduce(4), "PNG")
    Path("a[").mkdir()
    names = ["a[/b].jpg", "[bold]x.png", ":smile:.png"]
    for name in names:
        Path(name).write_bytes(picture)
    assert run(["bank", "create", "helpline"]) == 0
    assert run(["bank", "add", "helpline", *names]) == 0
    assert run(["match", *names]) == 1
    said = printed(capsys)
    assert all(f"{name}: 1 match" in said for name in names)


@pytest.mark.parametrize("kind", HOSTILE)
def test_every_way_of_printing_shows_what_would_be_obeyed(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = HOSTILE[kind]
    terminal.say(text)
    terminal.warn(text)
    terminal.print_json({text: text})
    terminal.print_list([text, {text: [text]}])
    terminal.print_table(text, [(text, "left"), ("other", "right")], [[text, text]])
    with pytest.raises(ConfirmationNeeded) as error:
        terminal.confirm_erasing(text, yes=False)
    terminal.warn(str(error.value))
    said = printed(capsys)
    assert said.count(visible(text)) >= 6
    with terminal.progress_bar() as change:
        change(text, text, 10, 5)
    capsys.readouterr()
    terminal.show_count(text)
    assert visible(text) in capsys.readouterr().err


def test_item_names_of_archives_are_shown_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = encoded(pictures(1)[0].reduce(4), "PNG")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGIDE_STORE", "sqlite:///egide.db")
    Path("p.png").write_bytes(picture)
    with zipfile.ZipFile("[b]items[⁄b].zip", "w") as archive:
        for name in HOSTILE.values():
            if name.isprintable() or name.encode("utf-8", "replace") == name.encode(
                "utf-8", "ignore"
            ):
                archive.writestr(f"{name}.png", picture)
    assert run(["bank", "create", "helpline"]) == 0
    assert run(["bank", "add", "helpline", "p.png"]) == 0
    assert run(["audit", ".", "--workers", "1"]) == 1
    said = printed(capsys)
    assert "a[/b].png" in said
    assert ":smile:.png" in said
    assert r"\x1b[2J" in said


def test_names_that_others_gave_are_shown_not_obeyed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "[/b]\x1b[2J\u202e\n:smile:"
    monkeypatch.setenv("EGIDE_STORE", f"sqlite:///{tmp_path}/egide.db")
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        egide.create_bank(store, "helpline", description=evil)
        store.keys.create("k", Role.MATCHER, "[/b]:smile:")
        store.log.append("act", detail={"what": evil})
    for command in (
        ["bank", "list"],
        ["bank", "show", "helpline"],
        ["key", "list"],
        ["log", "show"],
    ):
        for json_too in ([], ["--json"]):
            assert run([*command, *json_too]) == 0
            said = printed(capsys)
            assert json_too or "[/b]" in said or "log" in command


def test_export_is_exact_in_a_pipe_and_visible_on_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EGIDE_STORE", f"sqlite:///{tmp_path}/egide.db")
    picture = tmp_path / "p.png"
    picture.write_bytes(encoded(pictures(1)[0].reduce(4), "PNG"))
    with egide.open_store(f"sqlite:///{tmp_path}/egide.db", create=True) as store:
        egide.create_bank(store, "helpline")
        list(egide.register(store, "helpline", [picture], note="a\x1b[2Jb"))
    assert run(["bank", "export", "helpline"]) == 0
    assert "a\x1b[2Jb" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run(["bank", "export", "helpline"]) == 0
    assert r"a\x1b[2Jb" in printed(capsys)


def test_what_libraries_log_is_shown_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    handler = terminal._Warnings(logging.WARNING)
    handler.handle(logging.LogRecord("fsspec", logging.WARNING, "", 1, "%s", ("\x1b[2J\n",), None))
    assert printed(capsys) == "\\x1b[2J\\x0a\n"


def test_log_of_the_server_is_one_visible_line() -> None:
    record = logging.LogRecord("egide.x", logging.INFO, "", 1, "a\n\x1b[2J\u202e", (), None)
    record.egide_fields = {"name": "b\r\x9b1m"}
    line = Lines().format(record)
    assert line == visible(line)
    assert r"a\x0a\x1b[2J" in line


class _WriteCalls(ast.NodeVisitor):
    """Finds whatever could print."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in {"print", "input", "sys.stdout", "sys.stderr"}:
            self.found.append(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        named = ast.unparse(node)
        if named.startswith(
            ("sys.stdout", "sys.stderr", "sys.__std", "sys.stdin", "traceback.print")
        ) or named in {"typer.echo", "typer.secho", "typer.prompt", "typer.confirm", "os.write"}:
            self.found.append(named)
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        self._check([alias.name for alias in node.names])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        self._check([node.module or "", *names])

    def _check(self, names: list[str]) -> None:
        self.found += [
            name
            for name in names
            if name.split(".")[0] in {"rich", "click", "getpass"}
            or name in {"typer.echo", "typer.secho", "sys.stdout", "sys.stderr"}
        ]


def test_one_module_alone_prints() -> None:
    for module in CLI.glob("*.py"):
        if module.name != "terminal.py":
            calls = _WriteCalls()
            calls.visit(ast.parse(module.read_text("utf-8")))
            assert not calls.found, f"{module.name} prints by itself: {calls.found}"
