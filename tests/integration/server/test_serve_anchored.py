"""A served register says which part of a picture matches, and blocks by it only where told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import ImageOps

import egide
from egide.domain.access import Role
from egide.domain.model import (
    MAX_ANCHORED_QUERY,
    AnchoredHashes,
    Fingerprint,
    Registration,
)
from egide.domain.partners import WebhookEvent
from egide.server.decisions import DecisionEvents
from egide.server.http.kinds import MAX_BATCH_ANCHORED
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from search_data import moved, region_codes, shown
from server_samples import Served, serve

CODES = region_codes(140)
KEPT = CODES[:64]
UPLOAD = encoded(pictures(1)[0])
MATCH = {
    "bank": "helpline",
    "entry": 1,
    "signal": "pdq-anchored",
    "distance": 30,
    "transform": None,
    "trust": "confirmed",
    "frame": 0,
    "rectangle": None,
    "anchored": {"met": 2, "registered": 64},
    "video": None,
}
QUERY = [moved(KEPT[5], 30), moved(KEPT[9], 46), *CODES[70:80]]


@contextmanager
def serving(folder: Path, **settings: Any) -> Iterator[Served]:
    with serve(folder, hma_enabled=True, **settings) as running:
        store = ChangingStore.of(running.service.store)
        store.banks.create("helpline")
        store.entries.register(
            "helpline", [Registration((CODES[139],), anchored=AnchoredHashes.of(KEPT))]
        )
        store.entries.confirm("helpline", [1])
        running.wait_for(running.service.store.revision())
        yield running


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def key(served: Served) -> dict[str, str]:
    return served.as_role(Role.MATCHER)


@pytest.fixture
def cropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every upload a crop of the registered picture."""
    decode = served.service.decoding.fingerprint

    def crop(*args: Any, **options: Any) -> Fingerprint:
        return replace(decode(*args, **options), anchored=shown(*QUERY))

    monkeypatch.setattr(served.service.decoding, "fingerprint", crop)


def ask(served: Served, key: dict[str, str], *fingerprints: Any) -> tuple[int, Any]:
    response = served.client.post(
        "/v1/match/fingerprints", headers=key, json={"fingerprints": fingerprints}
    )
    return response.status_code, response.json()


def test_fingerprints_are_matched_by_anchored_hashes(served: Served, key: dict[str, str]) -> None:
    codes = [code.hex() for code in QUERY]
    status, body = ask(
        served, key, {"anchored": codes}, {"pdq": CODES[138].hex(), "anchored": codes},
        {"anchored": codes[2:]}, {"pdq": CODES[138].hex()},
    )  # fmt: skip
    assert status == 200
    found = {
        "decision": {"action": "review", "reasons": ["part-match"]},
        "matches": [MATCH],
        "vetoed": [],
        "vetoed_by": [],
        "matchable": True,
    }
    nothing = found | {
        "decision": {"action": "allow", "reasons": ["no-match"]}, "matches": [],
    }  # fmt: skip
    assert body["results"] == [found, found, nothing, nothing]


@pytest.mark.parametrize(
    ("anchored", "place"),
    [
        ("f" * 64, "anchored has to be a list"),
        ([], "they are 0"),
        ([CODES[0].hex()] * (MAX_ANCHORED_QUERY + 1), "1 to 510"),
        ([CODES[0].hex(), "f" * 63], "anchored.1 has to be 64 hexadecimal digits"),
        ([None], "anchored.0 has to be 64 hexadecimal digits"),
        ([CODES[0].hex(), "f" * 64], "128 ones"),
    ],
)
def test_what_is_no_anchored_hash_is_refused(
    served: Served, key: dict[str, str], anchored: Any, place: str
) -> None:
    status, body = ask(served, key, {"md5": "0" * 32}, {"anchored": anchored})
    assert (status, body["code"]) == (422, "request-invalid")
    assert "fingerprints.1.anchored" in body["detail"]
    assert place in body["detail"]
    assert "ffff" not in body["detail"]


