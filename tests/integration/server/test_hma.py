"""The HMA-compatible mount, asked as HMA's clients ask."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

import egide
from egide.domain.access import Role
from egide.domain.model import Mode, State
from egide.errors import SettingInvalid
from egide.server.app import create_app
from egide.server.hma import banks, catalogue, content, matching
from egide.server.settings import ServerSettings
from egide.store.changing import ChangingStore
from egide.store.entries import consent
from egide.store.tables.service import key_usage
from pictures import encoded, pictures
from server_samples import Served, bearer, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

PHOTOS = [encoded(image, "PNG") for image in pictures(8)]
CODES = [egide.fingerprint(photo).frames[0].code.hex() for photo in PHOTOS]
FLAT = encoded(Image.new("RGB", (320, 240), (90, 120, 200)), "PNG")
UNUSED = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"


class Client:
    """Sends what an HMA client sends to `HMA_SERVICE_URL`, with a key, and waits for the index."""

    def __init__(self, served: Served, role: Role = Role.ADMIN, **fields: Any) -> None:
        self.served = served
        self.headers = served.as_role(role, **fields)

    def get(self, path: str, **params: object) -> Any:
        return self._send("GET", path, params=params)

    def post(self, path: str, **options: Any) -> Any:
        return self._send("POST", path, **options)

    def put(self, path: str, json: object) -> Any:
        return self._send("PUT", path, json=json)

    def delete(self, path: str) -> Any:
        return self._send("DELETE", path)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        answer = self.served.client.request(method, f"/hma{path}", headers=self.headers, **options)
        if method != "GET" and path.startswith("/c/"):
            self.served.wait_for(self.served.service.store.revision())
        return answer


def photo(data: bytes, field: str = "photo") -> dict[str, Any]:
    return {"files": {field: ("holiday.png", data, "image/png")}}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {"hma_enabled": True, "max_failures_per_minute": 10_000}
    with serve(tmp_path_factory.mktemp("hma"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def admin(served: Served) -> Client:
    return Client(served, name="admin-of-all")


@pytest.fixture
def bank(admin: Client, request: pytest.FixtureRequest) -> str:
    """An empty bank of the test's own."""
    name = re.sub("[^A-Z0-9_]", "_", request.node.name.upper())[:60]
    assert admin.post("/c/banks", json={"name": name}).status_code == 201
    return name


# --- a client's life, request by request --------------------------------


def test_the_transcript_of_a_client_that_keeps_a_bank(admin: Client) -> None:
    """As Coop, the moderation tool, speaks to HMA: its requests in order, and what it reads."""
    name = "COOP_ORG1_NCII"
    assert admin.get("/status").text == "I-AM-ALIVE"
    assert admin.get(f"/c/bank/{name}").status_code == 404
    made = admin.post("/c/banks", json={"name": name, "enabled_ratio": "1"})
    assert (made.status_code, made.json()) == (201, {"name": name, "matching_enabled_ratio": 1.0})
    assert admin.get(f"/c/bank/{name}").json() == made.json()
    assert made.json() in admin.get("/c/banks").json()
    assert admin.get(f"/c/exchange/{name}").status_code == 404

    added = admin.post(f"/c/bank/{name}/content", **photo(PHOTOS[0]), data={"content_id": "a1"})
    assert added.status_code == 200
    assert added.json() == {"id": added.json()["id"], "signals": {"pdq": CODES[0]}}
    content = added.json()["id"]

    hashed = admin.post("/h/hash", **photo(encoded(pictures(8)[0], quality=60)))
    assert set(hashed.json()) == {"pdq"}
    found = admin.get("/m/lookup", signal_type="pdq", signal=hashed.json()["pdq"]).json()
    assert list(found) == [name]
    [match] = found[name]
    assert match["bank_content_id"] == content
    assert isinstance(match["distance"], str)
    assert int(match["distance"]) <= 31

    off = admin.put(f"/c/bank/{name}", json={"enabled_ratio": 0})
    assert off.json() == {"name": name, "matching_enabled_ratio": 0.0}
    assert admin.get("/m/lookup", signal_type="pdq", signal=CODES[0]).json() == {}
    admin.put(f"/c/bank/{name}", json={"enabled": True})
    assert name in admin.get("/m/lookup", signal_type="pdq", signal=CODES[0]).json()

    assert admin.delete(f"/c/bank/{name}/content/{content}").json() == {"deleted": 1}
    assert admin.get("/m/lookup", signal_type="pdq", signal=CODES[0]).json() == {}
    assert admin.get("/c/exchanges/apis").json() == []
    assert admin.delete(f"/c/bank/{name}").json() == {"message": "Done"}
    assert admin.get(f"/c/bank/{name}").status_code == 404


