"""A register that follows another while both are killed: it goes on exactly where it was."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from egide.domain.model import State
from register_load import until
from store_samples import picture
from sync_samples import Pair

pytestmark = pytest.mark.slow

COUNT = 5_000
log = logging.getLogger(__name__)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as running:
        yield Pair(tmp_path, running)


def test_killed_registers_go_on_exactly_where_they_were(pair: Pair) -> None:
    def known() -> int:
        return pair.here.upstreams.get("helpline").position.after

    pair.remote.entries.register("ncii", map(picture, range(COUNT)))
    remote = pair.serve("remote")
    port = int(remote.address.rpartition(":")[2])
    pair.add(remote.address)
    follower = pair.serve("here")

    until(lambda: known() > 0, "the first page")
    remote.end(signal.SIGKILL)
    until(lambda: pair.here.upstreams.get("helpline").failures > 0, "the failure to be noted")
    first = known()
    assert 0 < first < COUNT
    # One that has arrived before, one that has not.
    pair.remote.entries.withdraw("ncii", [1, COUNT])
    pair.serve("remote", port)

    until(lambda: known() > first, "a further page")
    follower.end(signal.SIGKILL)
    assert known() < COUNT
    follower = pair.serve("here")
    waited_s = until(lambda: known() == COUNT, "all of it")
    held = pair.held()
    assert held[0].state is State.WITHDRAWN
    assert held[0].sha256 is None
    assert [entry.sha256 for entry in held[1:]] == [picture(n).sha256 for n in range(1, COUNT - 1)]
    assert {entry.state for entry in held[1:]} == {State.ACTIVE}
    log.info("the restarted process had followed to the end after %.1f s", waited_s)

    pair.remote.entries.withdraw("ncii", [2])
    arrived_s = until(lambda: pair.held()[1].state is State.WITHDRAWN, "a withdrawal")
    assert arrived_s < 10, f"a withdrawal took {arrived_s:.1f} s to arrive"
    log.info("a withdrawal arrived after %.1f s", arrived_s)
    pair.here.log.verify()
    assert follower.end() == 0
