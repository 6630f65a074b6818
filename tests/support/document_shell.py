"""A shell in which the blocks of a page run one after the other, as a reader would type them.

`egide` there is forked from a process that has everything imported: a page has many short commands,
and Python needs most of a second for each. `egide serve` is started as it is and answered for at
`localhost:8000`; it ends with the page.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "asked"

# Exit code 1 is what an example of these is about: something matched.
_PRELUDE = """\
set -euo pipefail
served=
end() { [[ -z $served ]] || { kill $served; wait $served || true; served=; }; }
trap end EXIT
serve() {
  end
  command $EGIDE serve --port $PORT --decoders 1 "$@" >served.out 2>served.err &
  served=$!
  until command curl -sf localhost:$PORT/readyz >/dev/null; do kill -0 $served; sleep 0.1; done
}
egide() {
  local code=0
  [[ $1 != serve ]] || { serve "${@:2}"; return; }
  command egide "${@//localhost:8000/localhost:$PORT}" || code=$?
  case $1 in audit|match) [[ $code == 1 ]] ;; purge) [[ $code -le 1 ]] ;; *) return $code ;; esac
}
curl() { command curl -sS --fail-with-body "${@//localhost:8000/localhost:$PORT}"; }
python() { command $PYTHON -W error "$@"; }
pip() { :; }
make() { :; }
"""
_CLIENT = """\
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(os.environ["EGIDE_FORKED_BY"])
    told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(asked, [len(told).to_bytes(4, "big") + told], [0, 1, 2])
    sys.exit(asked.recv(1)[0])
"""


def run(folder: Path, script: str, programs: Path) -> subprocess.CompletedProcess[str]:
    """Run commands in a folder, with no settings and no home but those of the page.

    Args:
        folder: where; it becomes the home as well.
        script: in Bash.
        programs: what `forked_commands` gives.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EGIDE_")}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **clean,
        "PATH": f"{programs}{os.pathsep}{clean['PATH']}",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "EGIDE_FORKED_BY": str(programs / SOCKET),
        "EGIDE": str(Path(sys.executable).with_name("egide")),
        "PYTHON": sys.executable,
        "PORT": str(port),
    }
    return subprocess.run(
        ["/bin/bash", "-c", _PRELUDE + script], cwd=folder, env=environment,
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip


@contextmanager
def forked_commands(programs: Path) -> Iterator[Path]:
    """Put into a folder an `egide` that asks to be forked, and fork it until the block ends."""
    command = programs / "egide"
    command.write_text(f"#!{sys.executable} -SsI\n{_CLIENT}")
    command.chmod(0o700)
    started = [sys.executable, __file__, str(programs / SOCKET)]
    server = subprocess.Popen(started, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        server.stdout.readline()
        yield programs
    finally:
        server.kill()
        server.communicate()


def answer(address: str) -> None:
    """Fork a command for whoever asks, one at a time."""
    import egide
    from egide.cli import main

    for module in pkgutil.walk_packages(egide.__path__, "egide."):
        # Alembic runs the first, and importing the others compiles them.
        if not any(
            part in module.name for part in ("migrations", "compiled_", "_compiled", "numba")
        ):
            importlib.import_module(module.name)
    for late in ("alembic.command", "rich.progress", "rich.table"):
        importlib.import_module(late)
    main._command()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            asked, _ = server.accept()
            head, descriptors, _, _ = socket.recv_fds(asked, 4, 3)
            told = b""
            while len(told) < int.from_bytes(head, "big"):
                told += asked.recv(65536)
            if (child := os.fork()) == 0:
                arguments, folder, environment = json.loads(told)
                for number, descriptor in enumerate(descriptors):
                    os.dup2(descriptor, number)
                os.chdir(folder)
                os.environ.clear()
                os.environ.update(environment)
                sys.stdin = open(0, closefd=False)  # noqa: SIM115
                sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
                sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
                sys.argv = ["egide", *arguments]
                main.main()
            for descriptor in descriptors:
                os.close(descriptor)
            _, status = os.waitpid(child, 0)
            asked.send(bytes([os.waitstatus_to_exitcode(status) & 255]))
            asked.close()


if __name__ == "__main__":
    answer(sys.argv[1])
