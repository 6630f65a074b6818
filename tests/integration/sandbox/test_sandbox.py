"""Child interpreters run nothing of the folder they stand in, and know only what is theirs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import egide
from egide.auditing.sources import variables_for
from egide.errors import OutOfMemory, TooManyFiles, TooManyProcesses
from egide.sandbox import starting
from egide.sandbox.exhaustion import exhausted
from egide.store.changing import ChangingStore
from pictures import encoded, pictures

SOURCE = Path(egide.__file__).parent
STARTING = SOURCE / "sandbox" / "starting.py"
PLANTED = (
    *("json", "numpy", "typing", "pi_heif", "sitecustomize", "usercustomize", "numba", "struct"),
    *("__future__", "importlib", "contextlib"),
)
SECRETS = {
    "PGPASSWORD": "secret",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "HF_TOKEN": "secret",
    "EGIDE_PATCH_KEY": "secret",
    "ANYTHING": "secret",
}
ALL_CHILDREN = """
import json, os, sys, time
from pathlib import Path
import egide
from egide.auditing.executors.local import LocalExecutor
from egide.sandbox.decoding import DecodingPool
from egide.live.rebuilding import Rebuilder

def told(process):
    names = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\\0")
    return sorted(name.partition(b"=")[0].decode() for name in names if name)

# As Python does at its start with what PYTHONPATH says.
sys.path[:0] = [os.path.abspath(each) for each in os.environ.get("PYTHONPATH", "!").split(":")]
url, snapshot = sys.argv[1:]
seen = {}
with DecodingPool(workers=1) as pool:
    seen["decoding"] = told(pool._children[0]._process)
    assert pool.fingerprint(Path("0.jpg").read_bytes()).pdq is not None
rebuilder = Rebuilder(url, Path(snapshot))
rebuilder.start()
seen["rebuilding"] = told(rebuilder._child)
while rebuilder.running:
    time.sleep(0.01)
    rebuilder.poll()
assert rebuilder.failure is None, rebuilder.failure
entered = LocalExecutor.__enter__
def noting(executor):
    entered(executor)
    seen["audit"] = told(executor._workers[0]._process)
    return executor
LocalExecutor.__enter__ = noting
with egide.open_store(url) as store:
    audit = egide.audit(["."], store)
    assert [finding.item for finding in audit if isinstance(finding, egide.MatchRow)] == ["0.jpg"]