def test_a_url_that_ends_with_a_slash_needs_no_redirect(served: Served, admin: Client) -> None:
    for path in ("/hma//c/banks", "/hma/c//banks/", "///hma///c/banks"):
        answer = served.client.get(path, headers=admin.headers, follow_redirects=False)
        assert (path, answer.status_code) == (path, 200)
    sent = {"files": {"photo": ("a", PHOTOS[0], "image/png")}, "headers": admin.headers}
    answer = served.client.post("/hma//h/hash", follow_redirects=False, **sent)
    assert answer.json() == {"pdq": CODES[0]}
    for path in ("/hma//v1/banks", "/hma//../v1/banks", "/hma//%2e%2e/v1/banks"):
        assert served.client.get(path, headers=admin.headers).status_code == 404
    assert served.client.get("/c/banks", headers=admin.headers).status_code == 404


# --- looking up ---------------------------------------------------------


def test_a_posted_picture_is_looked_up_by_signal_type(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[1])).json()["id"]
    for data, nearest in ((PHOTOS[1], "0"), (encoded(pictures(8)[1], quality=50), None)):
        found = admin.post("/m/lookup", **photo(data)).json()
        assert list(found) == ["pdq"]
        [match] = found["pdq"][bank]
        assert match["bank_content_id"] == content
        assert nearest in {match["distance"], None}
    assert admin.post("/m/lookup", **photo(PHOTOS[7])).json() == {"pdq": {}}


def test_mirrored_and_turned_copies_are_found_by_their_file(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[2])).json()["id"]
    for change in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90):
        copy = encoded(pictures(8)[2].transpose(change), quality=80)
        found = admin.post("/m/lookup", **photo(copy)).json()
        assert found["pdq"][bank][0]["bank_content_id"] == content


def test_raw_lookup_gives_numbers_and_with_distances(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[3]}).json()["id"]
    asked = {"signal_type": "pdq", "signal": CODES[3]}
    assert admin.get("/m/raw_lookup", **asked).json() == {"matches": [content]}
    with_distance = admin.get("/m/raw_lookup", **asked, include_distance="true").json()
    assert with_distance == {"matches": [{"bank_content_id": content, "distance": "0"}]}
    wrong = admin.get("/m/raw_lookup", **asked, include_distance="perhaps")
    assert wrong.status_code == 400


def test_banks_limit_a_lookup_and_never_enable_a_disabled_one(admin: Client, bank: str) -> None:
    other = f"{bank[:40]}_OTHER"
    admin.post("/c/banks", json={"name": other, "enabled_ratio": 0})
    for name in (bank, other):
        admin.post(f"/c/bank/{name}/signal", json={"pdq": CODES[4]})
    asked = {"signal_type": "pdq", "signal": CODES[4]}
    for options in ({}, {"banks": f"{bank},{other}"}, {"bypass_coinflip": "true"}):
        assert list(admin.get("/m/lookup", **asked, **options).json()) == [bank]
    assert admin.get("/m/lookup", **asked, banks=other).json() == {}
    assert admin.get("/m/raw_lookup", **asked, banks=other).json() == {"matches": []}
    scoped = Client(admin.served, Role.MATCHER, name="scoped", banks=[other])
    assert scoped.get("/m/lookup", **asked).json() == {}
    admin.put(f"/c/bank/{other}", json={"enabled_ratio": 0.5})
    assert list(scoped.get("/m/lookup", **asked).json()) == [other]


