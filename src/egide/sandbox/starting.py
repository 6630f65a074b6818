"""The one place that starts a process.

A child reads hostile files, often with their folder as its working folder. So that folder must not
be on its module path, and the child gets only named variables of the caller's environment. A test
checks that no other module of Egide starts a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from egide.errors import TooManyProcesses
from egide.sandbox.exhaustion import exhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"), "1"
)
"""The caller already starts one child for each processor it wants busy."""
_PLAIN = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
_SEARCH_PATHS = ("PATH", "LD_LIBRARY_PATH")
_LAUNCHER = Path(__file__).with_name("launcher.py")
_HOME = Path(__file__).parents[2]
"""The folder that Egide was imported from: an installation, a checkout, an entry of PYTHONPATH."""


def start(
    module: str,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    reads: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a module of Egide in an interpreter of its own.

    Its output is a pipe. Its standard error is dropped, since libraries print names and contents
    of files there.

    Args:
        module: run as `__main__`.
        arguments: its `sys.argv[1:]`, which everyone on this machine can read.
        environment: added to the variables that Python itself needs; see `variables`.
        pass_fds: file descriptors that it inherits.
        reads: whether its standard input is a pipe; else it is empty.

    Raises:
        TooManyFiles, TooManyProcesses, OutOfMemory: no more children can be started.
        OSError: the interpreter cannot be run for another reason.
    """
    flags = ["-P", "-s", *(("-X", "utf8") if sys.flags.utf8_mode else ())]
    launcher = [str(_LAUNCHER), json.dumps(module_path()), str(_HOME)]
    try:
        return subprocess.Popen(
            [sys.executable, *flags, *launcher, module, *arguments],
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=pass_fds,
            env={**bare_environment(), **(environment or {})},
            bufsize=0,
        )
    except BlockingIOError as error:
        raise TooManyProcesses from error
    except (OSError, MemoryError) as error:
        if (known := exhausted(error)) is not None:
            raise known from error
        raise


def fork(run: Callable[[], int]) -> int:
    """Go on as two processes, which share what is in memory until either changes it.

    For a process of one thread alone: other threads do not exist in the child, their locks do.

    Args:
        run: what the child does; it ends with the status that this returns.

    Returns:
        the child's process id.

    Raises:
        TooManyProcesses, OutOfMemory: no more children can be started.
        OSError: for another reason.
    """
    try:
        child = os.fork()
    except BlockingIOError as error:
        raise TooManyProcesses from error
    except OSError as error:
        if (known := exhausted(error)) is not None:
            raise known from error
        raise
    if child:
        return child
    status = 1
    try:
        status = run()
    finally:
        # What the parent has open, such as its standard output, is the parent's to flush.
        os._exit(status)


def end(process: subprocess.Popen[bytes], *, timeout_s: float) -> None:
    """Ask a child to end, and kill it after `timeout_s`."""
    process.terminate()
    try:
        process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def bare_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables that Python and its libraries need to run: no setting, no password, no key.

    PYTHONPATH is left out, see `module_path`. So are relative and empty entries of search paths,
    which mean the child's working folder.
    """
    kept = {name: environment[name] for name in _PLAIN if name in environment}
    for name in _SEARCH_PATHS:
        entries = environment.get(name, "").split(os.pathsep)
        if absolute := [entry for entry in entries if os.path.isabs(entry)]:  # noqa: PTH117 - text
            kept[name] = os.pathsep.join(absolute)
    return {**kept, **ONE_THREAD}


def variables(
    names: Iterable[str] = (),
    prefixes: Iterable[str] = (),
    environment: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Pick variables of the environment for a child, by name and by prefix."""
    names, prefixes = frozenset(names), tuple(prefixes)
    return {
        name: value
        for name, value in environment.items()
        if name in names or name.startswith(prefixes)
    }


def module_path(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Folders that a child searches for modules, after its standard library.

    They are this interpreter's folders, including PYTHONPATH, so that installed extras are found.
    The working folder, the main script's folder and relative entries of PYTHONPATH are left out.
    No file in these folders can replace a module of the standard library.
    """
    implicit = {_real("."), *map(_real, _relative(environment.get("PYTHONPATH", "")))}
    if script := getattr(sys.modules.get("__main__"), "__file__", None):
        implicit.add(_real(os.path.dirname(script)))  # noqa: PTH120 - may be empty
    return [
        entry
        for entry in dict.fromkeys(sys.path)
        if os.path.isabs(entry) and _real(entry) not in implicit  # noqa: PTH117 - text
    ]


def _relative(search_path: str) -> list[str]:
    if not search_path:
        return []
    return [entry for entry in search_path.split(os.pathsep) if not os.path.isabs(entry)]  # noqa: PTH117


def _real(path: str) -> str:
    return os.path.realpath(path or ".")
