"""What all tests can ask for."""

import os
import signal
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
FOLDERS = sorted(
    {*HERE.glob("integration/*/"), *HERE.glob("unit/*/"), HERE / "browser", HERE / "contract"}
)

pytest_plugins = ["cheap", "forked", "postgres_fixtures"]

# A shell starts its background jobs with SIGINT ignored, and every program they start ignores it
# too; tests that interrupt one would wait for nothing.
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    and threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples where slow tests are left out; none has to be done within a time."""
    examples = 30 if config.option.markexpr == "not slow" else 100
    settings.register_profile("egide", deadline=None, max_examples=examples)
    settings.load_profile("egide")


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Have each of several processes begin with another folder.

    pytest rewrites a module where that never ran, which takes as long as loading it: each process
    finds most of them rewritten by another.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker and session.config.args == session.config.getini("testpaths"):
        begin = len(FOLDERS) * int(worker[2:]) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        session.config.args = [str(one) for one in FOLDERS[begin:] + FOLDERS[:begin]]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have all processes agree on the order again."""
    of_file = {one: at for at, folder in enumerate(FOLDERS) for one in folder.rglob("test_*.py")}
    items.sort(key=lambda item: of_file.get(item.path, -1))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Schemathesis takes seven seconds to load, in each process, and all of its tests are slow."""
    slow = collection_path.name == "test_schemathesis.py"
    return True if slow and config.option.markexpr == "not slow" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the time went: seconds of each folder, all processes together."""
    seconds, tests = Counter[str](), Counter[str]()
    for report in (one for reports in terminalreporter.stats.values() for one in reports):
        if isinstance(report, pytest.TestReport):
            folder = report.nodeid.partition("::")[0].rpartition("/")[0]
            seconds[folder] += report.duration
            tests[folder] += report.when == "call"
    if not seconds:
        return
    terminalreporter.section("seconds of each folder, all processes together")
    for folder, spent in seconds.most_common():
        terminalreporter.write_line(f"{spent:8.1f} s {tests[folder]:6} tests  {folder}")
