from __future__ import annotations

import copy
import json
import tracemalloc
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.domain.model import MAX_ANCHORED, State, Trust
from egide.errors import FetchRefused, SettingInvalid, SyncError
from egide.net.answers import AnswerInvalidError, read_json
from egide.partners.client import MAX_CODES, MAX_PAGE, RegisterClient, partner_policy
from store_samples import anchored, region_code

REGIONS = [code.hex() for code in anchored(1)]
HEX = {"pdq": ["0f" * 32], "sha256": "a0" * 32, "md5": None, "anchored": REGIONS[::-1]}
ENTRY = {
    "id": 5,
    "bank": "helpline",
    "revision": 12,
    "state": "active",
    "trust": "confirmed",
    "fingerprint": HEX,
    "quality": 97,
    "added": "2026-11-01T10:00:00Z",
    "changed": "2026-11-02T12:00:00.25+02:00",
    "expires": None,
}
PAGE = {
    "store_id": "4b1c1e0a-7d53-4f4e-9c6b-0d8a3c0f9e11",
    "revision": 17,
    "entries": [ENTRY],
    "next": {"since": 12, "after": 5},
    "more": True,
}


ANCHORED = ("entries", 0, "fingerprint", "anchored")


def client_of(answer, url="https://register.example.org/egide/"):
    """A client of a register that answers with this, whatever is asked."""
    client = RegisterClient(url, "egide_key", partner_policy(url), name="helpline")
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    client._get = lambda _: body
    return client


def changed(path, value):
    page = copy.deepcopy(PAGE)
    at = page
    for step in path[:-1]:
        at = at[step]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return page


def test_page_of_changes_is_read():
    page = client_of(PAGE).changes(10)
    (entry,) = page.entries
    assert (entry.id, entry.bank, entry.revision) == (5, "helpline", 12)
    assert (entry.state, entry.trust, entry.quality) == (State.ACTIVE, Trust.CONFIRMED, 97)
    assert (entry.pdqs, entry.sha256, entry.md5) == ((b"\x0f" * 32,), b"\xa0" * 32, None)
    assert (entry.anchored, entry.anchored_refused) == (anchored(1), False)
    assert entry.added == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert entry.changed == datetime(2026, 11, 2, 10, 0, 0, 250_000, tzinfo=UTC)
    assert entry.expires is None
    assert (page.next_since, page.next_after, page.revision, page.more) == (12, 5, 17, True)
    assert page.store_id == PAGE["store_id"]


@pytest.mark.parametrize("codes", [["00" * 32], ["ff" * 32], [*REGIONS, "0f" * 31 + "00"]])
def test_anchored_hashes_that_no_picture_has_are_left_out_and_told(codes):
    (entry,) = client_of(changed(ANCHORED, codes)).changes(10).entries
    assert (entry.anchored, entry.anchored_refused) == (None, True)
    assert entry.pdqs


def test_an_entry_has_as_many_anchored_hashes_as_a_picture():
    most = [region_code(number).hex() for number in range(MAX_ANCHORED)]
    (entry,) = client_of(changed(ANCHORED, most)).changes(10).entries
    assert len(entry.anchored) == MAX_ANCHORED
    with pytest.raises(SyncError, match="anchored"):
        client_of(changed(ANCHORED, [*most, most[0]])).changes(10)


def test_fields_of_a_later_version_are_no_error():
    page = PAGE | {"later": 1, "entries": [ENTRY | {"later": {"a": []}}]}
    assert client_of(page).changes(0).entries[0].id == 5


def test_entry_does_not_show_its_fingerprint():
    shown = repr(client_of(PAGE).changes(0))
    assert "0f0f" not in shown
    assert "x0f" not in shown
    assert "xa0" not in shown


