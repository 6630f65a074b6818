"""The examples of README.md and docs/reference/python.md, run in order in a fresh folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What does not run here: other programs, servers, and what only shows a shape.
OTHER_PROGRAMS = {"make", "pip", "curl", "xdg-open"}
FINDS = re.compile(r"egide (audit|match) ")


def blocks(document: str) -> Iterator[tuple[str, str]]:
    yield from BLOCK.findall((ROOT / document).read_text("utf-8"))


def is_run(line: str) -> bool:
    """Whether a line of a shell's block is one of our commands, whole, and ends by itself."""
    word = line.split(maxsplit=1)[0]
    if word in OTHER_PROGRAMS or line.startswith("{") or "…" in line or "egide serve" in line:
        return False
    assert word == "egide", f"neither one of our commands nor known to be another's: {line}"
    return True


def run(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("EGIDE_")}
    paths = f"{Path(sys.executable).parent}{os.pathsep}{clean['PATH']}"
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}
    return subprocess.run(
        command, cwd=folder, env={**clean, **home, "PATH": paths},
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the examples name: 12 photos, a list of 10 hashes, and a dataset with copies."""
    drawn = [image.reduce(2) for image in pictures(12)]
    (tmp_path / "photos").mkdir()
    (tmp_path / "dataset").mkdir()
    for number, image in enumerate(drawn):
        (tmp_path / "photos" / f"{number:02}.jpg").write_bytes(encoded(image))
    for number, image in enumerate(drawn[:3]):
        (tmp_path / "dataset" / f"{number}.png").write_bytes(encoded(image, "PNG"))
    (tmp_path / "photo.jpg").write_bytes(encoded(drawn[0]))
    (tmp_path / "suspicious.png").write_bytes(encoded(drawn[1], "PNG"))
    for number in range(10):
        write_tar(tmp_path / f"shard-{number:03}.tar", {"0.webp": encoded(drawn[number], "WEBP")})
    rows = [{"bytes": encoded(drawn[5], "PNG"), "path": "5.png"}]
    pq.write_table(pa.table({"image": rows}), tmp_path / "train.parquet")
    hashes = "".join(f"{bytes(range(n, n + 16)).hex()},x{n}.jpg\n" for n in range(10))
    (tmp_path / "hashes.csv").write_text(f"md5,file\n{hashes}")
    return tmp_path


def test_the_readme_runs_in_order(folder: Path) -> None:
    ran = []
    for kind, text in blocks("README.md"):
        if kind == "python":
            done = run(folder, [sys.executable, "-c", text])
            assert done.returncode == 0, (text, done.stderr)
            ran.append("python")
            continue
        assert kind == ""
        lines = [line.partition("  #")[0].strip() for line in text.splitlines()]
        for line in filter(None, lines):
            if is_run(line):
                done = run(folder, ["bash", "-c", line])
                expected = 1 if FINDS.match(line) else 0
                assert done.returncode == expected, (line, done.stdout, done.stderr)
                ran.append(line)
    assert len(ran) >= 12
    assert {line.split()[1] for line in ran if line != "python"} >= {
        "audit", "match", "bank", "key", "staff",
    }  # fmt: skip


def test_the_page_on_python_runs(folder: Path) -> None:
    (text,) = [text for kind, text in blocks("docs/reference/python.md") if kind == "python"]
    done = run(folder, [sys.executable, "-W", "error", "-c", text])
    assert done.returncode == 0, done.stderr
    assert "of" in done.stdout.splitlines()[-1]
    assert (folder / "audit-3" / "report.html").exists()  # beside what README.md left
