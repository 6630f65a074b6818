"""A whole registration, seen from outside: what goes over the wire, what is kept, what said."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from egide.domain.cases import new_number, shown_number
from egide.domain.model import REGISTERED_ANCHORED
from egide.hashing import fingerprint
from journey_files import EXIF_WORDS, FOLDER, PNG_WORDS, Chosen, exif, probes, twelve_files
from page_steps import PIN, choose, send, sign_in, states, to_card
from pictures import pictures
from recording_proxy import RecordingProxy, Sent
from served_pages import EXIT_URL, serving_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Request

ORIGIN = "203.0.113.77"
"""From which the browser seems to come, by what a proxy says that the server trusts."""
WRONG_PIN = "owls-by-moonlight"
NOT_OF_THE_PAGES = frozenset({"content-autofill.googleapis.com:443"})
"""Chromium asks its maker about the fields of forms, on every site, and no page can forbid it."""
PAGES = frozenset(
    {
        "/en/", "/en/register", "/en/register/images?adult=yes", "/en/case/card?new=yes",
        "/en/case", "/en/case/withdraw", "/en/leave", "/en/form-token",
    }
)  # fmt: skip
ASSET = re.compile(r"/static/[0-9a-f]{16}/(css|js|img|vendor)/[a-z0-9_/-]+\.(css|js|svg|wasm)")
POSTS = frozenset(
    {"/en/case", "/en/register/challenge", "/en/register/submit", "/en/case/withdraw"}
)
HEADERS = frozenset(
    {
        "host", "connection", "proxy-connection", "upgrade-insecure-requests", "user-agent",
        "accept", "accept-encoding", "accept-language", "origin", "cookie", "content-type",
        "content-length", "x-csrf-token", "x-forwarded-for", "cache-control", "pragma", "priority",
        "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode",
        "sec-fetch-site", "sec-fetch-user", "sec-gpc", "dnt", "if-none-match", "if-modified-since",
        "purpose", "sec-purpose",
    }
)  # fmt: skip
CHALLENGE = re.compile(r"v1\.8\.\d{10}\.[\w-]{10,60}\.[\w-]{40,50}")
HEX_64 = re.compile(r"[0-9a-f]{64}")
# Of 9 of the 12 files something is sent, 160 bytes each, and 67 of each part of a picture; then the
# challenge and the PIN: 20,664.
MAX_SUBMIT_BYTES = 25_000
# All that the browser sends from the first page to the way out: some 80 requests' heads, 73 kB.
MAX_SENT_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Registration:
    """What was done, and all that is known of it."""

    chosen: list[Chosen]
    number: str
    strange: str
    address: str
    wire: list[Sent]
    asked: list[tuple[str, str, bytes]]
    elsewhere: list[str]
    said: str
    kept: dict[str, bytes]

    @property
    def sent(self) -> list[Sent]:
        """What was sent to the pages' origin."""
        return [one for one in self.wire if one.target == urlsplit(self.address).netloc]

    @property
    def registered(self) -> list[Chosen]:
        return [one for one in self.chosen if one.kind is not None]

    def body_of(self, path: str) -> bytes:
        [body] = [one.body for one in self.sent if one.body and urlsplit(one.url).path == path]
        return body


@pytest.fixture(scope="module")
def done(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registration]:
    """From the first page to the card, to the case, to its withdrawal, and out."""
    folder = tmp_path_factory.mktemp("network")
    chosen = twelve_files(folder)
    asked: list[tuple[str, str, bytes]] = []
    elsewhere: list[str] = []
    strange = new_number()

    def keep(request: Request) -> None:
        if request.url.startswith(served.address):
            asked.append((request.method, request.url, request.post_data_buffer or b""))
        else:
            elsewhere.append(request.url)

    with (
        serving_pages(folder, EGIDE_TRUSTED_PROXIES="127.0.0.0/8") as served,
        RecordingProxy(served.address).running() as proxy,
    ):
        context = browser.new_context(
            proxy={"server": proxy.address, "bypass": "<-loopback>"},
            extra_http_headers={"X-Forwarded-For": ORIGIN},
        )
        context.on("request", keep)
        context.route(f"{EXIT_URL}**", lambda route: route.fulfill(body="neutral"))
        page = context.new_page()
        # Tried once in vain, which is counted, so that nobody can guess for long.
        sign_in(page, served.address, strange, WRONG_PIN)
        page.goto(f"{served.address}/en/")
        page.click('main a[href="/en/register"]')
        page.click("a.answer >> nth=0")
        page.wait_for_selector("#images-app")
        choose(page, [one.path for one in chosen])
        assert states(page) == [one.state for one in chosen]
        page.check("#names")
        page.click("#to-check")
        page.click("#to-pin")
        send(page)
        number = to_card(page)
        page.click('main a[href="/en/case"]')
        kept = served.kept()
        page.click('main a[href="/en/case/withdraw"]')
        page.click("main form button")
        page.wait_for_selector("main .notice.done")
        page.click("#exit")
        page.wait_for_url(EXIT_URL)
        context.close()
        served.stop()
        # Before and after the database is tidied up at the end.
        kept |= {f"{name} at the end": content for name, content in served.kept().items()}
        yield Registration(
            chosen, number, strange, served.address, proxy.requests, asked, elsewhere,
            served.said(), kept,
        )  # fmt: skip