def test_the_action_that_policy_asks_for_is_a_header(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[5])).json()["id"]
    assert admin.post("/m/lookup", **photo(PHOTOS[5])).headers["egide-action"] == "review"
    store = admin.served.service.store
    admin.served.wait_for(ChangingStore.of(store).entries.confirm(bank, [content]))
    asked = {"signal_type": "pdq", "signal": CODES[5]}
    assert admin.post("/m/lookup", **photo(PHOTOS[5])).headers["egide-action"] == "block"
    assert admin.get("/m/raw_lookup", **asked).headers["egide-action"] == "block"
    unknown = admin.get("/m/lookup", signal_type="pdq", signal=UNUSED)
    assert (unknown.json(), unknown.headers["egide-action"]) == ({}, "allow")


def test_hashes_are_compared_without_any_bank(admin: Client) -> None:
    near = f"{int(CODES[0], 16) ^ 0b10111:064x}"
    assert admin.post("/m/compare", json={"pdq": [CODES[0], near.upper()]}).json() == {
        "pdq": [True, {"distance": 4}]
    }
    far = f"{int(CODES[0], 16) ^ ((1 << 32) - 1):064x}"
    assert admin.post("/m/compare", json={"pdq": [CODES[0], far]}).json() == {
        "pdq": [False, {"distance": 32}]
    }


def test_a_hash_is_the_references_in_every_bit(admin: Client) -> None:
    pdqhash = pytest.importorskip("pdqhash")
    numpy = pytest.importorskip("numpy")
    image = pictures(8)[6].convert("RGB")
    bits, _ = pdqhash.compute(numpy.asarray(image))
    expected = numpy.packbits(bits).tobytes().hex()
    assert admin.post("/h/hash", **photo(encoded(image, "PNG"))).json() == {"pdq": expected}


# --- the peer's defects -------------------------------------------------


def test_withdrawn_content_never_matches_and_comes_back_only_by_api_v1(
    admin: Client, bank: str
) -> None:
    content = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[0])).json()["id"]
    assert admin.post("/m/lookup", **photo(PHOTOS[0])).json()["pdq"][bank]
    assert admin.delete(f"/c/bank/{bank}/content/{content}").json() == {"deleted": 1}
    assert admin.post("/m/lookup", **photo(PHOTOS[0])).json() == {"pdq": {}}
    entry = admin.served.service.store.entries.get(bank, content)
    assert (entry.state, entry.pdqs, entry.sha256) == (State.WITHDRAWN, (), None)

    again = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[0]))
    assert again.status_code == 409
    assert "again" in again.json()["message"]
    assert admin.post("/m/lookup", **photo(PHOTOS[0])).json() == {"pdq": {}}
    assert admin.delete(f"/c/bank/{bank}/content/{content}").json() == {"deleted": 0}
    assert admin.get(f"/c/bank/{bank}/content/{content}").status_code == 404


def test_what_had_expired_can_be_deleted_as_by_every_door(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[0])).json()["id"]
    store = admin.served.service.store
    with ChangingStore.of(store)._changing("expire") as made:
        consent.expire_entries(made, store.banks.get(bank), [content])

    assert admin.delete(f"/c/bank/{bank}/content/{content}").json() == {"deleted": 1}
    assert store.entries.get(bank, content).state is State.WITHDRAWN
    assert admin.post(f"/c/bank/{bank}/content", **photo(PHOTOS[0])).status_code == 409


def test_a_picture_without_detail_has_an_empty_hash_that_can_be_looked_up(
    admin: Client, bank: str
) -> None:
    dot = encoded(Image.new("RGB", (1, 1), "red"), "PNG")
    for data in (FLAT, dot):
        assert admin.post("/h/hash", **photo(data)).json() == {"pdq": ""}
    empty = admin.get("/m/lookup", signal_type="pdq", signal="")
    assert (empty.json(), empty.headers["egide-not-matchable"]) == ({}, "true")
    assert admin.get("/m/raw_lookup", signal_type="pdq", signal="").json() == {"matches": []}
    assert admin.post("/m/lookup", **photo(dot)).json() == {"pdq": {}}
    assert admin.post(f"/c/bank/{bank}/content", **photo(dot)).status_code == 400
    assert admin.post("/m/lookup", **photo(FLAT)).json() == {"pdq": {}}
    added = admin.post(f"/c/bank/{bank}/content", **photo(FLAT)).json()
    assert added["signals"] == {}
    found = admin.post("/m/lookup", **photo(FLAT)).json()  # the identical file
    assert found == {"pdq": {bank: [{"bank_content_id": added["id"], "distance": "0"}]}}
    other = encoded(Image.new("RGB", (321, 240), (90, 120, 200)), "PNG")
    assert admin.post("/m/lookup", **photo(other)).json() == {"pdq": {}}


