"""Large blocks of memory go back to the system when they are freed."""

import os
import platform
import subprocess
import sys

import pytest

_SCRIPT = """
import sys
import numpy as np
from egide.server.running import return_large_blocks

def own_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

if sys.argv[1] == "told":
    return_large_blocks()
np.ones(30_000_000, np.uint8)
before = own_kib()
large, small = [], []
for _ in range(40):
    large.append(np.ones(1_000_000, np.uint8))
    small.append(np.ones(100_000, np.uint8))
del large
print(own_kib() - before)
"""


def _left_kib(told: str) -> int:
    environment = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
    command = [sys.executable, "-c", _SCRIPT, told]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc",
    reason="not the GNU C library: its allocator was not told anything",
)
def test_large_blocks_leave_no_holes_between_small_ones() -> None:
    assert _left_kib("untold") > 20_000
    assert _left_kib("told") < 10_000
