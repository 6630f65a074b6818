"""What is registered on the pages is found by the command line; what is taken back is not."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageOps
from urllib3 import request

from page_steps import WAIT_MS, register
from pictures import encoded, pictures
from served_pages import serving_pages

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from served_pages import ServedPages

REGISTERED = 3


def run(served: ServedPages, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """Run a command on the store that is served; return its status and the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "egide.cli.main", *arguments, "--store", served.store_url, "--json"],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode in {0, 1, 3}, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def edited(content: bytes) -> bytes:
    """A copy as it goes around: smaller, mirrored, and saved as a JPEG of quality 60."""
    with Image.open(io.BytesIO(content)) as picture:
        smaller = picture.resize((picture.width * 3 // 4, picture.height * 3 // 4))
    return encoded(ImageOps.mirror(smaller), "JPEG", quality=60)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Edited copies of what is registered, and as many pictures that are not."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    for number, picture in enumerate(pictures(2 * REGISTERED)):
        name = f"copy-{number}.jpg" if number < REGISTERED else f"other-{number}.jpg"
        (folder / name).write_bytes(edited(encoded(picture)))
    return folder


def decisions(served: ServedPages, dataset: Path) -> dict[str, str]:
    """What a platform is told to do with each picture."""
    key = next(
        said["first_key"]
        for said in map(json.loads, served.said().splitlines())
        if "first_key" in said
    )
    told = {}
    for path in sorted(dataset.iterdir()):
        answer = request(
            "POST",
            f"{served.address}/v1/match",
            headers={"Authorization": f"Bearer {key}"},
            fields={"file": ("file", path.read_bytes())},
            timeout=60,
        )
        assert answer.status == 200
        told[path.name] = answer.json()["decision"]["action"]
    return told


def test_edited_copies_are_found_for_review_until_they_are_taken_back(
    browser: Browser, tmp_path: Path, dataset: Path
) -> None:
    files = [tmp_path / f"{number}.jpg" for number in range(REGISTERED)]
    for path, picture in zip(files, pictures(REGISTERED), strict=True):
        path.write_bytes(encoded(picture))
    copies = {f"copy-{number}.jpg" for number in range(REGISTERED)}
    names = {path.name for path in dataset.iterdir()}
    with serving_pages(tmp_path) as served:
        context = browser.new_context()
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        register(page, served.address, files)

        status, queries = run(served, "match", str(dataset))
        assert status == 1
        found = {query["query"].rpartition("/")[2]: query["matches"] for query in queries}
        assert {name for name, matches in found.items() if matches} == copies
        assert {len(found[name]) for name in copies} == {1}
        for name in copies:
            [match] = found[name]
            assert match["bank"] == "helpline"
            assert match["trust"] == "unverified"
            assert match["transform"] == "flip-horizontal"

        status, [summary] = run(
            served, "audit", str(dataset), "--out", str(tmp_path / "before"), "--workers", "1"
        )
        assert status == 1
        assert summary["items"] == len(names)
        assert summary["matched_items"] == summary["matches"] == REGISTERED

        # Nobody has looked at the case: none of it may block by itself.
        told = decisions(served, dataset)
        assert told == {name: "review" if name in copies else "allow" for name in names}

        page.goto(f"{served.address}/en/case/withdraw")
        page.click("main form button")
        page.wait_for_selector("main .notice.done")
        context.close()

        status, queries = run(served, "match", str(dataset))
        assert status == 3
        assert [query["error"]["code"] for query in queries] == ["nothing-to-compare"]
        status, [summary] = run(
            served, "audit", str(dataset), "--out", str(tmp_path / "after"), "--workers", "1"
        )
        assert (status, summary["not_compared"]) == (3, "bank-empty")
        assert summary["hashed"] == len(names)
        assert summary["matches"] == 0
        assert set(decisions(served, dataset).values()) == {"allow"}
