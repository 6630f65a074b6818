"""Two registers, each served by a process of its own, and one follows the other."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from egide.domain.model import FeedbackKind, State
from egide.partners.client import MAX_PAGE
from store_samples import anchored, picture
from sync_samples import DEADLINE_S, Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as running:
        yield Pair(tmp_path, running)


def wait_until(done: Callable[[], bool], what: str) -> float:
    """Wait; return how long it took, in seconds."""
    began = time.monotonic()
    while not done():
        assert time.monotonic() - began < DEADLINE_S, what
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_withdrawal_travels_and_feedback_comes_back(pair: Pair) -> None:
    pair.remote.entries.register("ncii", map(picture, range(3)))
    remote = pair.serve("remote")
    pair.add(remote.address)
    here = pair.serve("here")
    wait_until(lambda: len(pair.held()) == 3, "entries arrive")
    assert pair.here.anchored.of([1, 2, 3]) == {each + 1: anchored(each) for each in range(3)}

    first = picture(0)
    assert first.sha256 is not None
    asked = json.dumps({"fingerprints": [{"sha256": first.sha256.hex()}]}).encode()

    def matches() -> bool:
        answer = here.ask(
            "POST",
            "/v1/match/fingerprints",
            body=asked,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status == 200, answer.data
        return b'"entry"' in answer.data

    wait_until(matches, "the entry matches")

    at = datetime(2026, 11, 2, 8, 30, tzinfo=UTC)
    pair.here.feedback.add_all("partners", [(1, FeedbackKind.REMOVED, at)], partner="a platform")
    wait_until(lambda: bool(pair.remote.feedback.of_entry("ncii", 1)), "feedback arrives")
    (said,) = pair.remote.feedback.of_entry("ncii", 1)
    assert (said.partner, said.kind, said.at) == ("here", FeedbackKind.REMOVED, at)

    pair.remote.entries.withdraw("ncii", [1])
    wait_until(lambda: not matches(), "the withdrawal takes effect")
    assert pair.held()[0].state is State.WITHDRAWN
    assert pair.held()[0].sha256 is None
    assert set(pair.here.anchored.of([1, 2, 3])) == {2, 3}

    shown = json.loads(here.ask("GET", "/v1/upstreams").data)["upstreams"]
    assert [(one["name"], one["failures"]) for one in shown] == [("helpline", 0)]
    logs = remote.log.read_text() + here.log.read_text()
    assert pair.key_file.read_text().strip() not in logs + json.dumps(shown)
    assert here.end() == 0
    assert remote.end() == 0


@pytest.mark.slow
def test_a_killed_upstream_and_a_killed_follower_lose_nothing(pair: Pair) -> None:
    pair.remote.entries.register("ncii", map(picture, range(10_000)))
    pair.remote.entries.withdraw("ncii", list(range(1, 10_001, 100)))
    remote = pair.serve("remote")
    port = int(remote.address.rpartition(":")[2])
    pair.add(remote.address)
    follower = subprocess.Popen(
        [sys.executable, "-m", "egide.cli.main", "sync", "run", "helpline", "--json"],
        cwd=pair.folders["here"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: pair.here.upstreams.get("helpline").position.after > 0, "it begins")
    follower.kill()
    follower.wait(DEADLINE_S)
    remote.end(signal.SIGKILL)
    known = len(pair.held())
    assert known % MAX_PAGE == 0  # those withdrawn are of a later revision, so of later pages
    assert 0 < known < 9_900

    gone = pair.sync("run", "helpline")
    assert gone.code == 3
    assert gone.json()["error"]["code"] == "sync-failed"
    assert pair.here.upstreams.get("helpline").failures == 1

    pair.serve("remote", port)
    done = pair.sync("run", "helpline")
    assert done.code == 0, done.out + done.err
    assert done.json()["added"] == 9_900 - known
    assert [entry.sha256 for entry in pair.held()] == [
        picture(n).sha256 for n in range(10_000) if n % 100
    ]
    assert pair.here.upstreams.get("helpline").failures == 0


@pytest.mark.slow
def test_a_wrong_key_is_told_and_replaced_in_its_file(pair: Pair) -> None:
    pair.remote.entries.register("ncii", [picture(1)])
    remote = pair.serve("remote")
    right = pair.key_file.read_text().strip()
    pair.write_key(right[:-4] + "AAAA")
    pair.add(remote.address)

    refused = pair.sync("run", "helpline")
    assert refused.code == 3
    assert refused.json()["error"]["code"] == "upstream-refused"
    assert right[:-4] not in refused.out + refused.err
    (shown,) = pair.sync("list").json()
    assert (shown["state"], shown["last_error"]) == ("failing", "upstream-refused")

    pair.write_key(right)
    assert pair.sync("run").code == 0
    assert len(pair.held()) == 1
    pair.key_file.chmod(0o640)
    readable = pair.sync("run", "helpline")
    assert readable.json()["error"]["code"] == "upstream-key-invalid"
