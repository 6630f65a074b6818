"""The feed that other registers follow."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from api_samples import Api, code_of, pdq
from egide.domain.access import Role
from egide.domain.model import Registration
from egide.server.api.schemas.register import Changes
from egide.store.changing import ChangingStore as Store
from server_samples import serve
from store_samples import anchored


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with serve(tmp_path_factory.mktemp("api")) as served:
        yield Api(served)


def follow(api: Api, start: dict[str, int], limit: int = 2, **params: Any) -> list[Any]:
    """Read all pages from a position, as a partner does; return them."""
    pages, position = [], start
    while True:
        query = params | position | {"limit": limit}
        page = api.get("/changes", role=Role.PARTNER, params=query)
        pages.append(page)
        assert len(page["entries"]) <= limit
        if not page["more"]:
            return pages
        position = page["next"]


def ids(pages: list[Any]) -> list[int]:
    return [entry["id"] for page in pages for entry in page["entries"]]


def test_active_entry_has_its_fingerprint_and_nothing_else(api: Api) -> None:
    bank = api.bank()
    code = bytes.fromhex(pdq(1))
    Store.of(api.store).entries.register(
        bank,
        [
            Registration(
                (code,),
                sha256=code,
                quality=70,
                source="case-9",
                note="private words",
                trimmed_pdqs=(bytes.fromhex(pdq(2)),),
                anchored=anchored(1),
            )
        ],
    )

    response = api.send("GET", "/changes", role=Role.PARTNER, params={"bank": bank})

    [entry] = response.json()["entries"]
    assert set(entry) == {
        *("id", "bank", "bank_kind", "revision", "state", "trust"),
        *("fingerprint", "quality", "added", "changed", "expires"),
    }
    assert entry["fingerprint"] == {
        "pdq": [pdq(1)],
        "anchored": [code.hex() for code in anchored(1)],
        "video": None,
        "sha256": pdq(1),
        "sha1": None,
        "md5": None,
        "url_sha256": None,
        "url_md5": None,
    }
    assert (entry["state"], entry["trust"], entry["quality"]) == ("active", "unverified", 70)
    for hidden in ("case-9", "private words", pdq(2)):
        assert hidden not in response.text
    assert response.json()["store_id"] == api.store.id
    assert Changes.model_validate(response.json()).entries[0].id == entry["id"]


def test_ended_entries_have_no_fingerprint(api: Api) -> None:
    bank = api.bank()
    first, second, third = api.register(bank, 1, 2, 3)
    api.post(f"/banks/{bank}/entries/{first}/withdraw")
    api.post(f"/banks/{bank}/entries/{second}/tombstone")

    ended = api.get("/changes", role=Role.PARTNER, params={"bank": bank, "only": "ended"})[
        "entries"
    ]
    every = api.get("/changes", role=Role.PARTNER, params={"bank": bank})["entries"]

    assert [(one["id"], one["state"], one["fingerprint"]) for one in ended] == [
        (first, "withdrawn", None),
        (second, "tombstoned", None),
    ]
    assert [one["id"] for one in every] == [third, first, second]
    assert pdq(2) not in json.dumps([ended, every[1:]])


def test_pages_bring_each_entry_once_and_go_on_where_they_ended(api: Api) -> None:
    bank, other = api.bank(), api.bank()
    start = follow(api, {"since": 0, "after": 0}, limit=1000)[-1]["next"]
    entries = api.register(bank, *range(5)) + api.register(other, 1, 2)
    api.post(f"/banks/{bank}/entries/{entries[0]}/withdraw")

    pages = follow(api, start)
    assert ids(pages) == [*entries[1:], entries[0]]
    last = pages[-1]
    assert last["revision"] == last["next"]["since"] == api.store.revision()

    [page] = follow(api, last["next"])
    assert (page["entries"], page["next"]) == ([], last["next"])
    api.post(f"/banks/{bank}/entries/{entries[2]}/confirm")
    assert ids(follow(api, last["next"])) == [entries[2]]


def test_what_was_left_out_is_not_looked_at_again(api: Api) -> None:
    bank, other = api.bank(), api.bank()
    api.register(bank, 1)
    api.register(other, 1, 2, 3)

    page = api.get("/changes", role=Role.PARTNER, params={"bank": bank})
    ended = api.get("/changes", role=Role.PARTNER, params={"only": "ended"})

    assert page["next"]["since"] == ended["next"]["since"] == api.store.revision()


def test_revision_alone_means_all_of_it_is_known(api: Api) -> None:
    bank = api.bank()
    api.register(bank, 1, 2)
    revision = api.store.revision()

    assert api.get("/changes", role=Role.PARTNER, params={"since": revision})["entries"] == []
    assert (
        len(
            api.get("/changes", role=Role.PARTNER, params={"since": revision, "after": 0})[
                "entries"
            ]
        )
        == 2
    )
    assert (
        len(api.get("/changes", role=Role.PARTNER, params={"since": revision - 1})["entries"]) == 2
    )


def test_scoped_key_follows_its_banks_alone(api: Api) -> None:
    own, other = api.bank(), api.bank()
    [entry] = api.register(own, 1)
    api.register(other, 1)
    _, token = api.key(Role.PARTNER, banks=[own])

    page = api.get("/changes", token=token)

    assert [one["id"] for one in page["entries"]] == [entry]
    response = api.send("GET", "/changes", token=token, params={"bank": other})
    assert code_of(response) == "bank-missing"
    assert (
        code_of(api.send("GET", "/changes", role=Role.PARTNER, params={"bank": "absent"}))
        == "bank-missing"
    )


def test_only_a_partner_gets_fingerprints(api: Api) -> None:
    for role in set(Role) - {Role.PARTNER}:
        response = api.send("GET", "/changes", role=role)
        assert (response.status_code, code_of(response)) == (403, "forbidden")


@pytest.mark.parametrize(
    "params",
    [
        {"since": -1},
        {"since": 2**63},
        {"limit": 0},
        {"limit": 1001},
        {"only": "active"},
        {"bnak": "helpline"},
        {"bank": "helpline\n"},
        {"bank": "' OR 1=1"},
    ],
)
def test_query_out_of_bounds_is_refused(api: Api, params: dict[str, Any]) -> None:
    response = api.send("GET", "/changes", role=Role.PARTNER, params=params)

    assert (response.status_code, code_of(response)) == (422, "request-invalid")


def _random_change(store: Store, banks: list[str], chance: random.Random) -> None:
    bank = chance.choice(banks)
    entries = [entry.id for entry in store.entries.list(bank) if entry.state.value == "active"]
    act = chance.choice(["register", "withdraw", "confirm", "tombstone"])
    if act == "register" or not entries:
        codes = [bytes.fromhex(pdq(chance.randrange(10**9))) for _ in range(chance.randint(1, 4))]
        store.entries.register(bank, [Registration((code,)) for code in codes])
    else:
        picked = chance.sample(entries, min(len(entries), chance.randint(1, 3)))
        {
            "withdraw": store.entries.withdraw,
            "confirm": store.entries.confirm,
            "tombstone": store.entries.tombstone,
        }[act](bank, picked)


@pytest.mark.parametrize(
    "databases", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("ended_only", [False, True])
def test_follower_that_breaks_off_anywhere_ends_with_what_the_store_has(
    databases: str, ended_only: bool, tmp_path: Any, request: pytest.FixtureRequest
) -> None:
    if databases == "sqlite":
        url = f"sqlite:///{tmp_path}/egide.db"
    else:
        url = request.getfixturevalue("postgres_url")("feed")
    chance = random.Random(7)
    seen: dict[int, tuple[str, str]] = {}
    with Store.open(url, create=True) as store:
        banks = [store.banks.create(name).name for name in ("a", "b")]
        since, after = 0, 0
        for _ in range(60):
            _random_change(store, banks, chance)
            if chance.random() < 0.3:
                page = store.feed.page(
                    since, after=after, limit=chance.randint(1, 4), ended_only=ended_only
                )
                seen |= {one.id: (one.state.value, one.trust.value) for one in page.entries}
                since, after = page.next.since, page.next.after
        more = True
        while more:
            page = store.feed.page(since, after=after, limit=3, ended_only=ended_only)
            seen |= {one.id: (one.state.value, one.trust.value) for one in page.entries}
            since, after, more = page.next.since, page.next.after, page.more

        expected = {
            entry.id: (entry.state.value, entry.trust.value)
            for bank in banks
            for entry in store.entries.list(bank)
            if not ended_only or entry.state.value != "active"
        }
    assert seen == expected
