"""Asking a served register whether pictures match."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

import egide
from egide.domain.access import Role
from egide.domain.model import MIN_MATCHABLE_QUALITY, Registration, Trust
from egide.store.changing import ChangingStore
from pictures import encoded, pictures
from server_samples import Served, bearer, serve

PICTURES = pictures(4)
FLAT = Image.new("RGB", (64, 64), "white")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served"), decoders=2) as running:
        store = running.service.store
        for bank, picture in zip(("confirmed", "unverified", "other"), PICTURES, strict=False):
            ChangingStore.of(store).banks.create(bank)
            done = ChangingStore.of(store).entries.register(
                bank, [_registration(encoded(picture, "PNG"))], outcomes=True
            )
            if bank != "unverified":
                ChangingStore.of(store).entries.confirm(bank, [done.outcomes[0].entry])
        running.wait_for(store.revision())
        yield running


@pytest.fixture(scope="module")
def key(served: Served) -> dict[str, str]:
    return served.as_role(Role.MATCHER)


def _registration(data: bytes) -> Registration:
    found = egide.fingerprint(data)
    codes = tuple(pdq.code for pdq in found.frames if pdq.quality is None or pdq.matchable)
    return Registration(codes, sha256=found.sha256, md5=found.md5)


def _match(served: Served, key: dict[str, str], data: bytes, **fields: str) -> dict[str, Any]:
    response = served.client.post(
        "/v1/match", headers=key, files={"file": ("private name.jpg", data)}, data=fields
    )
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _ask(served: Served, key: dict[str, str], path: str, body: Any) -> tuple[int, dict[str, Any]]:
    response = served.client.post(f"/v1{path}", headers=key, json=body)
    return response.status_code, response.json()


def test_an_answer_says_what_of_a_picture_was_not_looked_at(
    served: Served, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(PICTURES[3])
    assert "not_looked_at" not in _match(served, key, data)
    cut = replace(egide.fingerprint(data), frames_skipped=7, share_read=0.5)
    monkeypatch.setattr(served.service.decoding, "fingerprint", lambda _data: cut)
    frames, pixels = _match(served, key, data)["not_looked_at"]
    assert (frames["kind"], frames["count"], frames["code"]) == ("frame", 7, "frames-skipped")
    assert (pixels["kind"], pixels["count"], pixels["code"]) == ("pixels", 1, "pixels-missing")
    files = [("file", ("a.jpg", data)), ("file", ("b.jpg", data))]
    several = served.client.post("/v1/match/files", headers=key, files=files).json()
    assert [len(one["not_looked_at"]) for one in several["results"]] == [2, 2]


def test_confirmed_copy_is_blocked(served: Served, key: dict[str, str]) -> None:
    copy = PICTURES[0].resize((500, 400)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    answer = _match(served, key, encoded(copy, "JPEG", quality=60))
    assert answer["decision"] == {"action": "block", "reasons": ["confirmed-match"]}
    (match,) = answer["matches"]
    assert match["bank"] == "confirmed"
    assert match["transform"] == "flip-horizontal"
    assert match["distance"] <= 31
    assert match["trust"] == Trust.CONFIRMED
    assert answer["matchable"] is True
    assert answer["revision"] == served.service.store.revision()


def test_unverified_copy_asks_for_review(served: Served, key: dict[str, str]) -> None:
    answer = _match(served, key, encoded(PICTURES[1], "PNG"))
    assert answer["decision"] == {"action": "review", "reasons": ["unverified-match"]}
    assert answer["matches"][0]["signal"] == "sha256"


def test_unknown_picture_is_allowed(served: Served, key: dict[str, str]) -> None:
    answer = _match(served, key, encoded(PICTURES[3]))
    assert answer["decision"] == {"action": "allow", "reasons": ["no-match"]}


def test_featureless_picture_is_said_to_be_not_matchable(
    served: Served, key: dict[str, str]
) -> None:
    answer = _match(served, key, encoded(FLAT, "PNG"))
    assert answer["matchable"] is False
    assert answer["decision"] == {"action": "allow", "reasons": ["not-matchable"]}
    assert MIN_MATCHABLE_QUALITY > 0


def test_bank_can_be_named(served: Served, key: dict[str, str]) -> None:
    answer = _match(served, key, encoded(PICTURES[0], "PNG"), bank="other")
    assert answer["matches"] == []


def test_scoped_key_searches_its_banks_alone_and_learns_of_no_other(served: Served) -> None:
    scoped = served.as_role(Role.MATCHER, name="scoped", banks=["other"])
    assert _match(served, scoped, encoded(PICTURES[0], "PNG"))["matches"] == []
    assert _match(served, scoped, encoded(PICTURES[2], "PNG"))["matches"][0]["bank"] == "other"
    found = _ask(
        served, scoped, "/match/fingerprints",
        {"fingerprints": [{"md5": "0" * 32}], "banks": ["confirmed"]},
    )  # fmt: skip
    absent = _ask(
        served, scoped, "/match/fingerprints",
        {"fingerprints": [{"md5": "0" * 32}], "banks": ["absent"]},
    )  # fmt: skip
    assert found[0] == absent[0] == 404
    assert found[1]["code"] == absent[1]["code"] == "bank-missing"
    banks = served.client.get("/v1/status", headers=scoped).json()["banks"]
    assert [bank["name"] for bank in banks] == ["other"]


def test_one_bad_file_costs_no_other(served: Served, key: dict[str, str]) -> None:
    parts = [encoded(PICTURES[0], "PNG"), b"", b"no image", encoded(PICTURES[1], "PNG")]
    response = served.client.post(
        "/v1/match/files", headers=key, files=[("file", ("a", part)) for part in parts]
    )
    results = response.json()["results"]
    assert [one.get("problem", {}).get("code") for one in results] == [
        None, "file-empty", "not-an-image", None,
    ]  # fmt: skip
    assert [one["decision"]["action"] for one in (results[0], results[3])] == ["block", "review"]


def test_too_many_files_are_refused(served: Served, key: dict[str, str]) -> None:
    limit = served.service.settings.max_batch_files
    response = served.client.post(
        "/v1/match/files", headers=key, files=[("file", ("a", b"x"))] * (limit + 1)
    )
    assert response.status_code == 413
    assert response.json()["code"] == "batch-too-large"


def test_fingerprints_are_answered_in_order(served: Served, key: dict[str, str]) -> None:
    found = egide.fingerprint(encoded(PICTURES[0], "PNG"))
    assert found.pdq is not None
    assert found.sha256 is not None
    asked = [
        {"pdq": found.pdq.code.hex()}, {"md5": "0" * 32}, {"sha256": found.sha256.hex().upper()},
        {"pdq": "0" * 64, "sha256": None},
    ]  # fmt: skip
    status, body = _ask(served, key, "/match/fingerprints", {"fingerprints": asked})
    assert status == 200
    actions = [one["decision"]["action"] for one in body["results"]]
    assert actions == ["block", "allow", "block", "allow"]
    assert [one["matchable"] for one in body["results"]] == [True, False, False, True]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], "JSON object"),
        ({}, "fingerprints is missing"),
        ({"fingerprints": []}, "at least one"),
        ({"fingerprints": {}}, "at least one"),
        ({"fingerprints": [{}]}, "fingerprints.0 has none"),
        ({"fingerprints": [None]}, "fingerprints.0 has to be an object"),
        ({"fingerprints": [{"md5": "0" * 32}, {"pdq": "0" * 63}]}, "fingerprints.1.pdq"),
        ({"fingerprints": [{"pdq": "g" * 64}]}, "fingerprints.0.pdq"),
        ({"fingerprints": [{"pdq": " 0" * 32}]}, "fingerprints.0.pdq"),
        ({"fingerprints": [{"pdq": "０" * 64}]}, "fingerprints.0.pdq"),
        ({"fingerprints": [{"pdq": 5}]}, "fingerprints.0.pdq"),
        ({"fingerprints": [{"md5": "0" * 32, "SECRET": 1}]}, "unknown fields"),
        ({"fingerprints": [{"md5": "0" * 32}], "SECRET": 1}, "unknown fields"),
        ({"fingerprints": [{"md5": "0" * 32}], "banks": []}, "banks"),
        ({"fingerprints": [{"md5": "0" * 32}], "banks": "other"}, "banks"),
        ({"fingerprints": [{"md5": "0" * 32}], "banks": [1]}, "banks"),
        ({"fingerprints": [{"md5": "0" * 32}], "radius_bits": 63}, "unknown fields"),
    ],
)
def test_wrong_fingerprint_is_named_by_its_place(
    body: Any, named: str, served: Served, key: dict[str, str]
) -> None:
    status, problem = _ask(served, key, "/match/fingerprints", body)
    assert status == 422
    assert problem["code"] == "request-invalid"
    assert named in problem["detail"]
    assert "SECRET" not in problem["detail"]


def test_batch_has_a_limit(served: Served, key: dict[str, str]) -> None:
    asked = [{"md5": f"{number:032x}"} for number in range(10_001)]
    status, problem = _ask(served, key, "/match/fingerprints", {"fingerprints": asked})
    assert (status, problem["code"]) == (413, "batch-too-large")
    status, body = _ask(served, key, "/match/fingerprints", {"fingerprints": asked[1:]})
    assert status == 200
    assert len(body["results"]) == 10_000


def test_fetching_is_off_unless_hosts_are_allowed(served: Served, key: dict[str, str]) -> None:
    status, problem = _ask(served, key, "/match", {"url": "https://example.org/a.jpg"})
    assert (status, problem["code"]) == (403, "fetch-disabled")


def test_two_pictures_are_compared(served: Served, key: dict[str, str]) -> None:
    turned = PICTURES[0].transpose(Image.Transpose.ROTATE_180)
    files = [("file", ("a", encoded(one, "PNG"))) for one in (PICTURES[0], turned)]
    body = served.client.post("/v1/compare", headers=key, files=files).json()
    assert body["transform"] == "rotate-180"
    assert body["distance"] <= 31
    assert body["within_default_radius"] is True
    assert body["same_file"] is False
    status, body = _ask(
        served, key, "/compare", {"a": {"pdq": "00" * 32}, "b": {"pdq": "0f" + "00" * 31}}
    )
    assert status == 200
    assert body == {
        "distance": 4, "transform": None, "same_file": None, "within_default_radius": True,
    }  # fmt: skip
    status, body = _ask(served, key, "/compare", {"a": {"md5": "0" * 32}, "b": {"pdq": "0" * 64}})
    assert body["distance"] is None


def test_rate_and_quota_count_what_is_asked_about(served: Served) -> None:
    slow = served.as_role(Role.MATCHER, name="slow", per_second=10)
    asked = {"fingerprints": [{"md5": f"{number:032x}"} for number in range(600)]}
    assert _ask(served, slow, "/match/fingerprints", asked)[0] == 200
    response = served.client.post("/v1/match/fingerprints", headers=slow, json=asked)
    assert response.status_code == 429
    assert response.json()["code"] == "rate-limited"
    assert 50 <= int(response.headers["retry-after"]) <= 60
    assert served.client.get("/v1/status", headers=slow).status_code == 200

    few = served.as_role(Role.MATCHER, name="few", per_day=599)
    status, problem = _ask(served, few, "/match/fingerprints", asked)
    assert (status, problem["code"]) == (429, "quota-exceeded")


def test_change_is_matched_within_a_second_or_two(served: Served, key: dict[str, str]) -> None:
    store = served.service.store
    ChangingStore.of(store).banks.create("moving")
    data = encoded(PICTURES[3], "PNG")
    done = ChangingStore.of(store).entries.register("moving", [_registration(data)], outcomes=True)
    served.wait_for(store.revision())
    assert [m["bank"] for m in _match(served, key, data)["matches"]] == ["moving"]
    ChangingStore.of(store).entries.withdraw("moving", [done.outcomes[0].entry])
    served.wait_for(store.revision())
    assert _match(served, key, data)["matches"] == []


def test_hundred_requests_at_once_get_their_own_answers(
    served: Served, key: dict[str, str]
) -> None:
    data = [encoded(picture, "PNG") for picture in PICTURES[:3]]

    def ask(number: int) -> bool:
        found = _match(served, key, data[number % 3])["matches"]
        return [one["bank"] for one in found] == [("confirmed", "unverified", "other")[number % 3]]

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(100)))


def test_metrics_count_and_name_no_key_no_bank(served: Served, key: dict[str, str]) -> None:
    assert served.client.get("/metrics").status_code == 401
    text = served.client.get("/metrics", headers=key).text
    assert 'route="/v1/match/fingerprints"' in text
    assert 'egide_decisions_total{action="block"}' in text
    assert f"egide_revision {float(served.service.store.revision())}" in text
    for name in ("confirmed", "unverified", "matcher", "moving"):
        assert name not in text


def test_every_answer_has_the_headers_that_protect(served: Served, key: dict[str, str]) -> None:
    for path in ("/healthz", "/v1/status", "/nothing", "/docs", "/openapi.json"):
        headers = served.client.get(path, headers=key).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-request-id"]
        assert "server" not in headers


def test_page_of_the_api_loads_nothing_from_elsewhere(served: Served) -> None:
    page = served.client.get("/docs").text
    assert "//" not in page.replace("<!doctype html>", "")
    for line in page.splitlines():
        assert "src=" not in line or 'src="docs/' in line
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert served.client.get(f"/docs/{name}").status_code == 200


def test_document_describes_permissions_errors_and_bodies(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            if path.startswith("/v1"):
                assert operation["x-permission"], where
                assert {"401", "403", "429", "503"} <= set(operation["responses"]), where
    for reference in set(json.dumps(document).split('"#/components/schemas/')[1:]):
        assert reference.split('"')[0] in schemas


def test_unknown_key_reads_no_body(served: Served) -> None:
    too_large = b"x" * (served.service.settings.max_body_bytes + 1)
    response = served.client.post("/v1/match", headers=bearer("egide_x"), content=too_large)
    assert response.status_code == 401
    response = served.client.post(
        "/v1/match", headers=served.as_role(Role.MATCHER, name="large"), content=too_large
    )
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/v1/status", "/v1/status"),
        ("POST", "/v1/match", "/v1/match"),
        ("GET", "/v1/banks/secret/entries/17", "/v1/banks/{bank}/entries/{entry}"),
        ("GET", "/v1/none", "unknown"),
        ("PATCH", "/v1/status", "unknown"),
    ],
)
def test_request_without_a_key_counts_under_its_route(
    served: Served, method: str, path: str, route: str
) -> None:
    assert served.client.request(method, path).status_code == 401
    text = served.service.metrics.text().decode()
    assert f'method="{method}",route="{route}",status="401"' in text
    assert "secret" not in text