@pytest.mark.parametrize("state", ["withdrawn", "expired"])
def test_fingerprint_of_an_ended_entry_is_not_taken(state):
    for fingerprint in (HEX, None):
        page = PAGE | {"entries": [ENTRY | {"state": state, "fingerprint": fingerprint}]}
        entry = client_of(page).changes(0, only_ended=True).entries[0]
        assert entry.state == state
        assert (entry.pdqs, entry.sha256, entry.md5) == ((), None, None)
        assert entry.anchored is None


WRONG = [None, True, 1, -1, 1.5, 2**63, "", "x", [], {}, [None], "\ud800", "active\n"]
PLACES = [
    ("store_id",),
    ("revision",),
    ("entries",),
    ("next",),
    ("next", "since"),
    ("next", "after"),
    ("more",),
    *(("entries", 0, name) for name in ENTRY),
    *(("entries", 0, "fingerprint", name) for name in HEX),
    ("entries", 0, "fingerprint", "pdq", 0),
    (*ANCHORED, 0),
]
# What is right in one place and wrong in all others.
RIGHT = {
    ("store_id",): ["x"],
    ("revision",): [1],
    ("entries",): [[]],
    ("more",): [True],
    ("entries", 0, "id"): [1],
    ("entries", 0, "bank"): ["x"],
    ("entries", 0, "revision"): [1],
    ("entries", 0, "quality"): [None, 1],
    ("entries", 0, "expires"): [None],
    ("entries", 0, "fingerprint", "sha256"): [None],
    ("entries", 0, "fingerprint", "md5"): [None],
    ("entries", 0, "fingerprint", "pdq"): [[]],
    ANCHORED: [None, [], ...],
}


def same(one, other):
    return type(one) is type(other) and one == other


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_wrong_value_anywhere_is_an_error(place):
    absent = [] if isinstance(place[-1], int) else [...]
    for value in [*WRONG, *absent]:
        client = client_of(changed(place, value))
        if any(same(value, right) for right in RIGHT.get(place, [])):
            client.changes(0)
        else:
            with pytest.raises(SyncError, match="not as promised"):
                client.changes(0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bank", "../etc"),
        ("bank", "a" * 65),
        ("state", "Active"),
        ("state", "deleted"),
        ("trust", "trusted"),
        ("quality", 101),
        ("id", 0),
        ("id", "5"),
        ("revision", 0),
        ("added", "2026-11-01"),
        ("added", "2026-11-01T10:00:00"),
        ("added", "2026-13-01T10:00:00Z"),
        ("added", "2026-11-01T10:00:00Z\n"),
        ("added", "0001-01-01T00:00:00+23:59"),
        ("added", "\u0662026-11-01T10:00:00Z"),
        ("fingerprint", HEX | {"pdq": ["0f" * 31]}),
        ("fingerprint", HEX | {"pdq": ["0f" * 33]}),
        ("fingerprint", HEX | {"pdq": ["0g" * 32]}),
        ("fingerprint", HEX | {"pdq": ["0f " * 21 + "f"]}),
        ("fingerprint", HEX | {"pdq": ["\uff10" * 64]}),
        ("fingerprint", HEX | {"pdq": "0f" * 32}),
        ("fingerprint", HEX | {"pdq": ["0f" * 32] * (MAX_CODES + 1)}),
        ("fingerprint", HEX | {"md5": "a0" * 32}),
        ("fingerprint", HEX | {"sha256": "a0" * 16}),
        ("fingerprint", {"pdq": [], "sha256": None, "md5": None}),
        ("fingerprint", None),
    ],
)
def test_entry_that_is_not_as_promised_is_an_error(name, value):
    with pytest.raises(SyncError, match="not as promised"):
        client_of(PAGE | {"entries": [ENTRY | {name: value}]}).changes(0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"\xff\xfe{}",
        "{}".encode("utf-16"),
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        json.dumps(PAGE).encode()[:-1],
        json.dumps(PAGE).replace('"revision": 17', '"revision": NaN').encode(),
        json.dumps(PAGE).replace('"revision": 17', '"revision": 1e999').encode(),
        json.dumps(PAGE).replace('"revision": 17', '"revision": 17, "revision": 18').encode(),
    ],
    ids=range(14),
)
def test_what_is_no_page_is_an_error(body):
    with pytest.raises(SyncError, match="not as promised"):
        client_of(body).changes(0)


