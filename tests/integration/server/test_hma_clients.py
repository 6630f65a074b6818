"""What real clients of HMA send, without a key, from a network that may keep banks."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from egide.domain.access import NETWORK_RATE, Role
from egide.domain.model import State
from egide.store.changing import ChangingStore
from egide.usecases.banks import ensure_bank_of_people
from pictures import encoded, pictures
from server_samples import Served, bearer, serve
from shared_folder import SHARED, needs_shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi.testclient import TestClient

PHOTO = encoded(pictures(8)[0], "PNG")
FILM = b"\x00\x00\x00\x18ftypmp42 no film, but bytes of one"
FILM_MD5 = hashlib.md5(FILM, usedforsecurity=False).hexdigest()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("clients"),
        hma_enabled=True,
        hma_networks="10.0.0.0/8",
        hma_role="keeper",
        hma_at_root=True,
        hma_own_hash=True,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def tool(served: Served) -> TestClient:
    """A client within the network."""
    return served.another_client(client=("10.0.0.9", 50000))


def send(served: Served, tool: TestClient, method: str, path: str, **options: Any) -> Any:
    answer = tool.request(method, path, follow_redirects=False, **options)
    served.wait_for(served.service.store.revision())
    return answer


def posted(data: bytes, field: str = "photo", **fields: str) -> dict[str, Any]:
    return {"files": {field: ("x", data, "application/octet-stream")}, "data": fields}


def made_bank(served: Served, tool: TestClient, name: str) -> str:
    assert send(served, tool, "POST", "/hma//c/banks", json={"name": name}).status_code == 201
    return name


# --- Coop: banks of its own, without a key ------------------------------


def test_a_moderation_tool_keeps_its_banks_and_what_it_says_of_content(
    served: Served, tool: TestClient
) -> None:
    base = "/hma//c"  # its base URL ends with a slash
    made = send(
        served, tool, "POST", f"{base}/banks", json={"name": "COOP_A", "enabled_ratio": "1"}
    )
    assert (made.status_code, made.json()["matching_enabled_ratio"]) == (201, 1.0)
    own = {"content_id": "c1", "content_uri": "https://x.example/1", "metadata": '{"queue": "q"}'}
    added = send(served, tool, "POST", f"{base}/bank/COOP_A/content", **posted(PHOTO, **own))
    content = added.json()["id"]
    path = f"/hma/c/bank/COOP_A/content/{content}"
    shown = tool.get(path).json()
    assert shown["metadata"] == {
        "content_id": "c1",
        "content_uri": "https://x.example/1",
        "json": {"queue": "q"},
        "collab": None,
    }
    assert (shown["origin"]["by"], "note" in shown) == ("hma-keeper", False)
    assert "metadata" not in tool.get(path, params={"include_metadata": "false"}).json()
    assert (
        send(served, tool, "PUT", path, json={"note": "seen twice"}).json()["note"] == "seen twice"
    )
    assert "note" not in send(served, tool, "PUT", path, json={"note": ""}).json()

    # It renames by making the new bank and deleting the old one; the old name comes back later.
    made_bank(served, tool, "COOP_B")
    assert send(served, tool, "DELETE", f"{base}/bank/COOP_A").status_code == 200
    assert tool.get(f"{base}/bank/COOP_A").status_code == 404
    made_bank(served, tool, "COOP_A")
    again = send(served, tool, "POST", f"{base}/bank/COOP_A/content", **posted(PHOTO)).json()["id"]
    assert again != content
    assert "metadata" not in tool.get(f"/hma/c/bank/COOP_A/content/{again}").json()
    assert served.service.store.entries.metadata(content) == ""
    for bank in ("COOP_A", "COOP_B"):
        send(served, tool, "DELETE", f"{base}/bank/{bank}")


def test_what_is_said_is_bounded_and_stands_in_no_log(served: Served, tool: TestClient) -> None:
    bank = made_bank(served, tool, "SAID")
    said = "A-NOTE-ABOUT-SOMEBODY"
    code = {"pdq": "0f" * 16 + "3c" * 16, "note": said}
    entry = send(served, tool, "POST", f"/hma/c/bank/{bank}/signal", json=code).json()["id"]
    assert tool.get(f"/hma/c/bank/{bank}/content/{entry}").json()["note"] == said
    records = [str(record) for record in served.service.store.log.records()]
    assert not any(said in record for record in records)
    for fields in (
        {"metadata": json.dumps({"json": {"a": "x" * 5000}})},
        {"metadata": "no json"},
        {"metadata": "[1]"},
        {"metadata": '{"content_id": 7}'},
        {"note": "x" * 256},
        {"content_id": "x" * 5000},
    ):
        refused = send(
            served, tool, "POST", f"/hma/c/bank/{bank}/content", **posted(PHOTO, **fields)
        )
        assert (fields, refused.status_code) == (fields, 400)
        assert "xxxx" not in refused.text
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}/content/{entry}")
    [held] = served.service.store.entries.list(bank)
    assert (held.state, held.note) == (State.WITHDRAWN, "")
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}")


def test_a_network_that_keeps_banks_reaches_none_that_people_register_in(
    served: Served, tool: TestClient
) -> None:
    store = served.service.store
    banks = ChangingStore.of(store).banks
    banks.create("helpline")
    curator = served.as_role(Role.CURATOR, name="helper")
    body = {"entries": [{"pdq": ["0f" * 16 + "5a" * 16], "note": "of a person"}]}
    registered = served.client.post("/v1/banks/helpline/entries", json=body, headers=curator)
    entry = registered.json()["outcomes"][0]["entry"]
    own = made_bank(served, tool, "TAKEN_OVER")
    ensure_bank_of_people(store, own, "now the pages' own")

    for bank in ("helpline", own):
        path = f"/hma/c/bank/{bank}"
        for method, where, options in (
            ("GET", path, {}),
            ("PUT", path, {"json": {"enabled_ratio": 0}}),
            ("PUT", path, {"json": {"name": "MINE"}}),
            ("POST", f"{path}/signal", {"json": {"pdq": "0f" * 32}}),
            ("POST", f"{path}/content", posted(PHOTO)),
            ("GET", f"{path}/content/{entry}", {}),
            ("GET", f"{path}/content/{entry}", {"params": {"include_signals": "true"}}),
            ("PUT", f"{path}/content/{entry}", {"json": {"note": "x"}}),
            ("DELETE", f"{path}/content/{entry}", {}),
        ):
            answer = send(served, tool, method, where, **options)
            assert (method, where, answer.status_code) == (method, where, 404)
            assert "of a person" not in answer.text
        send(served, tool, "DELETE", path)
        assert store.banks.get(bank).enabled
    assert tool.get("/hma/c/banks").json() == []
    assert store.entries.get("helpline", entry).state is State.ACTIVE
    # A key of the role has no more of it, and nothing of API v1's.
    keeper = served.as_role(Role.KEEPER, name="tool-with-a-key")
    for method, where in (
        ("GET", "/v1/banks"),
        ("GET", "/v1/banks/helpline/entries"),
        ("POST", "/v1/banks/helpline/entries"),
        ("POST", f"/v1/banks/helpline/entries/{entry}/withdraw"),
        ("POST", "/v1/banks"),
    ):
        answer = served.client.request(method, where, headers=keeper, json=body)
        assert (where, answer.status_code) == (where, 403)


def test_a_share_of_look_ups_is_the_same_each_time(served: Served, tool: TestClient) -> None:
    bank = made_bank(served, tool, "SHARE")
    codes = [f"{value:08x}" * 8 for value in range(0x0F0F0F00, 0x0F0F0F10)]
    for code in codes[::8]:
        send(served, tool, "POST", f"/hma/c/bank/{bank}/signal", json={"pdq": code})
    changed = send(served, tool, "PUT", f"/hma/c/bank/{bank}", json={"enabled_ratio": 0.5})
    assert changed.json()["matching_enabled_ratio"] == 0.5

    def found(code: str, **more: str) -> bool:
        asked = {"signal_type": "pdq", "signal": code, "banks": bank, **more}
        answer = tool.get("/hma/m/lookup", params=asked)
        left_out = answer.headers.get("egide-left-out") == "1"
        assert left_out is (answer.json() == {})
        return not left_out

    first = [found(code) for code in codes]
    assert {True, False} == set(first)
    assert [found(code) for code in codes] == first
    assert all(found(code, bypass_coinflip="true") for code in codes)
    assert len({found(code, seed="one") for code in codes}) == 1
    off = send(served, tool, "PUT", f"/hma/c/bank/{bank}", json={"enabled_ratio": "0"})
    assert off.json()["matching_enabled_ratio"] == 0.0
    asked = {"signal_type": "pdq", "signal": codes[0], "bypass_coinflip": "true"}
    assert tool.get("/hma/m/lookup", params=asked).json() == {}
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}")


# --- policyserv, in Go: films, and never a 429 --------------------------


def test_a_film_is_looked_up_by_its_md5(served: Served, tool: TestClient) -> None:
    bank = made_bank(served, tool, "FILMS")
    assert tool.post("/hma/h/hash", **posted(FILM, "video")).json() == {"video_md5": FILM_MD5}
    asked = {"signal_type": "video_md5", "signal": FILM_MD5}
    assert tool.get("/hma/m/lookup", params=asked).json() == {}
    added = send(served, tool, "POST", f"/hma/c/bank/{bank}/content", **posted(FILM, "video"))
    assert added.json()["signals"] == {"video_md5": FILM_MD5}
    found = {bank: [{"bank_content_id": added.json()["id"], "distance": "0"}]}
    assert tool.get("/hma/m/lookup", params=asked).json() == found
    assert tool.post("/hma/m/lookup", **posted(FILM, "video")).json() == {"video_md5": found}
    listed = {"video_md5": "c0ffee" * 5 + "42"}
    entry = send(served, tool, "POST", f"/hma/c/bank/{bank}/signal", json=listed).json()["id"]
    asked["signal"] = listed["video_md5"].upper()
    assert tool.get("/hma/m/raw_lookup", params=asked).json() == {"matches": [entry]}
    pair = {"video_md5": [FILM_MD5, FILM_MD5.upper()]}
    assert tool.post("/hma/m/compare", json=pair).json() == {"video_md5": [True, {}]}
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}")


def test_a_network_is_not_held_to_a_keys_rate(served: Served, tool: TestClient) -> None:
    assert tool.get("/hma/c/banks").status_code == 200
    used, _ = tool.app.state.hma_callers._known  # type: ignore[attr-defined]
    assert (used.per_second, used.per_day) == (NETWORK_RATE.per_second, NETWORK_RATE.per_day)
    for _ in range(5):  # what 1,000 look-ups cost, at once
        served.service.allowances.spend(used, 200)


# --- others -------------------------------------------------------------


def test_a_client_that_drops_the_prefix_is_answered_at_the_root(
    served: Served, tool: TestClient
) -> None:
    assert tool.get("/status").text == "I-AM-ALIVE"
    assert tool.get("/c//banks").json() == tool.get("/hma/c/banks").json()
    assert "pdq" in tool.post("/h/hash", **posted(PHOTO)).json()
    outside = served.client
    assert outside.get("/c/banks").status_code == 401
    assert outside.post("/h/hash", **posted(PHOTO)).status_code == 401
    assert outside.get("/c/banks").json()["message"]
    assert outside.get("/healthz").status_code == 200
    assert outside.get("/v1/status").json()["code"] == "unauthorized"


def test_what_says_nothing_of_the_register_needs_no_key(served: Served) -> None:
    outside = served.client
    for path in ("/hma/status", "/hma/status/live"):
        assert outside.get(path).text == "I-AM-ALIVE"
    paths = outside.get("/hma/site-map").json()
    document = outside.get("/hma/openapi/openapi.json").json()
    assert document["info"]["title"] == "Open Media Match API"
    assert document == outside.get("/hma/openapi").json()
    assert {"/m/lookup", "/c/banks", "/status/live"} <= set(paths) & set(document["paths"])
    assert outside.get("/hma/ui").status_code == 401
    for path in ("/hma/statusx", "/hma/openapi/x", "/hma/site-map/c/banks"):
        assert outside.get(path).status_code == 404


def test_a_files_look_up_has_the_distances_of_hash_then_look_up(
    served: Served, tool: TestClient
) -> None:
    bank = made_bank(served, tool, "DISTANCES")
    send(served, tool, "POST", f"/hma/c/bank/{bank}/content", **posted(PHOTO))
    for quality in (20, 40, 60):
        image = pictures(8)[0].convert("RGB").resize((1024, 683))
        copy = encoded(image, "JPEG", quality=quality)
        code = tool.post("/hma/h/hash", **posted(copy)).json()["pdq"]
        asked = {"signal_type": "pdq", "signal": code}
        by_hash = tool.get("/hma/m/lookup", params=asked).json()
        assert by_hash[bank]
        assert tool.post("/hma/m/lookup", **posted(copy)).json()["pdq"] == by_hash
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}")


def hidden(image: Image.Image) -> bytes:
    layers = image.convert("RGBA")
    layers.putalpha(Image.linear_gradient("L").resize(image.size))
    return encoded(layers, "PNG")


def as_cmyk(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.convert("CMYK").save(stream, "TIFF")
    return stream.getvalue()


@pytest.mark.parametrize(
    "drawn",
    [lambda image: encoded(image.convert("P"), "PNG"), as_cmyk, hidden],
    ids=["palette", "cmyk", "alpha"],
)
def test_a_hash_that_hma_made_of_what_is_stored_is_found_too(
    served: Served, tool: TestClient, drawn: Any
) -> None:
    from egide import fingerprint

    data = drawn(pictures(8)[3].convert("RGB"))
    made = fingerprint(data, as_stored=True)
    assert made.as_stored is not None
    assert made.pdq is not None
    assert tool.post("/hma/h/hash", **posted(data)).json() == {"pdq": made.pdq.code.hex()}
    bank = made_bank(served, tool, "MADE_BY_HMA")
    code = {"pdq": made.as_stored.code.hex()}
    entry = send(served, tool, "POST", f"/hma/c/bank/{bank}/signal", json=code).json()["id"]
    found = tool.post("/hma/m/lookup", **posted(data)).json()["pdq"]
    assert found == {bank: [{"bank_content_id": entry, "distance": "0"}]}
    send(served, tool, "DELETE", f"/hma/c/bank/{bank}")


@needs_shared
def test_hmas_hash_of_hidden_colours_is_threatexchanges() -> None:
    from egide import fingerprint

    folder = SHARED / "field"
    expected = json.loads((folder / "expected.json").read_text())["alpha_hiddencolour.png"]
    made = fingerprint(folder / "alpha_hiddencolour.png", as_stored=True)
    assert made.as_stored is not None
    assert made.as_stored.code.hex() == expected["tx_pdq"]


def test_a_match_says_where_its_entry_came_from_to_who_may_read_entries(served: Served) -> None:
    code = "0f" * 16 + "99" * 16
    ChangingStore.of(served.service.store).banks.create("traced")
    curator = served.as_role(Role.CURATOR, name="anna")
    body = {"entries": [{"pdq": [code], "source": "list-7"}]}
    served.client.post("/v1/banks/traced/entries", json=body, headers=curator)
    served.wait_for(served.service.store.revision())
    asked = {"fingerprints": [{"pdq": code}], "banks": ["traced"]}

    def matches(headers: dict[str, str]) -> Any:
        answer = served.client.post("/v1/match/fingerprints", json=asked, headers=headers)
        return answer.json()["results"][0]["matches"]

    [match] = matches(curator)
    origin = match["origin"]
    assert origin.pop("added").endswith("Z")
    assert origin == {"kind": "key", "source": "key:anna/list-7", "by": "anna", "through": "list-7"}
    for role in (Role.MATCHER, Role.PARTNER, Role.KEEPER):
        [match] = matches(bearer(served.key(role, f"traces-{role.value}")[1]))
        assert "origin" not in match