def test_one_hash_and_the_same_hash_twice_match(admin: Client, bank: str) -> None:
    first = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[6]}).json()
    second = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[6]}).json()
    assert first == second
    found = admin.get("/m/lookup", signal_type="pdq", signal=CODES[6]).json()
    assert found == {bank: [{"bank_content_id": first["id"], "distance": "0"}]}


@pytest.mark.parametrize(
    "path", ["/h/hash", "/m/lookup", "/c/bank/{bank}/content"], ids=["hash", "lookup", "content"]
)
def test_a_url_is_fetched_only_from_hosts_that_were_allowed(
    admin: Client, bank: str, path: str
) -> None:
    method = "POST" if "content" in path else "GET"
    for url in ("http://127.0.0.1:1/x.png", "https://example.org/x.png", "file:///etc/passwd"):
        answer = admin._send(method, path.format(bank=bank), params={"url": url})
        assert answer.status_code == 403
        assert answer.headers["egide-code"] == "fetch-disabled"
        assert list(answer.json()) == ["message"]


def test_deleting_a_bank_erases_what_it_held(admin: Client, bank: str) -> None:
    for code in CODES[:3]:
        admin.post(f"/c/bank/{bank}/signal", json={"pdq": code})
    store = admin.served.service.store
    before = store.revision()
    for _ in range(2):  # a missing one is deleted already, as with HMA
        assert admin.delete(f"/c/bank/{bank}").json() == {"message": "Done"}
    held = list(store.entries.changes(before))
    assert [(one.bank, one.state, one.pdqs) for one in held] == [(bank, State.WITHDRAWN, ())] * 3
    assert admin.get("/m/lookup", signal_type="pdq", signal=CODES[0]).json() == {}
    assert admin.get(f"/c/bank/{bank}").status_code == 404
    assert bank not in [one["name"] for one in admin.get("/c/banks").json()]
    store.log.verify()


def test_a_deleted_name_is_free_and_what_it_held_does_not_come_back(
    admin: Client, bank: str
) -> None:
    admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[0]})
    admin.delete(f"/c/bank/{bank}")
    assert admin.post("/c/banks", json={"name": bank}).status_code == 201
    again = admin.post("/c/banks", json={"name": bank})
    assert (again.status_code, again.json()) == (403, {"message": "Bank already exists"})
    asked = {"signal_type": "pdq", "signal": CODES[0]}
    found = admin.get("/m/lookup", **asked, banks=bank)
    assert (found.json(), found.headers["egide-nothing-to-compare"]) == ({}, "true")
    content = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[0]}).json()["id"]
    assert admin.get("/m/raw_lookup", **asked, banks=bank).json() == {"matches": [content]}


def test_a_renamed_bank_keeps_what_it_holds_and_the_log_its_old_name(
    admin: Client, bank: str
) -> None:
    content = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[1]}).json()["id"]
    new = f"{bank[:50]}_NEW"
    assert admin.put(f"/c/bank/{bank}", json={"name": new, "enabled_ratio": "1"}).json() == {
        "name": new,
        "matching_enabled_ratio": 1.0,
    }
    asked = {"signal_type": "pdq", "signal": CODES[1]}
    found = admin.get("/m/lookup", **asked).json()
    assert (found.get(bank), found[new]) == (
        None,
        [{"bank_content_id": content, "distance": "0"}],
    )
    assert admin.get(f"/c/bank/{bank}").status_code == 404
    admin.post("/c/banks", json={"name": bank})
    taken = admin.put(f"/c/bank/{new}", json={"name": bank})
    assert (taken.status_code, taken.json()) == (403, {"message": "Bank already exists"})
    store = admin.served.service.store
    store.log.verify()
    told = [(one.action, one.bank) for one in store.log.records(entry=content)]
    assert told == [("register", bank), ("rename-bank", new)]


# --- what is offered ----------------------------------------------------


