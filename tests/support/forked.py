"""Programs of Egide as processes of their own that need not load: forked from one that has.

Python needs one to three seconds of a processor for `egide serve`, and half a second for a worker
of an audit. So before the first test this process forks a copy of itself, which has imported what
the tests have, and which waits. `Forked` is a `Popen` whose process it forks. In /proc that has a
command line and an environment that are not its own: who reads them asks for `workers_apart`.
A command finds its application, its templates and the tables of a new store made.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import fcntl
import json
import logging
import os
import random
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import warnings
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import made_once
from egide.sandbox import starting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORKERS = ("egide.auditing.executors.worker", "hostile_worker")
_COMMAND = "egide.cli.main"
_SPARE = 500  # above all descriptors that a process passes on
_SUBREAPER = 36  # of prctl(2): processes that lose their parent get this one


class Forked(subprocess.Popen[Any]):
    """A process that runs a module of Egide, as `python -m` and `sandbox.starting` do."""

    _asked: ClassVar[socket.socket]
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def _execute_child(self, args: Sequence[str], *given: Any) -> None:  # type: ignore[override]
        _, _, close_fds, pass_fds, folder, environment, _, _, _, *pipes = given
        assert close_fds
        stdin, _, _, stdout, _, stderr = pipes[:6]
        module = _COMMAND if _COMMAND in args else next(one for one in args if one in WORKERS)
        passed = {0: stdin, 1: stdout, 2: stderr} | {one: one for one in pass_fds}
        passed = {number: number if one == -1 else one for number, one in passed.items()}
        told = {
            "module": module,
            "arguments": list(args[args.index(module) + 1 :]),
            "folder": os.fspath(folder or os.getcwd()),  # noqa: PTH109
            "environment": dict(os.environ if environment is None else environment),
            "numbers": list(passed),
        }
        with self._lock, _adopting():
            socket.send_fds(self._asked, [json.dumps(told).encode()], list(passed.values()))
            self.pid = int(self._asked.recv(20))
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]


@contextmanager
def _adopting() -> Iterator[None]:
    """Be the parent of those who lose theirs meanwhile."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SUBREAPER, 1)
    yield
    libc.prctl(_SUBREAPER, 0)


def pytest_collection_finish() -> None:
    """Fork the copy, before any test has begun a thread or changed a module."""
    if sys.platform != "linux" or hasattr(Forked, "_asked"):
        return
    Forked._asked, asking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that of the threads here the copy has none: it needs none
        copy = os.fork()
    if copy == 0:
        Forked._asked.close()
        try:
            _serve(asking)
        finally:
            os._exit(1)
    asking.close()


def _serve(asking: socket.socket) -> None:
    """Fork a process for each message, until the tests have ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm = False
    while True:
        told, descriptors, _, _ = socket.recv_fds(asking, 1 << 17, 64)
        if not told:
            os._exit(0)
        asked = json.loads(told)
        if asked["module"] == _COMMAND and not warm:
            made_once.share(pytest.MonkeyPatch())
            made_once.warm_up()
            warm = True
        # By way of another process that ends at once, it comes to be a child of who asked.
        if (between := os.fork()) == 0:
            between = os.getpid()
            if os.fork() == 0:
                while os.getppid() == between:
                    time.sleep(0.001)
                asking.send(b"%d" % os.getpid())
                _become(asked, descriptors)
            os._exit(0)
        os.waitpid(between, 0)
        for one in descriptors:
            os.close(one)


def _become(told: dict[str, Any], descriptors: list[int]) -> None:
    """Be the process that was asked for, to its end."""
    faulthandler.disable()  # it would write to a descriptor that is another file's by then
    spare = [fcntl.fcntl(one, fcntl.F_DUPFD, _SPARE) for one in descriptors]
    os.closerange(0, _SPARE)
    for number, one in zip(told["numbers"], spare, strict=True):
        os.dup2(one, number)
        os.close(one)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    logging.root.handlers.clear()
    random.seed()
    atexit._clear()  # what is pytest's
    sys.argv = [told["module"], *told["arguments"]]
    sys.modules.pop(told["module"], None)
    status = 1
    try:
        runpy.run_module(told["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        with suppress(Exception):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _workers_forked(arguments: Sequence[str], **given: Any) -> subprocess.Popen[Any]:
    """A process of `sandbox.starting`: forked if it is a worker of an audit.

    What reads an object store does so by libraries that do not work in a fork.
    """
    remote = any(name.startswith("AWS_") for name in given.get("env") or ())
    forked = not remote and not {*WORKERS}.isdisjoint(arguments)
    return (Forked if forked else subprocess.Popen)(arguments, **given)


@pytest.fixture(scope="session", autouse=True)
def workers_forked() -> Iterator[None]:
    """The workers of audits are forked."""
    with pytest.MonkeyPatch.context() as patch:
        names = {name: getattr(subprocess, name) for name in ("PIPE", "DEVNULL", "TimeoutExpired")}
        if hasattr(Forked, "_asked"):
            patch.setattr(starting, "subprocess", SimpleNamespace(**names, Popen=_workers_forked))
        yield


@pytest.fixture
def workers_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The workers of audits are started as they are outside of tests."""
    monkeypatch.setattr(starting, "subprocess", subprocess)


def command_forked(arguments: Sequence[str], **given: Any) -> subprocess.Popen[Any]:
    """Start `egide` with these arguments, as `Popen` does."""
    command = [sys.executable, "-m", _COMMAND, *arguments]
    return (Forked if hasattr(Forked, "_asked") else subprocess.Popen)(command, **given)