def test_bomb_of_empty_lists_is_refused_before_it_is_read():
    bomb = b"[" + b"[]," * 1_000_000 + b"[]]"
    tracemalloc.start()
    try:
        with pytest.raises(AnswerInvalidError, match="too many items"):
            read_json(bomb, max_items=160_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_greatest_page_is_read():
    codes = [f"{number:064x}" for number in range(MAX_CODES)]
    entries = [
        ENTRY | {"id": number, "fingerprint": HEX | {"pdq": codes}}
        for number in range(1, MAX_PAGE + 1)
    ]
    page = PAGE | {"entries": entries, "next": {"since": 12, "after": MAX_PAGE}}
    assert len(client_of(page).changes(0).entries) == MAX_PAGE


def test_more_entries_than_asked_for_are_an_error():
    page = PAGE | {"entries": [ENTRY, ENTRY | {"id": 6}], "next": {"since": 12, "after": 6}}
    assert len(client_of(page).changes(0, limit=2).entries) == 2
    with pytest.raises(SyncError):
        client_of(page).changes(0, limit=1)


def test_entries_that_were_not_asked_for_are_an_error():
    with pytest.raises(SyncError, match="another bank"):
        client_of(PAGE).changes(0, bank="other")
    with pytest.raises(SyncError, match="active"):
        client_of(PAGE).changes(0, only_ended=True)


@pytest.mark.parametrize(
    ("since", "after", "page"),
    [
        (12, None, PAGE),
        (12, 5, PAGE),
        (13, 0, PAGE),
        (0, None, PAGE | {"next": {"since": 12, "after": 4}}),
        (0, None, PAGE | {"next": {"since": 0, "after": 0}}),
        (3, 9, PAGE | {"entries": [], "next": {"since": 3, "after": 9}}),
        (3, 9, PAGE | {"entries": [], "more": False, "next": {"since": 3, "after": 8}}),
        (0, None, PAGE | {"entries": [ENTRY, ENTRY]}),
        (0, None, PAGE | {"entries": [ENTRY, ENTRY | {"revision": 11, "id": 9}]}),
    ],
    ids=range(9),
)
def test_page_that_repeats_or_goes_back_is_an_error(since, after, page):
    with pytest.raises(SyncError, match=r"next|order"):
        client_of(page).changes(since, after)


def test_page_with_nothing_new_stays_where_it_is():
    page = PAGE | {"entries": [], "more": False, "next": {"since": 12, "after": 5}}
    assert client_of(page).changes(12, 5).entries == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(PLACES), JSON)
def test_any_value_anywhere_is_read_or_is_a_sync_error(place, value):
    try:
        page = client_of(changed(place, value)).changes(0)
    except SyncError:
        return
    for entry in page.entries:
        assert all(len(code) == 32 for code in entry.pdqs)
        assert entry.added.tzinfo is UTC


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "k\u00e9y", "a" * 513])
def test_key_that_no_header_can_carry_is_refused_unshown(key):
    url = "https://register.example.org"
    with pytest.raises(SettingInvalid) as refused:
        RegisterClient(url, key, partner_policy(url))
    assert not key or key not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://register.example.org", "http://10.0.0.1", "ftp://register.example.org", "x"],
)
def test_register_without_https_is_refused(url):
    with pytest.raises(FetchRefused):
        partner_policy(url)


def test_register_without_https_is_asked_where_that_is_wanted_or_stays_here():
    assert partner_policy("http://register.example.org", allow_http=True)
    assert partner_policy("http://localhost:8000")


def test_client_does_not_show_its_key():
    assert "egide_key" not in repr(client_of(PAGE))