def test_nothing_leaves_the_origin(done: Registration) -> None:
    assert done.elsewhere == [EXIT_URL]
    exit_target = f"{urlsplit(EXIT_URL).netloc}:443"
    others = [one for one in done.wire if one not in done.sent]
    assert {one.target for one in others} <= NOT_OF_THE_PAGES | {exit_target}
    # Connections that were refused: nothing was ever sent through them.
    assert {one.method for one in others} <= {"CONNECT"}


def test_browser_and_wire_tell_the_same(done: Registration) -> None:
    """Nothing is sent that the browser does not tell of, by a worker for instance."""
    wire = {(one.method, one.url, one.body) for one in done.sent}
    told = set(done.asked)
    # What the cache answers is asked for and not sent; Playwright does not tell of favicons.
    assert {one for one in wire - told if not one[1].endswith("/img/icon.svg")} == set()
    assert {one for one in told if one[0] == "POST"} <= wire


def test_addresses_are_those_of_the_pages_and_say_nothing(done: Registration) -> None:
    for one in done.sent:
        parts = urlsplit(one.url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        if one.method == "POST":
            assert path in POSTS | {"/en/leave"}
        else:
            assert one.method == "GET"
            assert path in PAGES or ASSET.fullmatch(path), path


def test_headers_say_nothing_of_the_images_or_of_the_page_before(done: Registration) -> None:
    for one in done.sent:
        assert {name.lower() for name in one.headers} <= HEADERS
        assert one.headers.get("origin", "null") in {"null", done.address}


def test_bodies_hold_fingerprints_and_form_fields_only(done: Registration) -> None:
    posted = [urlsplit(one.url).path for one in done.sent if one.body]
    assert sorted(posted) == sorted(POSTS)

    assert json.loads(done.body_of("/en/register/challenge")) == {}

    for path, typed in (
        ("/en/case", {"number": done.strange, "pin": WRONG_PIN}),
        ("/en/case/withdraw", {}),
    ):
        fields = dict(parse_qsl(done.body_of(path).decode(), strict_parsing=True))
        assert re.fullmatch(r"[\w-]{43}", fields.pop("csrf"))
        assert fields == typed

    submitted = json.loads(done.body_of("/en/register/submit"))
    assert set(submitted) == {"challenge", "nonce", "adult", "pin", "images"}
    assert CHALLENGE.fullmatch(submitted["challenge"])
    assert type(submitted["nonce"]) is int
    assert 0 <= submitted["nonce"] < 2**32
    assert submitted["adult"] is True
    assert submitted["pin"] == PIN
    assert len(submitted["images"]) == len(done.registered) == 9
    assert any("anchored" in image for image in submitted["images"])
    for image, file in zip(submitted["images"], done.registered, strict=True):
        assert set(image) - {"anchored"} == {"kind", "pdq", "quality", "sha256"}
        assert image["kind"] == file.kind
        assert image["sha256"] == sha256(file.path.read_bytes()).hexdigest()
        if file.kind == "digest-only":
            assert "anchored" not in image
            assert image["pdq"] is None
            assert image["quality"] is None
        else:
            parts = image.get("anchored", [])
            assert all(map(HEX_64.fullmatch, [image["pdq"], *parts]))
            assert len(parts) <= REGISTERED_ANCHORED
            # In order, so that their places in the picture cannot be told.
            assert parts == sorted(set(parts))
            assert type(image["quality"]) is int
            assert 50 <= image["quality"] <= 100


def test_what_is_sent_is_small(done: Registration) -> None:
    submitted = done.body_of("/en/register/submit")
    assert len(submitted) <= MAX_SUBMIT_BYTES
    assert sum(len(one.body) for one in done.sent) <= MAX_SUBMIT_BYTES + 300
    assert sum(len(one.raw) for one in done.sent) <= MAX_SENT_BYTES
    # Nothing could hold its picture.
    for image, file in zip(json.loads(submitted)["images"], done.registered, strict=True):
        assert len(json.dumps(image)) < file.path.stat().st_size


def test_the_wire_carries_no_name_no_place_and_no_part_of_a_picture(done: Registration) -> None:
    secrets = file_secrets(done) | {"case number": number_spellings(done.number)}
    wire = b"".join(one.raw for one in done.sent)
    assert leaks(secrets, wire) == set()
    # The PIN is in one request's body and nowhere else.
    [body] = [one.raw for one in done.sent if urlsplit(one.url).path == "/en/register/submit"]
    assert wire.count(PIN.encode()) == body.count(PIN.encode()) == 1


def test_the_store_keeps_no_name_no_place_no_pin_and_no_part_of_a_picture(
    done: Registration,
) -> None:
    database = done.kept["egide.db"] + done.kept.get("egide.db-wal", b"")
    # The search finds what is there.
    for file in done.registered:
        assert sha256(file.path.read_bytes()).digest() in database
    secrets = file_secrets(done) | {
        "PIN": {PIN.encode(), PIN.replace(" ", "").encode(), base64.b64encode(PIN.encode())},
        "wrong PIN": {WRONG_PIN.encode()},
        "wrong number": number_spellings(done.strange),
        "address": {ORIGIN.encode(), b"127.0.0.1"},
    }
    found = {name: leaks(secrets, content) for name, content in done.kept.items()}
    assert {name: what for name, what in found.items() if what} == {}


def test_what_is_logged_says_nothing_at_all(done: Registration) -> None:
    assert '"status": 201' in done.said or '"status":201' in done.said
    secrets = file_secrets(done) | {
        "PIN": {PIN.encode(), WRONG_PIN.encode()},
        "address": {ORIGIN.encode()},
        "case number": number_spellings(done.number) | number_spellings(done.strange),
    }
    for file in done.registered:
        content = file.path.read_bytes()
        codes = [sha256(content).digest()]
        if file.kind != "digest-only" and file.path.suffix != ".heic":
            codes += [frame.code for frame in fingerprint(content).frames]
        secrets[f"fingerprints of {file.path.name}"] = {
            spelt for code in codes for spelt in code_spellings(code)
        }
    assert leaks(secrets, done.said.encode()) == set()


def file_secrets(done: Registration) -> dict[str, set[bytes]]:
    """What of the files must stand nowhere, by what it is."""
    names = {one.path.name for one in done.chosen} | {FOLDER, "Imogen"}
    secrets = {
        "file name": {spelt for name in names for spelt in (name.encode(), quote(name).encode())},
        "place and camera": {word.encode() for word in (*EXIF_WORDS, PNG_WORDS, FOLDER)}
        | set(probes(exif(pictures(1)[0]))),
    }
    for one in done.chosen:
        if one.path.name == "Imogen plain.png":
            continue  # one colour, compressed: mostly zeros
        parts = probes(one.path.read_bytes())
        secrets[one.path.name] = {*parts, *map(base64.b64encode, parts), *map(_hex, parts)}
    return secrets


def number_spellings(number: str) -> set[bytes]:
    digits = number.replace(" ", "")
    shown = shown_number(digits)
    return {digits.encode()} | {shown.replace(" ", gap).encode() for gap in (" ", "-", "%20", "+")}


def code_spellings(code: bytes) -> set[bytes]:
    plain = base64.b64encode(code).rstrip(b"=")
    return {code.hex().encode(), code.hex().upper().encode(), plain,
            base64.urlsafe_b64encode(code).rstrip(b"="), str(int.from_bytes(code)).encode(),
            repr(code)[2:-1].encode()}  # fmt: skip


def leaks(secrets: dict[str, set[bytes]], text: bytes) -> set[str]:
    return {what for what, spellings in secrets.items() if any(one in text for one in spellings)}


def _hex(part: bytes) -> bytes:
    return part.hex().encode()
