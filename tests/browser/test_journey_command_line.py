"""What is registered on the pages is found by the command line; what is taken back is not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageOps
from urllib3 import request

from commands import egide_in
from egide.domain.access import Role
from page_steps import WAIT_MS, register
from pages_site import pages_site
from pictures import encoded, pictures

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from egide.server.service import Service

REGISTERED = 2


def run(service: Service, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run a command on the store that is served; return its status and the JSON that it prints."""
    store = service.settings.store
    done = egide_in(Path.cwd(), *arguments, "--store", store, "--json")
    assert done.code in {0, 1, 3}, done.err
    return done.code, done.lines()


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


def decisions(address: str, key: str, dataset: Path) -> dict[str, str]:
    """What a platform is told to do with each picture."""
    told = {}
    for path in sorted(dataset.iterdir()):
        answer = request(
            "POST",
            f"{address}/v1/match",
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
    with pages_site(tmp_path) as (address, service):
        _, key = service.store.keys.create("uploads", Role.MATCHER, "uploads")
        context = browser.new_context()
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        register(page, address, files)

        status, queries = run(service, "match", dataset)
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
            service, "audit", dataset, "--out", tmp_path / "before", "--workers", "1"
        )
        assert status == 1
        assert summary["items"] == len(names)
        assert summary["matched_items"] == summary["matches"] == REGISTERED

        # Nobody has looked at the case: none of it may block by itself.
        told = decisions(address, key, dataset)
        assert told == {name: "review" if name in copies else "allow" for name in names}

        page.goto(f"{address}/en/case/withdraw")
        page.click("main form button")
        page.wait_for_selector("main .notice.done")
        context.close()

        status, queries = run(service, "match", dataset)
        assert status == 3
        assert [query["error"]["code"] for query in queries] == ["nothing-to-compare"]
        status, [summary] = run(
            service, "audit", dataset, "--out", tmp_path / "after", "--workers", "1"
        )
        assert (status, summary["not_compared"]) == (3, "bank-empty")
        assert summary["hashed"] == len(names)
        assert summary["matches"] == 0
        assert set(decisions(address, key, dataset).values()) == {"allow"}
