"""Run every benchmark, one after the other, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Pass the arguments on, such as --quick."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    names = ("hashing", "search", "audit", "metadata", "again", "cluster", "purge")
    for name in names:
        print(f"\n=== {name} ===", flush=True)
        command = [sys.executable, str(HERE / f"{name}.py"), *sys.argv[1:]]
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
