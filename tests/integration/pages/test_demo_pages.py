"""`make demo-pages` shows a stranger the pages, and ends when they have seen enough."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PATIENCE_S = 60.0


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {name: value for name, value in os.environ.items() if name[:6] != "EGIDE_"}
    running = subprocess.Popen(
        [sys.executable, ROOT / "demo" / "pages.py"],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        running.communicate(timeout=PATIENCE_S)


def test_demo_of_the_pages_serves_until_it_is_interrupted(demo: subprocess.Popen[str]) -> None:
    assert demo.stdin is not None
    assert demo.stdout is not None
    address = ""
    for line in demo.stdout:
        found = re.search(r"helpline:\s+(http://localhost:\d+)/$", line)
        address = found[1] if found else address
        if "Ctrl-C" in line:
            break
    for lang in ("en", "fr"):
        with urllib.request.urlopen(f"{address}/{lang}/", timeout=PATIENCE_S) as page:
            assert "Helpline Willow" in page.read().decode()
    demo.stdin.write("\n")
    demo.stdin.flush()
    assert any(re.search(r"Code .*: \d{6}$", line) for line in iter(demo.stdout.readline, ""))
    demo.send_signal(signal.SIGINT)
    rest, _ = demo.communicate(timeout=PATIENCE_S)
    assert "The pages are closed." in rest
    assert demo.returncode == 0
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/en/", timeout=PATIENCE_S)