def test_content_shows_its_hash_only_to_who_may_read_fingerprints(admin: Client, bank: str) -> None:
    content = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[7]}).json()["id"]
    path = f"/c/bank/{bank}/content/{content}"
    shown = {
        "id": content,
        "disable_until_ts": 1,
        "collab_metadata": {},
        "original_media_uri": None,
        "bank": {"name": bank, "matching_enabled_ratio": 1.0},
    }
    told = admin.get(path).json()
    origin = told.pop("origin")
    assert told == shown
    assert (origin["kind"], origin["by"], origin["through"]) == ("key", "admin-of-all", None)
    partner = Client(admin.served, Role.PARTNER, name="follows")
    assert partner.get(path, include_signals="true").json() == shown | {
        "signals": {"pdq": CODES[7]}
    }
    assert partner.get(path).status_code == 403
    curator = Client(admin.served, Role.CURATOR, name="shows")
    assert curator.get(path).json() == shown | {"origin": origin}
    for other in (admin, curator):
        assert other.get(path, include_signals="true").status_code == 403
    [record] = [one for one in admin.served.service.store.log.records() if one.action == "hand-out"]
    assert (record.actor, record.bank) == ("follows", bank)
    assert (record.detail, len(record.subjects)) == ({"way": "hma", "entries": 1}, 1)
    assert admin.put(path, json={"disable_until_ts": 1}).json() == shown | {"origin": origin}
    assert admin.put(path, json={"disable_until_ts": 0}).status_code == 501
    for wrong in (9_999_999_999, -1, "soon", None):
        assert admin.put(path, json={"disable_until_ts": wrong}).status_code == 400
    assert admin.get(f"/c/bank/{bank}/content/999999").status_code == 404


def test_what_can_be_configured_elsewhere_is_said_honestly(admin: Client, bank: str) -> None:
    assert admin.get("/c/signal_type").json() == [
        {"name": "pdq", "enabled_ratio": 1.0},
        {"name": "video_md5", "enabled_ratio": 1.0},
    ]
    assert admin.get("/c/content_type").json() == [
        {"name": "photo", "enabled": True},
        {"name": "video", "enabled": True},
    ]
    assert admin.delete("/c/exchange/X").json() == {"message": "Exchange deleted"}
    assert admin.get("/c/exchanges").json() == []
    status = admin.get("/m/index/status").json()["pdq"]
    assert status["present"] is True
    assert status["size"] == admin.served.service.live.entry_count
    index = admin.get("/c/signal_type/index", signal_type="pdq").json()["pdq"]
    assert index["index_out_of_date"] is False
    for method, path, expected in (
        ("POST", "/c/exchanges", 400),
        ("PUT", "/c/signal_type/pdq", 501),
        ("GET", "/c/exchanges/api/fb_threatexchange", 400),
        ("GET", "/c/exchanges/api/fb_threatexchange/schema", 404),
        ("GET", "/c/exchange/X", 404),
        ("GET", "/c/exchange/X/status", 404),
        ("GET", "/ui", 404),
    ):
        answer = admin._send(method, path, json={"bank": bank} if method != "GET" else None)
        assert (path, answer.status_code) == (path, expected)
        assert list(answer.json()) == ["message"]


