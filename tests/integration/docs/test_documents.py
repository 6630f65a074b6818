"""The commands and programs of the documents run, page by page, in a folder of their own."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from blocks import SHELL, Block, blocks, documents
from document_shell import forked_commands, run
from pictures import encoded, pictures, write_tar

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {*SHELL, "python"}


def to_type(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.kind in RUN and not block.not_run]


# A mistyped command or option of any page is found without running it, see docs/check.py.
FIRST = ("README.md",)
PAGES = {str(page.relative_to(Path(__file__).parents[3])): page for page in documents()}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages name: 12 photos, a list of 10 hashes, a log, and a dataset with copies."""
    folder = tmp_path_factory.mktemp("examples")
    drawn = [image.reduce(2) for image in pictures(12)]
    (folder / "photos").mkdir()
    (folder / "dataset").mkdir()
    for number, image in enumerate(drawn):
        (folder / "photos" / f"{number:02}.jpg").write_bytes(encoded(image))
    for number, image in enumerate(drawn[:3]):
        (folder / "dataset" / f"{number}.png").write_bytes(encoded(image, "PNG"))
    (folder / "photo.jpg").write_bytes(encoded(drawn[0]))
    (folder / "suspicious.png").write_bytes(encoded(drawn[1], "PNG"))
    for number in range(10):
        write_tar(folder / f"shard-{number:03}.tar", {"0.webp": encoded(drawn[number], "WEBP")})
    rows = [{"bytes": encoded(drawn[5], "PNG"), "path": "5.png"}]
    pq.write_table(pa.table({"image": rows}), folder / "train.parquet")
    hashes = "".join(f"{bytes(range(n, n + 16)).hex()},x{n}.jpg\n" for n in range(10))
    (folder / "hashes.csv").write_text(f"md5,file\n{hashes}")
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    if missing := [
        name for name in ("curl", "jq", "openssl", "shred") if shutil.which(name) is None
    ]:
        reason = f"no {' and no '.join(missing)}: the pages' commands were not run"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with forked_commands(tmp_path_factory.mktemp("programs")) as folder:
        yield folder


@pytest.mark.parametrize(
    "name",
    [
        name if name in FIRST else pytest.param(name, marks=pytest.mark.slow)
        for name, page in PAGES.items()
        if to_type(page)
    ],
)
def test_what_a_page_says_to_type_works(
    name: str, examples: Path, programs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "page"
    shutil.copytree(examples, folder)
    script = ""
    for block in to_type(PAGES[name]):
        if block.kind == "python":
            typed = f"python -c {shlex.quote(block.text)}\n"
        else:
            typed = block.commands
        script += f"echo '== {block}' >&2\n{block.given}\n{typed}\n"
    done = run(folder, script, programs)
    assert done.returncode == 0, (done.stdout[-3000:], done.stderr[-3000:])
