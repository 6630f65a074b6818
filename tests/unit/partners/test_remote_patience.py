"""How an audit bears with a register: it tries again, waits, asks for less, and ends in time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from egide.domain.model import BankKind, Fingerprint, Match, Signal, Transform, Trust
from egide.errors import (
    FetchError,
    FetchRefused,
    FetchTooLarge,
    MatcherBusy,
    MatcherError,
    MatcherInvalid,
    MatcherUnreachable,
)
from egide.partners.client import partner_policy
from egide.partners.matcher import (
    MatcherAnswer,
    MatcherAsksToWaitError,
    MatcherBank,
    MatcherClient,
    MatcherScope,
)
from egide.partners.matching import RemoteMatcher
from egide.partners.packed import HEADER_BYTES, Shape
from egide.settings import MatcherPatience

RECORDS = 4
WANTED = b"w" * 32
SCOPE = MatcherScope(
    store_id="s", revision=3, revision_at=datetime(2026, 11, 22, tzinfo=UTC),
    banks=(MatcherBank("helpline", BankKind.POSITIVE, 31, 1, 0),), disabled=(),
    signals=frozenset({Signal.SHA256}), keypoints=False, max_records=RECORDS,
    max_anchored_records=1, per_second=10**9, per_day=10**9,
)  # fmt: skip
MATCH = Match(1, "helpline", Signal.SHA256, 0, Transform.IDENTITY, Trust.CONFIRMED, 0, 3)
PRINTS = [Fingerprint((), sha256=bytes([each]) * 32) for each in range(2 * RECORDS - 1)]


class Scripted(MatcherClient):
    """A register that fails as told, then finds what is wanted."""

    def __init__(self, *fails: Exception) -> None:
        url = "https://register.example"
        super().__init__(url, "key", partner_policy(url))
        self.fails = list(fails)
        self.bodies = 0
        self.stale = 0

    def scope(self) -> MatcherScope:
        return SCOPE

    def match(self, shape: Shape, body: bytes, count: int, _scope: object) -> MatcherAnswer:
        self.bodies += 1
        size = shape.record_bytes
        records = [body[at : at + size] for at in range(HEADER_BYTES, len(body), size)]
        assert len(records) == count == RECORDS
        if self.fails:
            raise self.fails.pop(0)
        self.stale -= 1
        matches = [[MATCH] if WANTED in record else [] for record in records]
        return MatcherAnswer(2 + self.bodies, self.stale > 0, matches)


def asked(
    client: MatcherClient, prints: list[Fingerprint], **patience: float
) -> tuple[list[list[Match]], list[float], RemoteMatcher]:
    waits: list[float] = []
    remote = RemoteMatcher(
        client, MatcherPatience(**patience), lambda wait_s, _reason: waits.append(wait_s)
    )  # type: ignore[arg-type]
    found = [matches for _, group in remote.answers([("all", prints)]) for matches in group]
    return found, waits, remote


def test_what_fails_is_sent_again() -> None:
    client = Scripted(FetchError(reason="x"), MatcherAsksToWaitError("status 503", None))

    found, waits, remote = asked(client, [*PRINTS[:3], Fingerprint((), sha256=WANTED), *PRINTS])

    assert [len(each) for each in found] == [0] * 3 + [1] + [0] * 7
    assert len(waits) == 2
    assert waits[0] < waits[1] * 2
    assert remote.revisions == (5, 7)


def test_a_register_may_say_how_long_to_wait() -> None:
    client = Scripted(*[MatcherAsksToWaitError("rate-limited", 50.0)] * 9)

    assert asked(client, PRINTS[:1])[1] == [50.0] * 9
    with pytest.raises(MatcherBusy, match=r"50 s \(rate-limited\)"):
        asked(Scripted(*[MatcherAsksToWaitError("rate-limited", 50.0)] * 9), PRINTS, max_wait_s=99)


def test_a_register_that_stays_away_ends_the_audit() -> None:
    with pytest.raises(MatcherUnreachable, match="in 3 tries: gone"):
        asked(Scripted(*[FetchError(reason="gone")] * 3), PRINTS, tries=3)


def test_a_stale_register_is_asked_again() -> None:
    client = Scripted()
    client.stale = 3

    assert len(asked(client, PRINTS[:1])[1]) == 2


def test_an_address_that_may_not_be_reached_is_not_tried_again() -> None:
    with pytest.raises(MatcherError, match="not public"):
        asked(Scripted(FetchRefused(reason="it is not public")), PRINTS)


def test_too_many_matches_are_asked_for_in_parts_of_the_same_size() -> None:
    client = Scripted(FetchTooLarge(limit=9), FetchTooLarge(limit=9))
    found, _, _ = asked(client, [*PRINTS[:3], Fingerprint((), sha256=WANTED)])

    assert [len(each) for each in found] == [0, 0, 0, 1]
    assert client.bodies == 5
    with pytest.raises(MatcherInvalid, match="too large"):
        asked(Scripted(*[FetchTooLarge(limit=9)] * 9), PRINTS)


def test_a_match_of_a_decoy_is_a_lie() -> None:
    class Liar(Scripted):
        def match(self, _shape: Shape, _body: bytes, count: int, _scope: object) -> MatcherAnswer:
            return MatcherAnswer(3, False, [[MATCH]] * count)

    assert asked(Liar(), PRINTS[:RECORDS])[0] == [[MATCH]] * RECORDS
    with pytest.raises(MatcherInvalid, match="decoy"):
        asked(Liar(), PRINTS[: RECORDS - 1])