def test_a_batch_may_not_ask_for_endless_searches(served: Served, key: dict[str, str]) -> None:
    most = {"anchored": [CODES[100].hex()] * MAX_ANCHORED_QUERY}
    few = {"anchored": [CODES[100].hex()]}
    count = MAX_BATCH_ANCHORED // MAX_ANCHORED_QUERY
    assert ask(served, key, *[most] * count)[0] == 200
    status, body = ask(served, key, *[most] * count, few)
    assert (status, body["code"]) == (413, "batch-too-large")


@pytest.mark.usefixtures("cropped")
def test_an_upload_is_matched_by_its_parts(served: Served, key: dict[str, str]) -> None:
    files = {"file": ("a", UPLOAD)}
    answer = served.client.post("/v1/match", headers=key, files=files).json()
    assert answer["decision"] == {"action": "review", "reasons": ["part-match"]}
    assert answer["matches"] == [MATCH]
    answer = served.client.post("/v1/match/files", headers=key, files=files).json()
    assert answer["results"][0]["matches"] == [MATCH]


def test_a_platform_may_choose_to_block_by_a_part(tmp_path: Path) -> None:
    with serving(tmp_path, block_by_part=True) as chosen:
        asked = {"anchored": [code.hex() for code in QUERY]}
        _, body = ask(chosen, chosen.as_role(Role.MATCHER), asked)
    assert body["results"][0]["decision"] == {"action": "block", "reasons": ["part-match"]}


@pytest.mark.usefixtures("cropped")
def test_hma_gives_a_part_under_a_type_of_its_own(served: Served, key: dict[str, str]) -> None:
    """A client that asked for PDQs alone would take the distance for a PDQ's."""

    def look_up(**query: str) -> tuple[str, Any]:
        response = served.client.post(
            "/hma/m/lookup", headers=key, files={"photo": ("a", UPLOAD)}, params=query
        )
        return response.headers["egide-action"], response.json()

    part = {"helpline": [{"bank_content_id": 1, "distance": "30"}]}
    assert look_up() == ("review", {"pdq": {}, "pdq-anchored": part})
    assert look_up(signal_type="pdq") == ("review", {"pdq": {}})


def test_webhooks_are_told_that_it_is_a_part(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = served.service.store
    told: list[Any] = []
    wanted = frozenset({WebhookEvent.DECISION_REVIEW})
    monkeypatch.setattr(type(store.webhooks), "wanted", lambda _self: wanted)
    monkeypatch.setattr(type(store.outbox), "add", lambda _self, some: told.extend(some))
    (answer,) = egide.check(store, [Fingerprint((), anchored=shown(*QUERY))]).answers
    assert answer.decision is not None
    events = DecisionEvents(store, lambda _count: None)
    events.offer(served.key(Role.MATCHER, "uploads")[0], [answer.decision])
    events.flush()
    ((_, data),) = told
    assert data["matches"] == [
        {
            "bank": "helpline",
            "entry": 1,
            "signal": "pdq-anchored",
            "by_part": True,
            "anchored": {"met": 2, "registered": 64},
        }
    ]


def test_a_crop_of_a_registered_picture_is_found(served: Served, key: dict[str, str]) -> None:
    """From pixels to the answer; the copy is mirrored."""
    picture = pictures(8)[3].resize((960, 720))
    store = ChangingStore.of(served.service.store)
    made = served.service.decoding.fingerprint(encoded(picture, "PNG"), exact=True)
    assert made.anchored is not None
    store.banks.create("crops")
    store.entries.register(
        "crops", [Registration((CODES[138],), anchored=made.anchored.registered())]
    )
    served.wait_for(served.service.store.revision())
    crop = ImageOps.mirror(picture.crop((150, 100, 800, 600)))
    answer = served.client.post(
        "/v1/match", headers=key, files={"file": ("a", encoded(crop))}, data={"bank": "crops"}
    ).json()
    assert answer["decision"]["reasons"] == ["part-match", "unverified-match"]
    (match,) = answer["matches"]
    assert (match["bank"], match["signal"]) == ("crops", "pdq-anchored")
    assert match["anchored"]["met"] >= 3