print(json.dumps(seen))
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/egide.db"
    picture = tmp_path / "registered.png"
    picture.write_bytes(encoded(pictures(8)[0], "PNG"))
    with egide.open_store(url, create=True) as store:
        ChangingStore.of(store).banks.create("helpline")
        list(egide.register(store, "helpline", [picture]))
    return url


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a picture beside files that Python might run; each leaves a trace."""
    folder = tmp_path / "pictures"
    (folder / "egide").mkdir(parents=True)
    (folder / "lib").mkdir()
    (folder / "0.jpg").write_bytes(encoded(pictures(8)[0], quality=80))
    trace = f"open({str(tmp_path)!r} + '/ran-' + __name__, 'w').close()\n"
    for place in (folder, folder / "lib"):
        for name in PLANTED:
            (place / f"{name}.py").write_text(trace)
    (folder / "egide" / "__init__.py").write_text(trace)
    (folder / "planted.pth").write_text(f"import sys; open({str(tmp_path / 'ran-pth')!r}, 'w')\n")
    return folder


def traces(hostile: Path) -> list[str]:
    return sorted(path.name for path in hostile.parent.glob("ran-*"))


@pytest.mark.parametrize(
    "python_path",
    [":/nowhere", "lib:.", *(pytest.param(one, marks=pytest.mark.slow) for one in (None, "", "."))],
)
def test_no_child_runs_code_of_the_folder_it_stands_in_or_learns_a_secret(
    hostile: Path, url: str, python_path: str | None
) -> None:
    environment = {**os.environ, **SECRETS}
    environment.pop("PYTHONPATH", None)
    script = ALL_CHILDREN
    if python_path is not None:
        # Set within, for Python itself would obey it before anything of Egide's runs.
        script = f"import os; os.environ['PYTHONPATH'] = {python_path!r}\n" + ALL_CHILDREN
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, url, str(hostile.parent / "new.snapshot")],
        cwd=hostile, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert traces(hostile) == []
    for child, names in json.loads(done.stdout).items():
        assert not {*SECRETS, "PYTHONPATH"} & set(names), child


def test_the_command_runs_no_code_of_the_audited_folder(hostile: Path, url: str) -> None:
    command = str(Path(sys.executable).with_name("egide"))
    done = subprocess.run(
        [command, "audit", ".", "--store", url], cwd=hostile, capture_output=True, check=False
    )
    assert (done.returncode, traces(hostile)) == (1, []), done.stderr


def test_an_egide_that_is_found_by_a_relative_python_path_goes_on_working(
    hostile: Path, url: str
) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    packages = sysconfig.get_path("purelib")
    done = subprocess.run(
        [base, "-m", "egide.cli.main", "audit", str(hostile), "--store", url],
        cwd=SOURCE.parent.parent,
        env={"PYTHONPATH": f"{SOURCE.parent.name}:{packages}", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 item of 1 matches" in done.stdout, done.stderr


def test_a_search_path_keeps_no_relative_entry() -> None:
    given = {"LD_LIBRARY_PATH": ":/opt/lib:lib", "PATH": ".", "PYTHONPATH": "/x", "HOME": "/h"}
    bare = starting.bare_environment(given)
    assert bare == {"LD_LIBRARY_PATH": "/opt/lib", "HOME": "/h", **starting.ONE_THREAD}


@pytest.mark.parametrize(
    ("addresses", "passed"),
    [
        (["photos", "file:///photos", "a::b.tar"], set()),
        (["s3://bucket/shards"], {"AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY"}),
        (["photos", "hf://datasets/x"], {"HF_TOKEN", "HTTPS_PROXY"}),
        (["zip://a.csv::gs://bucket/a.zip"], {"GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY"}),
        (["https://example.org/a.tar"], {"HTTPS_PROXY"}),
    ],
)
def test_workers_get_the_credentials_of_their_sources_only(
    addresses: list[str], passed: set[str]
) -> None:
    given = {**SECRETS, "GOOGLE_APPLICATION_CREDENTIALS": "file", "HTTPS_PROXY": "proxy"}
    assert set(variables_for(addresses, given)) == passed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(24, "Too many open files"), TooManyFiles),
        (ImportError("lib.so: cannot open shared object file: Too many open files"), TooManyFiles),
        (MemoryError(), OutOfMemory),
        (RuntimeError("can't start new thread"), TooManyProcesses),
        (OSError(2, "No such file or directory"), type(None)),
    ],
)
def test_what_ran_out_is_told_from_an_error_or_its_cause(
    error: Exception, kind: type[Exception]
) -> None:
    assert type(exhausted(error)) is kind
    led_to = ValueError("of that")
    led_to.__cause__ = error
    assert type(exhausted(led_to)) is kind


# --- one place ------------------------------------------------------------

_MODULES = {"subprocess", "multiprocessing", "pty", "_posixsubprocess", "popen2"}
_NAMES = {"ProcessPoolExecutor", "create_subprocess_exec", "create_subprocess_shell"}
_NAMES |= {"subprocess_exec", "subprocess_shell", "get_event_loop_subprocess"}
_OF_OS = ("exec", "spawn", "posix_spawn", "fork", "system", "popen", "startfile")


def starts_of_processes(tree: ast.AST) -> list[int]:
    """Lines that import or name what starts a process, but for the sake of types."""
    typed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    lines = []
    for node in ast.walk(tree):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [each.name.partition(".")[0] for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            named = [(node.module or "").partition(".")[0], *(each.name for each in node.names)]
            if node.module == "os":
                named += [f"os.{each.name}" for each in node.names]
        elif isinstance(node, ast.Attribute):
            named = [node.attr]
            if isinstance(node.value, ast.Name):
                named.append(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = [node.value]
        found = {*_MODULES, *_NAMES} & set(named) or any(
            name.startswith(tuple(f"os.{start}" for start in _OF_OS)) for name in named
        )
        if found and id(node) not in typed:
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize(
    "text",
    [
        "import subprocess as s",
        "from subprocess import Popen",
        "import multiprocessing.pool",
        "from concurrent.futures import ProcessPoolExecutor",
        "__import__('subprocess')",
        "asyncio.create_subprocess_exec('python')",
        "os.posix_spawn('python', [], {})",
        "from os import execv",
        "os.fork()",
    ],
)
def test_a_start_of_a_process_is_seen(text: str) -> None:
    assert starts_of_processes(ast.parse(text))


def test_children_are_started_in_one_place() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in SOURCE.rglob("*.py")
        for line in starts_of_processes(ast.parse(path.read_bytes()))
        if path != STARTING and path.parent.name != "testing"  # which are tests, as these are
    ]
    assert found == []
