"""Entries over HTTP: registered, listed, judged, ended."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from api_samples import Api, code_of, pdq
from egide.domain.access import Role
from egide.domain.model import State
from pictures import encoded, pictures
from server_samples import serve
from store_samples import anchored

BLANK = "0" * 64
REGIONS = [code.hex() for code in anchored(1)]
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(tmp_path_factory.mktemp("api"), bulk_limit=5000) as served:
        yield Api(served)


def outcomes(api: Api, bank: str, *entries: dict[str, Any], **rest: Any) -> list[str]:
    body = {"entries": list(entries)} | rest
    done = api.post(f"/banks/{bank}/entries", body, status=201, role=Role.CURATOR)
    return [outcome["outcome"] for outcome in done["outcomes"]]


def test_registered_entry_is_shown_without_its_fingerprint(api: Api) -> None:
    bank = api.bank()
    body = {
        "entries": [
            {
                "pdq": [pdq(1), pdq(2), pdq(1).upper()],
                "sha256": pdq(3),
                "md5": pdq(4)[:32],
                "quality": 88,
                "note": "for the case file",
                "source": "case-17",
                "expires": "2999-01-01T02:00:00+02:00",
            }
        ]
    }

    done = api.post(f"/banks/{bank}/entries", body, status=201, role=Role.CURATOR)

    entry = done["outcomes"][0]["entry"]
    shown = api.send("GET", f"/banks/{bank}/entries/{entry}")
    assert shown.json() | {"added": "", "changed": ""} == {
        "entry": entry,
        "bank": bank,
        "state": "active",
        "trust": "unverified",
        "source": "key:curator/case-17",
        "note": "for the case file",
        "signals": ["pdq", "sha256", "md5"],
        "pdq_count": 2,
        "video_ms": None,
        "anchored_count": 0,
        "has_patches": False,
        "quality": 88,
        "added": "",
        "changed": "",
        "expires": "2999-01-01T00:00:00Z",
        "revision": done["revision"],
    }
    for number in (1, 2, 3, 4):
        assert pdq(number)[:32] not in shown.text + str(done) + str(
            api.get(f"/banks/{bank}/entries")
        )
    assert api.store.entries.get(bank, entry).pdqs == (bytes.fromhex(pdq(1)), bytes.fromhex(pdq(2)))


def test_each_fingerprint_has_its_outcome_in_order(api: Api) -> None:
    bank = api.bank()
    first = api.register(bank, 1, 2, 3)
    api.post(f"/banks/{bank}/entries/{first[0]}/withdraw", role=Role.CURATOR)
    api.post(f"/banks/{bank}/entries/{first[1]}/tombstone", role=Role.MODERATOR)
    entries = [{"pdq": [pdq(number)]} for number in (1, 2, 3, 4, 4)]

    assert outcomes(api, bank, *entries) == ["refused", "refused", "known", "added", "known"]
    assert outcomes(api, bank, *entries[:2], again=True) == ["renewed", "refused"]
    assert api.get(f"/banks/{bank}/entries/{first[0]}")["state"] == "active"


def test_one_source_cannot_take_back_in_what_another_withdrew(api: Api) -> None:
    bank = api.bank()
    [entry] = api.register(bank, 1)
    api.post(f"/banks/{bank}/entries/{entry}/withdraw", role=Role.CURATOR)

    body = {"entries": [{"pdq": [pdq(1)]}], "again": True}
    done = api.post(f"/banks/{bank}/entries", body, status=201, role=Role.MODERATOR)

    assert done["outcomes"][0]["outcome"] == "added"
    assert done["outcomes"][0]["entry"] != entry
    assert api.get(f"/banks/{bank}/entries/{entry}")["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({}, "entries.1"),
        ({"pdq": []}, "entries.1"),
        ({"pdq": ["12"]}, "entries.1.pdq.0"),
        ({"pdq": [pdq(1) + "0"]}, "entries.1.pdq.0"),
        ({"pdq": ["g" * 64]}, "entries.1.pdq.0"),
        ({"pdq": [pdq(1)] * 65}, "entries.1"),
        ({"pdq": [pdq(1)] * 65, "video": {"duration_ms": 1}}, "entries.1.video"),
        ({"pdq": pdq(1)}, "entries.1.pdq"),
        ({"pdq": [pdq(1)], "anchored": ["12"]}, "entries.1.anchored.0"),
        ({"pdq": [pdq(1)], "anchored": REGIONS[0]}, "entries.1.anchored"),
        ({"pdq": [pdq(1)], "anchored": REGIONS * 22}, "entries.1.anchored"),
        ({"anchored": REGIONS}, "entries.1"),
        ({"sha256": pdq(1)[:32]}, "entries.1.sha256"),
        ({"md5": pdq(1)}, "entries.1.md5"),
        ({"md5": 1}, "entries.1.md5"),
        ({"sha256": pdq(1), "quality": 101}, "entries.1.quality"),
        ({"sha256": pdq(1), "quality": 50.5}, "entries.1.quality"),
        ({"sha256": pdq(1), "note": "a\0"}, "entries.1.note"),
        ({"sha256": pdq(1), "note": "x" * 4001}, "entries.1.note"),
        ({"sha256": pdq(1), "source": "with space"}, "entries.1.source"),
        ({"sha256": pdq(1), "expires": "tomorrow"}, "entries.1.expires"),
        ({"sha256": pdq(1), "expires": "2027-01-01T00:00:00"}, "entries.1.expires"),
        ({"sha256": pdq(1), "expires": 1800000000}, "entries.1.expires"),
        ({"sha256": pdq(1), "expires": "9999-12-31T23:59:59-23:59"}, "entries.1.expires"),
        ({"sha256": pdq(1), "trust": "confirmed"}, "unknown fields"),
        ({"pdq": [BLANK]}, "entry 1"),
        ({"pdq": [pdq(2), "f" * 64]}, "entry 1"),
        ({"sha256": EMPTY_SHA256}, "entry 1"),
        ("entry", "entries.1"),
    ],
)
def test_one_bad_fingerprint_is_named_and_nothing_is_registered(
    api: Api, entry: object, named: str
) -> None:
    bank = api.bank()
    body = {"entries": [{"pdq": [pdq(1)]}, entry]}

    response = api.send("POST", f"/banks/{bank}/entries", json=body, role=Role.CURATOR)

    assert (response.status_code, code_of(response)) == (422, "request-invalid")
    assert named in response.json()["detail"]
    assert pdq(1) not in response.text
    assert api.get(f"/banks/{bank}/entries")["entries"] == []


def test_anchored_hashes_are_kept_and_an_old_entry_gets_them(api: Api) -> None:
    bank = api.bank()

    def register(*entries: dict[str, Any]) -> list[tuple[int, str, int]]:
        body = {"entries": list(entries)}
        done = api.post(f"/banks/{bank}/entries", body, status=201, role=Role.CURATOR)
        return [tuple(outcome.values()) for outcome in done["outcomes"]]

    [(old, *_)] = register({"pdq": [pdq(1)]})
    [(_, *again), (new, *added)] = register(
        {"pdq": [pdq(1)], "anchored": REGIONS},
        {"sha256": pdq(2), "anchored": [*REGIONS[::-1], REGIONS[0].upper()]},
    )

    assert (again, added) == (["known", 3], ["added", 3])
    assert api.store.anchored.of([old, new]) == {old: anchored(1), new: anchored(1)}
    shown = api.send("GET", f"/banks/{bank}/entries/{old}")
    assert shown.json()["signals"] == ["pdq", "pdq-anchored"]
    assert shown.json()["anchored_count"] == 3
    assert REGIONS[0] not in shown.text


@pytest.mark.parametrize("code", [BLANK, "f" * 64, pdq(1)])
def test_what_no_region_has_is_named_and_nothing_is_registered(api: Api, code: str) -> None:
    bank = api.bank()
    body = {"entries": [{"pdq": [pdq(1)]}, {"pdq": [pdq(2)], "anchored": [REGIONS[0], code]}]}

    response = api.send("POST", f"/banks/{bank}/entries", json=body, role=Role.CURATOR)

    assert (response.status_code, code_of(response)) == (422, "anchored-invalid")
    assert "entry 1" in response.json()["detail"]
    assert code not in response.text
    assert api.get(f"/banks/{bank}/entries")["entries"] == []


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{", "application/json"),
        (b"", "application/json"),
        (b"\xff", "application/json"),
        (b'{"entries": []}', "application/json"),
        (b'{"entries": [{"sha256": "' + pdq(1).encode() + b'"}]}', "text/plain"),
        (b"entries=1", "application/x-www-form-urlencoded"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
    ],
)
def test_body_of_another_kind_is_refused(api: Api, content: bytes, kind: str) -> None:
    bank = api.bank()

    response = api.send(
        "POST",
        f"/banks/{bank}/entries",
        content=content,
        headers={"Content-Type": kind},
        role=Role.CURATOR,
    )

    assert (response.status_code, code_of(response)) == (422, "request-invalid")


def test_picture_is_fingerprinted_exactly_and_not_kept(api: Api) -> None:
    from egide.hashing import fingerprint

    bank = api.bank()
    content = encoded(pictures()[0])

    done = api.post(
        f"/banks/{bank}/entries",
        status=201,
        role=Role.CURATOR,
        files={"file": ("secret-name.jpg", content)},
        data={"note": "n", "source": "case-3", "expires": "2999-01-01T00:00:00Z"},
    )

    entry = api.store.entries.get(bank, done["outcomes"][0]["entry"])
    expected = fingerprint(content)
    assert expected.pdq is not None
    assert entry.pdqs == (expected.pdq.code,)
    assert (entry.sha256, entry.md5) == (expected.sha256, expected.md5)
    assert (entry.source, entry.note) == ("key:curator/case-3", "n")
    assert not entry.has_keypoints
    assert "secret-name" not in str(api.get(f"/banks/{bank}/entries"))
    assert "secret-name" not in str(api.get("/log", params={"limit": 1000}))


@pytest.mark.parametrize(
    ("files", "data", "code"),
    [
        ([("file", b"no picture")], {}, "not-an-image"),
        ([("file", b"")], {}, "file-empty"),
        ([("photo", b"x")], {}, "request-invalid"),
        ([("file", b"x"), ("file", b"x")], {}, "batch-too-large"),
        ([("file", b"x")], {"trust": "confirmed"}, "request-invalid"),
        ([("file", b"x")], {"again": "yes"}, "request-invalid"),
        ([("file", b"x")], {"source": "a b"}, "request-invalid"),
    ],
)
def test_form_that_is_not_as_documented_is_refused(
    api: Api, files: list[tuple[str, bytes]], data: dict[str, str], code: str
) -> None:
    bank = api.bank()
    sent = [(name, ("f", content)) for name, content in files]

    response = api.send("POST", f"/banks/{bank}/entries", files=sent, data=data, role=Role.CURATOR)

    assert response.status_code in {413, 422}
    assert code_of(response) == code
    assert api.get(f"/banks/{bank}/entries")["entries"] == []


def test_list_is_paged_by_its_cursor_and_filtered(api: Api) -> None:
    bank = api.bank()
    entries = api.register(bank, *range(7))
    api.post(f"/banks/{bank}/entries/{entries[2]}/withdraw", role=Role.CURATOR)
    api.post(f"/banks/{bank}/entries/{entries[3]}/confirm", role=Role.MODERATOR)
    pages, cursor = [], 0

    while cursor is not None:
        page = api.get(f"/banks/{bank}/entries", params={"limit": 3, "cursor": cursor})
        pages.append([entry["entry"] for entry in page["entries"]])
        cursor = page["next"]

    assert pages == [entries[:3], entries[3:6], entries[6:]]
    for params, expected in (
        ({"state": "withdrawn"}, [entries[2]]),
        ({"trust": "confirmed"}, [entries[3]]),
        ({"source": "key:curator"}, entries),
        ({"source": "key:other"}, []),
    ):
        found = api.get(f"/banks/{bank}/entries", params=params)
        assert [entry["entry"] for entry in found["entries"]] == expected


@pytest.mark.parametrize(
    "params",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "x"},
        {"cursor": -1},
        {"cursor": 2**63},
        {"state": "gone"},
        {"source": "\0"},
    ],
)
def test_query_out_of_bounds_is_refused(api: Api, params: dict[str, Any]) -> None:
    response = api.send("GET", f"/banks/{api.bank()}/entries", params=params)

    assert (response.status_code, code_of(response)) == (422, "request-invalid")


def test_withdrawn_entry_is_erased_and_stays_withdrawn(api: Api) -> None:
    bank = api.bank()
    [entry] = api.register(bank, 1)

    first = api.post(f"/banks/{bank}/entries/{entry}/withdraw", role=Role.CURATOR)
    revision = api.store.revision()
    second = api.post(f"/banks/{bank}/entries/{entry}/withdraw", role=Role.CURATOR)

    assert (first["state"], first["signals"], first["note"]) == ("withdrawn", [], "")
    assert second == first
    assert api.store.revision() == revision
    for act in ("confirm", "dispute", "tombstone"):
        response = api.send("POST", f"/banks/{bank}/entries/{entry}/{act}", role=Role.MODERATOR)
        assert (response.status_code, code_of(response)) == (409, "state-conflict")


def test_judgements_change_trust_and_state(api: Api) -> None:
    bank = api.bank()
    [entry] = api.register(bank, 1)
    path = f"/banks/{bank}/entries/{entry}"

    assert api.post(f"{path}/confirm", role=Role.MODERATOR)["trust"] == "confirmed"
    assert api.post(f"{path}/confirm", role=Role.MODERATOR)["trust"] == "confirmed"
    assert api.post(f"{path}/dispute", role=Role.MODERATOR)["trust"] == "disputed"
    assert api.post(f"{path}/tombstone", role=Role.MODERATOR)["state"] == "tombstoned"
    assert api.post(f"{path}/tombstone", role=Role.MODERATOR)["state"] == "tombstoned"
    response = api.send("POST", f"{path}/confirm", role=Role.MODERATOR)
    assert code_of(response) == "state-conflict"
    assert api.post(f"{path}/withdraw", role=Role.CURATOR)["state"] == "withdrawn"


@pytest.mark.parametrize("entry", ["0", "-1", "x", str(2**63), "1.5", "%00", "..%2f1"])
def test_impossible_entry_is_no_entry(api: Api, entry: str) -> None:
    response = api.send("GET", f"/banks/{api.bank()}/entries/{entry}")

    assert response.status_code in {404, 422}
    assert code_of(response) in {"path-missing", "request-invalid"}


def test_entry_of_another_bank_is_missing(api: Api) -> None:
    bank, other = api.bank(), api.bank()
    [entry] = api.register(bank, 1)

    for method, act in (("GET", ""), ("GET", "/feedback"), ("POST", "/withdraw")):
        response = api.send(method, f"/banks/{other}/entries/{entry}{act}")
        assert (response.status_code, code_of(response)) == (404, "entry-missing")
    assert api.store.entries.get(bank, entry).state is State.ACTIVE


def test_log_names_the_key_that_did_it(api: Api) -> None:
    bank = api.bank()
    name, token = api.key(Role.CURATOR, banks=[bank])
    [entry] = api.register(bank, 1, token=token)
    api.post(f"/banks/{bank}/entries/{entry}/withdraw", token=token)

    records = api.get("/log", params={"entry": entry})["records"]

    assert [(one["actor"], one["action"], one["bank"]) for one in records] == [
        (name, "register", bank),
        (name, "withdraw", bank),
    ]
    assert pdq(1) not in str(records)


def test_curator_reaches_only_banks_in_scope(api: Api) -> None:
    own, other = api.bank(), api.bank()
    [entry] = api.register(other, 1)
    _, token = api.key(Role.MODERATOR, banks=[own])
    body = {"entries": [{"pdq": [pdq(2)]}]}
    path = f"/banks/{other}/entries"

    for method, path_, sent in (
        ("POST", path, body),
        ("GET", path, None),
        ("GET", f"{path}/{entry}", None),
        *(
            ("POST", f"{path}/{entry}/{act}", None)
            for act in ("withdraw", "confirm", "dispute", "tombstone")
        ),
    ):
        response = api.send(method, path_, json=sent, token=token)
        assert (response.status_code, code_of(response)) == (404, "bank-missing"), path_
    assert api.store.entries.get(other, entry).state is State.ACTIVE


def test_more_than_one_person_may_add_takes_a_second(api: Api) -> None:
    bank = api.bank()
    _, token = api.key(Role.CURATOR, holder="Bulk Adder")
    entries = [{"pdq": [pdq(number)]} for number in range(5001)]
    path = f"/banks/{bank}/entries"

    refused = api.send("POST", path, json={"entries": entries}, token=token)

    assert (refused.status_code, code_of(refused)) == (403, "approval-needed")
    assert api.get(f"/banks/{bank}")["states"]["active"] == 0
    approval = refused.json()["approval"]
    api.post(f"/approvals/{approval}/approve", role=Role.MODERATOR)
    header = {"Egide-Approval": str(approval)}
    swapped = api.send("POST", path, json={"entries": entries[1:]}, token=token, headers=header)
    assert code_of(swapped) == "approval-invalid"
    done = api.send("POST", path, json={"entries": entries}, token=token, headers=header)
    assert done.status_code == 201
    assert api.get(f"/banks/{bank}")["states"]["active"] == 5001


def test_many_small_additions_are_bulk_too(api: Api) -> None:
    bank = api.bank()
    _, token = api.key(Role.CURATOR, holder="Patient Adder")
    # One entry of 60 frames is as much as 60 entries.
    body = {"entries": [{"pdq": [pdq(100 * n + m) for m in range(60)]} for n in range(80)]}
    path = f"/banks/{bank}/entries"
    api.post(path, body, status=201, token=token)

    api.register(bank, *range(10_000, 10_200), token=token)
    refused = api.send("POST", path, json={"entries": [{"pdq": [pdq(-1)]}]}, token=token)

    assert code_of(refused) == "approval-needed"


def test_export_takes_a_second_person_each_time_and_is_logged(api: Api) -> None:
    bank = api.bank()
    entries = api.register(bank, *range(1200))
    api.post(f"/banks/{bank}/entries/{entries[0]}/withdraw", role=Role.CURATOR)
    path = f"/banks/{bank}/export"
    approval = api.send("GET", path).json()["approval"]
    header = {"Egide-Approval": str(approval)}

    early = api.send("GET", path, headers=header)
    assert code_of(early) == "approval-invalid"
    api.post(f"/approvals/{approval}/approve", role=Role.MODERATOR)
    done = api.send("GET", path, headers=header)
    again = api.send("GET", path, headers=header)

    assert done.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(done.text)))
    assert {row["signal_str"] for row in rows} == {pdq(number) for number in range(1, 1200)}
    assert code_of(again) == "approval-invalid"
    logged = [
        one for one in api.get("/log", params={"limit": 1000})["records"] if one["bank"] == bank
    ]
    assert (logged[-1]["action"], logged[-1]["actor"]) == ("export", "admin")
    assert logged[-1]["detail"] == {
        "way": "api",
        "format": "csv",
        "entries": 1199,
        "approval": approval,
    }


def test_feedback_is_kept_by_entry_and_key(api: Api) -> None:
    bank = api.bank()
    [entry] = api.register(bank, 1)
    said = {"entry": entry, "bank": bank, "kind": "removed", "at": "2026-01-02T03:04:05Z"}
    body = {"feedback": [said, said | {"kind": "matched"}]}

    assert api.post("/feedback", body, role=Role.MATCHER) == {"taken": 2}
    api.post("/feedback", body, role=Role.MATCHER)
    api.post("/feedback", {"feedback": [said]}, role=Role.PARTNER)

    shown = api.get(f"/banks/{bank}/entries/{entry}/feedback", role=Role.CURATOR)["feedback"]
    assert shown == [
        {"partner": "matcher", "kind": "removed", "at": "2026-01-02T03:04:05Z"},
        {"partner": "matcher", "kind": "matched", "at": "2026-01-02T03:04:05Z"},
        {"partner": "partner", "kind": "removed", "at": "2026-01-02T03:04:05Z"},
    ]


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"entry": 10**9}, 404, "entry-missing"),
        ({"bank": "absent"}, 404, "bank-missing"),
        ({"kind": "liked"}, 422, "request-invalid"),
        ({"at": "2999-01-01T00:00:00Z"}, 422, "usage"),
        ({"at": None}, 422, "request-invalid"),
        ({"partner": "somebody else"}, 422, "request-invalid"),
    ],
)
def test_feedback_of_a_bank_is_taken_whole_or_not(
    api: Api, change: dict[str, Any], status: int, code: str
) -> None:
    bank = api.bank()
    [entry] = api.register(bank, 1)
    said = {"entry": entry, "bank": bank, "kind": "removed", "at": "2026-01-02T03:04:05Z"}
    body = {"feedback": [said | change, said]}

    response = api.send("POST", "/feedback", json=body, role=Role.MATCHER)

    assert (response.status_code, code_of(response)) == (status, code)
    assert api.get(f"/banks/{bank}/entries/{entry}/feedback")["feedback"] == []


def test_feedback_reaches_only_banks_in_scope(api: Api) -> None:
    own, other = api.bank(), api.bank()
    [entry] = api.register(other, 1)
    _, token = api.key(Role.MATCHER, banks=[own])
    said = {"entry": entry, "bank": other, "kind": "removed", "at": "2026-01-02T03:04:05Z"}

    response = api.send("POST", "/feedback", json={"feedback": [said]}, token=token)

    assert code_of(response) == "bank-missing"