@pytest.mark.parametrize(
    ("method", "path", "options", "said"),
    [
        ("GET", "/m/lookup", {}, "Either url or both signal and signal_type are required"),
        ("GET", "/m/lookup", {"params": {"signal_type": "pdq", "signal": "zz"}}, "64 hexadecimal"),
        ("GET", "/m/lookup", {"params": {"signal_type": "md5", "signal": "00"}}, "No such Signal"),
        ("GET", "/m/index/status", {"params": {"signal_type": "x"}}, "No such SignalType"),
        ("POST", "/m/lookup", {}, "Neither `url` nor multipart"),
        ("POST", "/m/lookup", photo(PHOTOS[0], "picture"), "no such content_type"),
        ("POST", "/m/lookup", photo(b"words"), "not an image"),
        ("POST", "/h/hash", photo(PHOTOS[0]) | {"params": {"types": "md5"}}, "signal type"),
        ("POST", "/m/lookup", {"files": [("photo", b"a"), ("photo", b"b")]}, "Only one file"),
        ("POST", "/m/compare", {"json": {"pdq": [UNUSED]}}, "exactly 2"),
        ("POST", "/m/compare", {"json": {"pdq": [UNUSED, 7]}}, "64 hexadecimal"),
        ("POST", "/m/compare", {"json": {"tmk": [UNUSED, UNUSED]}}, "No such SignalType"),
        ("POST", "/m/compare", {"json": [1]}, "JSON object"),
        ("POST", "/m/compare", {"content": b"{"}, "no JSON"),
        ("POST", "/c/banks", {"json": {}}, "name is required"),
        ("POST", "/c/banks", {"json": {"name": "a/b"}}, "a bank's name"),
        ("POST", "/c/banks", {"json": {"name": "1_TEST"}}, "a bank's name"),
        ("POST", "/c/banks", {"json": {"name": "small"}}, "a bank's name"),
        ("POST", "/c/banks", {"json": {"name": "A", "enabled_ratio": "nan"}}, "from 0 to 1"),
        ("POST", "/c/banks", {"json": {"name": "A", "enabled_ratio": 1.5}}, "from 0 to 1"),
        ("POST", "/c/banks", {"json": {"name": "A", "enabled_ratio": []}}, "from 0 to 1"),
        ("POST", "/c/banks", {"json": {"name": "A", "enabled": "no"}}, "true or false"),
    ],
)
def test_what_is_wrong_with_a_request_is_a_message_that_repeats_nothing(
    admin: Client, method: str, path: str, options: dict[str, Any], said: str
) -> None:
    answer = admin._send(method, path, **options)
    assert answer.status_code == 400
    assert list(answer.json()) == ["message"]
    assert said in answer.json()["message"]
    assert UNUSED not in answer.text
    assert "holiday" not in answer.text


def test_signals_and_numbers_that_cannot_be_are_refused(admin: Client, bank: str) -> None:
    signals = ({}, {"pdq": ""}, {"pdq": None}, {"pdq": "0" * 64}, {"video_md5": "0" * 31}, [])
    noted = ({"note": "x"}, {"pdq": UNUSED, "note": "x" * 256}, {"pdq": UNUSED, "note": 1})
    for body in (*signals, *noted):
        answer = admin.post(f"/c/bank/{bank}/signal", json=body)
        assert (body, answer.status_code) == (body, 400)
    for number in ("-1", "x", str(1 << 63), "1e3"):
        assert admin.get(f"/c/bank/{bank}/content/{number}").status_code == 400
    for path in ("content", "signal", "content/1"):
        assert admin.get(f"/c/bank/NONE/{path}").status_code == 404
    assert admin.post("/c/bank/NONE/signal", json={"pdq": UNUSED}).status_code == 404
    assert admin.post("/c/bank/NONE/content", **photo(PHOTOS[0])).status_code == 404


def test_many_additions_take_a_second_person_as_anywhere(tmp_path: Path) -> None:
    with serve(tmp_path, hma_enabled=True, bulk_limit=1) as served:
        admin = Client(served)
        admin.post("/c/banks", json={"name": "B"})
        assert admin.post("/c/bank/B/signal", json={"pdq": CODES[0]}).status_code == 200
        refused = admin.post("/c/bank/B/signal", json={"pdq": CODES[1]})
        assert refused.status_code == 403
        assert refused.headers["egide-code"] == "approval-needed"
        [asked] = served.service.store.approvals.list()
        second, _ = served.key(Role.MODERATOR, "second")
        served.service.store.approvals.decide(asked.id, True, by=second)
        admin.headers |= {"Egide-Approval": str(asked.id)}
        assert admin.post("/c/bank/B/signal", json={"pdq": CODES[1]}).status_code == 200


def test_additions_count_alike_by_either_way(admin: Client, bank: str) -> None:
    first, *more = pictures(3)
    animation = encoded(first, "GIF", save_all=True, append_images=more)
    code = {"pdq": CODES[5]}
    kind = "image/gif"
    ways = {
        "hma": [
            (f"/hma/c/bank/{bank}/content", {"files": {"photo": ("a.gif", animation, kind)}}),
            (f"/hma/c/bank/{bank}/signal", {"json": code}),
        ],
        "api": [
            (f"/v1/banks/{bank}/entries", {"files": {"file": ("a.gif", animation, kind)}}),
            (f"/v1/banks/{bank}/entries", {"json": {"entries": [{"pdq": [CODES[5]]}]}}),
        ],
    }
    added = {}
    for way, sent in ways.items():
        key, token = admin.served.key(Role.CURATOR, f"counted-{way}")
        for path, body in sent:
            answer = admin.served.client.post(path, headers=bearer(token), **body)
            assert answer.status_code in {200, 201}, answer.text
        with admin.served.service.store._database.read() as connection:
            query = sa.select(sa.func.sum(key_usage.c.added)).where(key_usage.c.key_id == key.id)
            added[way] = connection.execute(query).scalar()
    assert added["hma"] == added["api"] > 2


