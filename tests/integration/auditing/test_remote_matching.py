"""A register that keeps its bank answers an audit as its own store would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from egide.domain.access import Role
from egide.domain.model import (
    AnchoredHashes,
    BankKind,
    Fingerprint,
    Match,
    Pdq,
    Rectangle,
    Region,
    Registration,
    Signal,
)
from egide.errors import MatcherBusy, MatcherChanged, MatcherError, MatcherInvalid, MatcherRefused
from egide.live.snapshots import open_snapshot
from egide.matching import Matcher
from egide.partners.client import partner_policy
from egide.partners.matcher import MatcherClient
from egide.partners.matching import RemoteMatcher
from egide.partners.packed import HEADER_BYTES, Shape
from egide.server.api import packed
from egide.store.changing import ChangingStore
from erased import Sought
from search_data import moved, region_codes, shown
from server_samples import Served, at_address, bearer, serve

RECORDS = 16
REGIONS = region_codes(400)
KEPT = 60


def code(number: int) -> bytes:
    return np.random.default_rng([7, number]).bytes(32)


def near(number: int, bits: int, seed: int) -> bytes:
    """A code within so many bits of an entry's."""
    rng = np.random.default_rng([seed, number, bits])
    flipped = np.unpackbits(np.frombuffer(code(number), np.uint8))
    flipped[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(flipped).tobytes()


def variants(number: int, bits: int, place: int, seed: int) -> Pdq:
    """The PDQ of a picture that is an entry's, transformed."""
    others = [code(10**6 + 8 * seed + each) for each in range(8)]
    others[place] = near(number, bits, seed)
    return Pdq(others[0], 80, b"".join(others))


def fingerprints() -> list[Fingerprint]:
    """All that a fingerprint may have, in every mixture; most match something."""
    rng = np.random.default_rng(3)
    made = []
    for seed in range(90):
        number, bits = int(rng.integers(40)), int(rng.integers(0, 34))
        frames = [variants(number, bits, int(rng.integers(8)), seed)]
        if seed % 5 == 0:
            frames.append(variants(number, max(bits - 3, 0), int(rng.integers(8)), seed + 500))
        if seed % 11 == 0:
            frames[0] = Pdq(frames[0].code, 20, frames[0].variants)
        if seed % 7 == 0:
            frames = [Pdq(near(number, bits, seed), None)]
        regions = [
            Region(0, Rectangle(each, 2, 30 + seed, 40), variants(
                int(rng.integers(40)), int(rng.integers(28, 34)), each, seed + 1000 + each
            ), trimmed=False)
            for each in range(seed % 3)
        ]  # fmt: skip
        kept = REGIONS[(number % 4) * KEPT :][:KEPT]
        anchored = [moved(kept[3], 30), moved(kept[8], 34), *REGIONS[300:310]]
        made.append(
            Fingerprint(
                tuple(frames) if seed % 9 else (),
                sha256=code(100 + number) if seed % 4 == 0 else code(5000 + seed),
                sha1=code(200 + number)[:20] if seed % 6 == 0 else None,
                md5=code(300 + number)[:16] if seed % 8 == 3 else None,
                width=640,
                height=480,
                regions=tuple(regions) if seed % 9 else (),
                anchored=shown(*anchored) if seed % 3 == 0 else None,
                url_sha256=(code(400 + number), code(6000 + seed)) if seed % 9 == 0 else (),
                url_md5=(code(7000 + seed)[:16],) if seed % 12 == 0 else (),
            )
        )
    return [*made, Fingerprint(())]


def register(store: ChangingStore) -> None:
    store.banks.create("helpline")
    store.banks.create("near", radius_bits=20)
    store.banks.create("harmless", kind=BankKind.NEGATIVE)
    store.banks.create("off")
    for bank, numbers in (("helpline", range(30)), ("near", range(20, 40)), ("off", range(5))):
        store.entries.register(
            bank,
            [
                Registration(
                    (code(each),),
                    sha256=code(100 + each),
                    sha1=code(200 + each)[:20],
                    md5=code(300 + each)[:16] if each % 2 else None,
                    url_sha256=code(400 + each),
                    anchored=AnchoredHashes.of(REGIONS[each * KEPT : (each + 1) * KEPT])
                    if each < 4
                    else None,
                )
                for each in numbers
            ],
        )
    store.entries.register("harmless", [Registration((code(each),)) for each in (2, 25)])
    store.entries.confirm("helpline", [1, 2, 3])
    store.banks.update("off", enabled=False)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served"), max_batch=RECORDS) as running:
        register(ChangingStore.of(running.service.store))
        running.wait_for(running.service.store.revision())
        yield running


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    with at_address(served) as address:
        yield address


class Line(MatcherClient):
    """A client whose bodies are seen on their way."""

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.sent: list[bytes] = []

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        self.sent += [] if body is None else [body]
        return super()._ask(method, path, body)


def line(address: str, token: str, *banks: str) -> Line:
    return Line(address, token, partner_policy(address), banks or None)


def matched(remote: RemoteMatcher, prints: list[Fingerprint], each: int = 7) -> list[list[Match]]:
    groups = [(at, prints[at : at + each]) for at in range(0, len(prints), each)]
    answers = list(remote.answers(groups))
    assert [tag for tag, _ in answers] == [tag for tag, _ in groups]
    return [matches for _, group in answers for matches in group]


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.key(Role.MATCHER)[1]


@pytest.mark.parametrize("banks", [(), ("near", "off"), ("harmless", "helpline")])
def test_register_finds_what_its_store_finds(
    served: Served, address: str, token: str, banks: tuple[str, ...]
) -> None:
    prints = fingerprints()
    with open_snapshot(served.service.store) as snapshot:
        local = Matcher(snapshot, banks=banks or None).match(prints)
    remote = RemoteMatcher(line(address, token, *banks))

    found = matched(remote, prints)
    remote.confirm()

    assert [[replace(match, revision=0) for match in each] for each in found] == [
        [replace(match, revision=0) for match in each] for each in local
    ]
    assert remote.revisions == (served.service.store.revision(),) * 2
    assert sum(map(bool, found)) > 20
    if not banks:
        signals = {match.signal for each in found for match in each}
        assert signals == {*Signal} - {Signal.KEYPOINTS, Signal.URL_MD5}


def test_more_matches_than_an_answer_may_have_are_asked_for_in_parts(
    served: Served, address: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints = [Fingerprint((Pdq(code(25), None),)) for _ in range(8)]
    remote = RemoteMatcher(line(address, token))
    whole = matched(remote, prints)
    monkeypatch.setattr(packed, "MAX_ANSWERED", 2 * len(whole[0]))

    assert whole[0]
    assert matched(remote, prints) == whole
    monkeypatch.setattr(packed, "MAX_ANSWERED", len(whole[0]) - 1)
    with pytest.raises(MatcherInvalid, match="too large"):
        matched(remote, prints)


def test_wire_tells_neither_how_many_nor_which(address: str, token: str) -> None:
    prints = [one for one in fingerprints() if one.sha256 and one.frames]
    orders = []
    for count in (3, 12, 12):
        sender = line(address, token)
        matched(RemoteMatcher(sender), prints[:count])

        bodies: dict[Shape, list[bytes]] = {shape: [] for shape in Shape}
        for body in sender.sent:
            shape = Shape(body[8])
            bodies[shape].append(body)
            assert len(body) == HEADER_BYTES + RECORDS * shape.record_bytes
        every = b"".join(sender.sent)
        codes = [one.frames[0].variants for one in prints[:count] if one.frames[0].matchable]
        orders.append([every.index(each) for each in codes if each])
        assert not any(digest in every for one in prints for digest in one.url_md5)  # none is held
    assert [*map(len, orders)] == [len(orders[0]), len(orders[1]), len(orders[1])]
    assert orders[1] != sorted(orders[1])
    assert orders[1] != orders[2]


def test_register_keeps_nothing_of_what_was_asked(served: Served, address: str, token: str) -> None:
    asked = [variants(each, 5, 3, 9000 + each) for each in range(RECORDS)]
    digests = [code(8000 + each) for each in range(RECORDS)]
    prints = [
        Fingerprint((pdq,), sha256=digest, anchored=shown(*REGIONS[330:350]))
        for pdq, digest in zip(asked, digests, strict=True)
    ]
    known = served.service.store.log.verify().records

    found = matched(RemoteMatcher(line(address, token)), prints)
    served.service.allowances.flush()
    served.service.events.flush()

    assert all(found)
    store = served.service.store
    sent = [pdq.variants[at : at + 32] for pdq in asked for at in range(0, 256, 32)]
    folder = Path(str(store.url).removeprefix("sqlite:///")).parent
    assert Sought((*sent, *digests, *REGIONS[330:350])).held_by(folder) == []
    assert store.log.verify().records == known
    text = served.client.get("/metrics").text
    assert not [one for one in (*sent, *digests) if one.hex() in text]


def test_quota_ends_an_audit_and_what_was_answered_stands(served: Served, address: str) -> None:
    _, few = served.key(Role.MATCHER, "few", per_day=RECORDS + 1)
    remote = RemoteMatcher(line(address, few))
    prints = [Fingerprint((variants(each, 5, 0, each),)) for each in range(2 * RECORDS)]
    answers = remote.answers((at, [one]) for at, one in enumerate(prints))
    answered = [tag for tag, _ in islice(answers, RECORDS)]

    with pytest.raises(MatcherBusy, match="quota-exceeded"):
        next(answers)

    assert answered == [*range(RECORDS)]


def test_rate_is_kept_to_without_being_refused(served: Served, address: str) -> None:
    _, slow = served.key(Role.MATCHER, "slow", per_second=2 * RECORDS)
    waits: list[str] = []

    def wait(wait_s: float, reason: str) -> None:
        waits.append(reason)
        time.sleep(wait_s)

    remote = RemoteMatcher(line(address, slow), on_wait=wait)
    matched(remote, [Fingerprint((variants(1, 5, 0, each),)) for each in range(4 * RECORDS)])

    assert set(waits) <= {"its key's rate"}


def test_key_that_is_refused_or_reaches_no_such_bank_ends_an_audit(
    served: Served, address: str
) -> None:
    with pytest.raises(MatcherRefused):
        RemoteMatcher(line(address, "egide_" + "a" * 12 + "_" + "A" * 43))
    with pytest.raises(MatcherError, match="no bank of that name"):
        RemoteMatcher(
            line(address, served.key(Role.MATCHER, "near", banks=["near"])[1], "helpline")
        )
    with pytest.raises(MatcherError, match="takes no audits"):
        RemoteMatcher(line(f"{address}/elsewhere", "x"))


def test_other_banks_at_the_end_are_noticed(served: Served, address: str, token: str) -> None:
    remote = RemoteMatcher(line(address, token))
    store = ChangingStore.of(served.service.store)
    store.banks.update("near", enabled=False)
    served.wait_for(store.revision())
    try:
        with pytest.raises(MatcherChanged, match="other banks"):
            remote.confirm()
        with pytest.raises(MatcherInvalid, match="banks: others than at the beginning"):
            matched(remote, fingerprints()[:1])
    finally:
        store.banks.update("near", enabled=True)
        served.wait_for(store.revision())


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (b"", "request-invalid", "packed fingerprints"),
        (b"EGIDEFP\x02" + bytes(8 + 116), "request-invalid", "packed fingerprints"),
        (b"EGIDEFP\x01\x05" + bytes(7 + 276), "request-invalid", "shape"),
        (b"EGIDEFP\x01" + bytes(7) + b"\x01" + bytes(116), "request-invalid", "zeros"),
        (b"EGIDEFP\x01\x00\x01" + bytes(6 + 116), "request-invalid", "another version"),
        (b"EGIDEFP\x01" + bytes(8), "request-invalid", "records of 116"),
        (b"EGIDEFP\x01" + bytes(8 + 117), "request-invalid", "records of 116"),
        (b"EGIDEFP\x01" + bytes(8 + 116 * 17), "batch-too-large", "17"),
        (b"EGIDEFP\x01\xff\x01" + bytes(6 + 16832), "request-invalid", "1 to 510 codes"),
        (
            b"EGIDEFP\x01\xff\x01" + bytes(6) + b"\x01\x00" + bytes(16830),
            "request-invalid",
            "no hash of a region",
        ),
        (
            b"EGIDEFP\x01\xff\x01" + bytes(6) + b"\x01\x00\x00\x01" + bytes(16828),
            "request-invalid",
            "goes on after",
        ),
        (
            b"EGIDEFP\x01\xff\x01" + bytes(6) + b"\xff\xff" + bytes(16830),
            "request-invalid",
            "1 to 510 codes",
        ),
    ],
)
def test_what_is_no_packed_body_is_refused(
    served: Served, token: str, body: bytes, code: str, place: str
) -> None:
    headers = bearer(token) | {"Content-Type": "application/octet-stream"}
    answer = served.client.post("/v1/match/packed", headers=headers, content=body)

    assert answer.json()["code"] == code
    assert place in answer.json()["detail"]


def test_another_content_type_is_refused(served: Served, token: str) -> None:
    answer = served.client.post("/v1/match/packed", headers=bearer(token), json={})

    assert answer.json()["code"] == "request-invalid"
