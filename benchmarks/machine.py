"""What every benchmark states: the machine, the versions, the corpus."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


def machine_line() -> str:
    """Return processor, cores and versions in one line."""
    names = [f"{name} {version(name)}" for name in ("egide", "numpy", "pillow")]
    cores = len(os.sched_getaffinity(0))
    return f"{processor()}, {cores} cores, Python {platform.python_version()}, {', '.join(names)}"


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def corpus_photos() -> list[Path]:
    """Return the JPEG photos of the corpus of about 0.2 megapixels."""
    photos = sorted((CORPUS / "photos").glob("*.jpg"))
    if not photos:
        raise SystemExit("benchmarks/audit.py needs the shared test pictures beside the project")
    return photos