# --- who may ------------------------------------------------------------

ROUTES = [
    ("POST", "/h/hash", Role.MATCHER),
    ("GET", "/m/lookup", Role.MATCHER),
    ("POST", "/m/lookup", Role.MATCHER),
    ("GET", "/m/raw_lookup", Role.MATCHER),
    ("POST", "/m/compare", Role.MATCHER),
    ("GET", "/m/index/status", Role.MATCHER),
    ("GET", "/c/banks", Role.CURATOR),
    ("GET", "/c/bank/NONE", Role.CURATOR),
    ("POST", "/c/bank/NONE/content", Role.CURATOR),
    ("GET", "/c/bank/NONE/content/1", Role.CURATOR),
    ("PUT", "/c/bank/NONE/content/1", Role.CURATOR),
    ("DELETE", "/c/bank/NONE/content/1", Role.CURATOR),
    ("POST", "/c/bank/NONE/signal", Role.CURATOR),
    ("POST", "/c/banks", Role.ADMIN),
    ("PUT", "/c/bank/NONE", Role.ADMIN),
    ("DELETE", "/c/bank/NONE", Role.ADMIN),
    ("POST", "/c/exchanges", Role.MATCHER),
    ("PUT", "/c/signal_type/pdq", Role.ADMIN),
    ("GET", "/c/signal_type", Role.MATCHER),
    ("GET", "/c/signal_type/index", Role.MATCHER),
    ("GET", "/c/content_type", Role.MATCHER),
    ("GET", "/c/exchanges", Role.MATCHER),
    ("GET", "/h/hash", Role.MATCHER),
    ("GET", "/c/exchanges/apis", Role.MATCHER),
    ("GET", "/c/exchanges/api/x", Role.MATCHER),
    ("POST", "/c/exchanges/api/x", Role.MATCHER),
    ("GET", "/c/exchanges/api/x/schema", Role.MATCHER),
    ("GET", "/c/exchange/X", Role.MATCHER),
    ("PUT", "/c/exchange/X", Role.MATCHER),
    ("DELETE", "/c/exchange/X", Role.MATCHER),
    ("GET", "/c/exchange/X/status", Role.MATCHER),
    ("POST", "/c/exchange/X/credentials", Role.MATCHER),
]


LADDER = [Role.MATCHER, Role.CURATOR, Role.MODERATOR, Role.ADMIN]


@pytest.fixture(scope="module")
def keys(served: Served) -> dict[Role, dict[str, str]]:
    return {role: served.as_role(role, name=f"matrix-{role.value}") for role in LADDER}


@pytest.mark.parametrize(("method", "path", "least"), ROUTES)
def test_every_route_asks_for_a_key_and_its_role(
    served: Served, keys: dict[Role, dict[str, str]], method: str, path: str, least: Role
) -> None:
    assert served.client.request(method, f"/hma{path}").status_code == 401
    passed = [
        role
        for role in LADDER
        if served.client.request(method, f"/hma{path}", headers=keys[role]).status_code != 403
    ]
    assert passed == LADDER[LADDER.index(least) :]


def test_the_matrix_names_every_route() -> None:
    named = {(method, path) for method, path, _ in ROUTES}
    for part in (banks, catalogue, content, matching):
        for route in part.router.routes:
            if route.path.startswith("/status"):
                continue  # open, as with HMA
            pattern = re.sub(r"\{\w+\}", "[^/]+", route.path)
            for method in route.methods:
                asked = [path for named_method, path in named if named_method == method]
                assert any(re.fullmatch(pattern, path) for path in asked), (method, route.path)


def test_a_key_sees_only_its_banks(admin: Client, bank: str) -> None:
    admin.post("/c/banks", json={"name": "APART"})
    content = admin.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[2]}).json()["id"]
    scoped = Client(admin.served, Role.CURATOR, name="apart", banks=["APART"])
    assert [one["name"] for one in scoped.get("/c/banks").json()] == ["APART"]
    assert bank not in scoped.get("/m/lookup", signal_type="pdq", signal=CODES[2]).json()
    for answer in (
        scoped.get(f"/c/bank/{bank}"),
        scoped.get(f"/c/bank/{bank}/content/{content}"),
        scoped.delete(f"/c/bank/{bank}/content/{content}"),
        scoped.post(f"/c/bank/{bank}/signal", json={"pdq": CODES[2]}),
        scoped.post(f"/c/bank/{bank}/content", **photo(PHOTOS[2])),
    ):
        assert answer.status_code == 404


def test_the_mount_is_off_unless_enabled(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        headers = served.as_role(Role.ADMIN)
        assert served.client.get("/hma/status", headers=headers).status_code == 404


def from_address(served: Served, address: str) -> TestClient:
    return served.another_client(client=(address, 50000))


def test_a_network_that_was_named_needs_no_key_and_acts_in_one_role(tmp_path: Path) -> None:
    networks = "10.1.0.0/16, fd00::/8"
    with serve(tmp_path, hma_enabled=True, hma_networks=networks) as served:
        within = from_address(served, "10.1.2.3")
        assert within.get("/hma/c/content_type").status_code == 200
        assert from_address(served, "::ffff:10.1.2.3").get("/hma/c/content_type").status_code == 200
        assert from_address(served, "fd00::1").get("/hma/c/content_type").status_code == 200
        assert within.post("/hma/c/banks", json={"name": "B"}).status_code == 403
        for address in ("10.2.0.1", "127.0.0.1", "::1", "unix"):
            assert from_address(served, address).get("/hma/c/content_type").status_code == 401
        # Neither a header nor a browser within the network opens it; nor does it open API v1.
        claims = {"X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
        outside = from_address(served, "10.2.0.1")
        assert outside.get("/hma/c/content_type", headers=claims).status_code == 401
        for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert within.get("/hma/c/content_type", headers=header).status_code == 401
        assert within.get("/v1/status").status_code == 401
        assert within.get("/hma/c/content_type", headers=bearer("egide_wrong")).status_code == 401


def test_writes_from_a_network_are_logged_counted_and_revocable(tmp_path: Path) -> None:
    with serve(
        tmp_path, hma_enabled=True, hma_networks="10.0.0.0/8", hma_role="curator", bulk_limit=2
    ) as served:
        store = served.service.store
        ChangingStore.of(store).banks.create("B")
        within = from_address(served, "10.0.0.9")
        for code in CODES[:2]:
            assert within.post("/hma/c/bank/B/signal", json={"pdq": code}).status_code == 200
        assert within.post("/hma/c/bank/B/signal", json={"pdq": CODES[2]}).status_code == 403
        assert {entry.source for entry in store.entries.list("B")} == {"key:hma-curator"}
        actors = {record.actor for record in store.log.records(limit=100)}
        assert "hma-curator" in actors
        store.keys.revoke("hma-curator")
        wait_until_refused(within)


def wait_until_refused(client: TestClient) -> None:
    until = time.monotonic() + 20
    while client.get("/hma/c/content_type").status_code != 401:
        assert time.monotonic() < until, "a revoked key still opens"
        time.sleep(0.1)


@pytest.mark.parametrize("role", ["partner", "moderator", "admin"])
def test_a_network_cannot_act_in_a_persons_role(tmp_path: Path, role: str) -> None:
    settings = ServerSettings(
        store=f"sqlite:///{tmp_path}/x.db",
        hma_enabled=True,
        hma_networks="10.0.0.0/8",
        hma_role=role,
    )
    with pytest.raises(SettingInvalid, match="hma_role"):
        create_app(settings)


def test_a_fast_hash_is_not_what_is_registered(admin: Client, bank: str) -> None:
    data = encoded(pictures(8)[3].resize((1600, 1200)), quality=85)
    exact = egide.fingerprint(data, mode=Mode.EXACT).frames[0].code.hex()
    assert admin.post("/h/hash", **photo(data)).json() == {"pdq": exact}
    added = admin.post(f"/c/bank/{bank}/content", **photo(data)).json()
    assert added["signals"] == {"pdq": exact}
