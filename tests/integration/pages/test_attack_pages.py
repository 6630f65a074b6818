"""The pages under attack: forged requests, stolen and planted sessions, hostile bodies and headers.

How numbers and PINs are guessed is in test_attack_pages_guessing.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import count, product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from attacking_pages import PIN, Hostile, account, case_of, number_of_nobody, sent_image
from egide.domain.cases import CaseState, ImageKind
from egide.domain.model import MAX_ANCHORED
from egide.server.pages.routes import pages_router
from egide.server.pages.site.page import COOKIE
from egide.store.tables.cases import sessions
from egide.store.tables.register import metadata
from server_samples import Served, serve
from store_samples import anchored

ANYTHING = {"csrf": "x", "number": "1", "image": "1", "reason": "known-to-us"}
DIGITS = "9" * 5000
NAMES = (f"worker-{number}" for number in count())
FAR = datetime.now(UTC) + timedelta(days=9)
HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("attacked")
    with serve(folder, pages=True, case_proof_bits=0, cases_per_hour=1000) as running:
        yield running


@pytest.fixture
def hostile(served: Served) -> Hostile:
    return Hostile(served)


@pytest.fixture
def owner(served: Served) -> Hostile:
    return Hostile(served, address="198.51.100.7")


def routes_of(method: str) -> list[str]:
    """The paths after the language of all pages, with a number for each case."""
    paths = [
        route.path.removeprefix("/{lang}/").replace("{case_id}", "1")
        for route in flat(pages_router())
        if method in route.methods and route.path.startswith("/{lang}/")
    ]
    return sorted(set(paths))


def flat(router: Any) -> Iterator[Any]:
    """The routes of a router and of those that it includes."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from flat(route.original_router)
        else:
            yield route


def contents(served: Served) -> dict[str, list[Any]]:
    """All that the store holds, but for when sessions were used last."""
    with served.service.store._database.read() as connection:
        return {
            table.name: sorted(
                (
                    tuple(value for name, value in row._mapping.items() if name != "seen")
                    for row in connection.execute(sa.select(table))
                ),
                key=repr,
            )
            for table in metadata.sorted_tables
            if table.name not in {"key_uses", "events"}
        }


POSTED = [path for path in routes_of("POST") if path != "leave"]


def test_all_routes_are_attacked() -> None:
    assert {"case", "case/withdraw", "register/submit", "staff/cases/1/confirm"} <= set(POSTED)


class TestForgedRequests:
    """What another site can have a browser send."""

    @pytest.mark.parametrize("path", POSTED)
    def test_without_the_token_nothing_is_done(
        self, served: Served, owner: Hostile, path: str
    ) -> None:
        owner.register(1)
        before = contents(served)
        body = b"image=&reason=known-to-us&authority=by-phone&number=1&pin=1"
        kinds = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "")
        tokens = (b"", b"csrf=", b"csrf=%00", b"csrf=" + b"A" * 43)
        for kind, token in product(kinds, tokens):
            headers = {"content_type": kind} if kind else {}
            answer = owner.raw(path, token + b"&" + body, **headers)
            assert answer.status_code == 403, (kind, token)
        assert contents(served) == before

    @pytest.mark.parametrize("path", POSTED)
    def test_the_token_of_another_is_refused(
        self, served: Served, owner: Hostile, hostile: Hostile, path: str
    ) -> None:
        owner.register(1)
        hostile.register(2)
        before = contents(served)
        token = hostile.token()
        form = owner.raw(path, f"csrf={token}&image=".encode())
        script = owner.raw(path, b"{}", x_csrf_token=token)
        assert (form.status_code, script.status_code) == (403, 403)
        assert contents(served) == before

    def test_a_script_s_token_counts_in_the_header_alone(self, owner: Hostile) -> None:
        token = owner.token()
        for body in (json.dumps({"csrf": token}).encode(), f"csrf={token}".encode()):
            answer = owner.raw("register/challenge", body, content_type="text/plain")
            assert answer.status_code == 403

    @pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override"])
    def test_no_header_makes_a_post_of_a_get(
        self, served: Served, owner: Hostile, header: str
    ) -> None:
        owner.register(1)
        before = contents(served)
        address = f"/en/case/withdraw?_method=POST&csrf={owner.token()}"
        answer = owner.client.get(address, headers={header: "POST"})
        assert answer.status_code == 200
        assert contents(served) == before

    def test_a_field_that_stands_there_twice_is_refused(self, owner: Hostile) -> None:
        owner.register(1)
        body = f"csrf={owner.token()}&image=1&image=".encode()
        assert owner.raw("case/withdraw", body).status_code == 422

    def test_reading_changes_nothing(self, served: Served, owner: Hostile) -> None:
        worker = Hostile(served)
        assert worker.sign_in_as(account(served, "reader")).status_code == 303
        owner.register(1)
        worker.token()
        before = contents(served)
        query = (
            "?image=1&new=yes&done=withdraw&adult=yes&authority=by-phone&csrf=x&reason=saw-proof"
        )
        for path in set(routes_of("GET")) - {"leave"}:
            for visitor in (owner, worker):
                assert visitor.get(path + query).status_code in {200, 303, 401, 404}, path
                head = visitor.client.head(f"/en/{path}{query}")
                assert head.status_code in {200, 303, 401, 404, 405}, path
        assert contents(served) == before


class TestSessions:
    """A session belongs to one browser, until it ends."""

    def test_a_planted_cookie_is_not_signed_in_with(self, served: Served, owner: Hostile) -> None:
        number = owner.register(1)
        victim = Hostile(served)
        victim.client.cookies.set(COOKIE, "planted" * 6, domain="testserver.local")
        assert victim.sign_in(number).status_code == 303
        thief = Hostile(served)
        thief.client.cookies.set(COOKIE, "planted" * 6, domain="testserver.local")
        assert thief.get("case/card").status_code == 401

    @pytest.mark.parametrize("end", ["case/sign-out", "leave", "case"])
    def test_a_copied_cookie_is_worth_nothing_once_its_owner_has_left(
        self, served: Served, owner: Hostile, end: str
    ) -> None:
        number = owner.register(1)
        copied = Hostile(served)
        copied.client.cookies = owner.client.cookies.__class__(owner.client.cookies)
        token = copied.token()
        assert copied.get("case/card").status_code == 200
        owner.post(end, {"number": number, "pin": PIN}, form="case/withdraw")
        assert copied.get("case/card").status_code == 401
        answer = copied.raw("case/withdraw", f"csrf={token}".encode())
        assert answer.status_code == 401
        assert case_of(served, number).state is CaseState.OPEN

    def test_the_token_of_before_is_worth_nothing_after(self, owner: Hostile) -> None:
        before = owner.token()
        owner.register(1)
        assert owner.raw("case/withdraw", f"csrf={before}".encode()).status_code == 403

    def test_cookies_are_sealed(self, owner: Hostile) -> None:
        number = owner.register(1)
        for answer in (owner.sign_in(number), owner.post("case/sign-out", form="case/withdraw")):
            said = answer.headers["set-cookie"]
            assert said.startswith(f"{COOKIE}=")
            for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
                assert word in said
            assert "Domain" not in said

    @pytest.mark.parametrize(
        "value", ["", "é", "%00", '"a;b"', "a" * 129, "a" * 7000, "a, b", "{}", "\\"]
    )
    def test_a_cookie_of_any_kind_is_nobody_s(self, hostile: Hostile, value: str) -> None:
        headers = {"cookie": f"{COOKIE}={value}".encode()}
        for path, status in (("case", 200), ("case/card", 401), ("staff/", 303)):
            answer = hostile.client.get(f"/en/{path}", headers=headers)
            assert answer.status_code == status

    def test_a_case_opens_no_page_of_staff_and_staff_no_case(
        self, served: Served, owner: Hostile
    ) -> None:
        number = owner.register(1)
        case = case_of(served, number)
        for path in routes_of("GET"):
            if path.startswith("staff/"):
                answer = owner.get(path.replace("cases/1", f"cases/{case.id}"))
                signing_in = path == "staff/sign-in"
                assert answer.status_code == (200 if signing_in else 303), path
        worker = Hostile(served)
        worker.sign_in_as(account(served, "amina"))
        assert worker.get("case/card").status_code == 401
        assert worker.post("case/withdraw", form="case").status_code == 401
        assert worker.post("case/extend", form="case").status_code == 401

    def test_one_owner_s_session_reaches_no_other_case(
        self, served: Served, owner: Hostile, hostile: Hostile
    ) -> None:
        image = case_of(served, owner.register(1)).images[0]
        hostile.register(2)
        hostile.post("case/withdraw", {"image": str(image.id)})
        assert hostile.get(f"case/withdraw?image={image.id}").status_code == 303
        assert owner.get("case/card").status_code == 200
        again = case_of(served, number_shown(owner)).images[0]
        assert again.state.value == "active"

    def test_only_hashes_of_tokens_are_kept(self, served: Served, owner: Hostile) -> None:
        owner.register(1)
        token = owner.client.cookies[COOKIE]
        with served.service.store._database.read() as connection:
            rows = connection.execute(sa.select(sessions)).all()
        assert rows
        assert token not in repr(rows)


def number_shown(owner: Hostile) -> str:
    found = re.search(r"\b\d{4} \d{4} \d{4}\b", owner.get("case/card").text)
    assert found
    return found[0].replace(" ", "")


IMAGE = sent_image(1)
REGIONS = [code.hex() for code in anchored(1, MAX_ANCHORED)]
DEEP = b"[" * 100_000


class TestBodies:
    """What is sent in the place of a form."""

    @pytest.mark.parametrize(
        "images",
        [
            [sent_image(number) for number in range(101)],
            [{**IMAGE, "kind": "first-frame", "pdq": None, "quality": None}],
            [{**IMAGE, "kind": "digest-only"}],
            [{**IMAGE, "quality": 49}],
            [{**IMAGE, "quality": None}],
            [{**IMAGE, "quality": True}],
            [{**IMAGE, "quality": 1e400}],
            [{**IMAGE, "sha256": "0" * 64}],
            [{**IMAGE, "sha256": "é" * 64}],
            [{**IMAGE, "pdq": "\0" * 64}],
            [{**IMAGE, "anchored": [REGIONS[0][:-1]]}],
            [{**IMAGE, "anchored": ["0" * 64]}],
            [{**IMAGE, "anchored": REGIONS[0]}],
            [{**IMAGE, "anchored": [1]}],
            [{**IMAGE, "anchored": REGIONS * 2}],
            [{**IMAGE, "kind": "digest-only", "pdq": None, "quality": None, "anchored": REGIONS}],
            [{**IMAGE, "name": "holiday.jpg"}],
            [{**IMAGE, "preview": "data:image/png;base64,AAAA"}],
            [IMAGE, IMAGE],
            {},
            "x" * 64,
            [[IMAGE]],
            [],
        ],
    )
    def test_images_that_are_none_open_no_case(
        self, served: Served, hostile: Hostile, images: object
    ) -> None:
        form = hostile.form() | {"images": images}
        body = json.dumps(form).encode()
        before = contents(served)
        answer = hostile.raw(
            "register/submit", body, x_csrf_token=hostile.token(), accept="application/json"
        )
        assert answer.status_code in {409, 422}, answer.text
        assert "holiday" not in answer.text
        assert contents(served) == before

    def test_a_full_case_may_have_all_its_anchored_hashes(
        self, served: Served, hostile: Hostile
    ) -> None:
        images = [{**sent_image(number), "anchored": REGIONS[::-1]} for number in range(100)]
        form = hostile.form() | {"images": images}
        assert hostile.post_json("register/submit", form).status_code == 201
        entries = [image.entry for image in case_of(served, number_shown(hostile)).images]
        kept = served.service.store.anchored.of(entries)
        assert kept == dict.fromkeys(entries, anchored(1, MAX_ANCHORED))

    def test_a_fingerprint_that_would_find_anything_is_not_registered(
        self, served: Served, hostile: Hostile
    ) -> None:
        form = hostile.form() | {"images": [{**IMAGE, "pdq": "0" * 64, "anchored": REGIONS}]}
        assert hostile.post_json("register/submit", form).status_code == 201
        [image] = case_of(served, number_shown(hostile)).images
        assert image.kind is ImageKind.DIGEST_ONLY
        assert served.service.store.anchored.of([image.entry]) == {}

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"\xff\xfe",
            b"\0",
            DEEP,
            b'{"a":' * 40_000,
            b'{"pin": "\\ud800aaaaaaaa"}',
            b'{"nonce": ' + b"9" * 200_000 + b"}",
            b"NaN",
            b"a=b&c=d",
            b'--x\r\nContent-Disposition: form-data; name="images"\r\n\r\n1\r\n--x--',
        ],
        ids=range(13),
    )
    @pytest.mark.parametrize("path", ["register/submit", "case/add/submit"])
    def test_no_json_of_ours_is_refused(self, hostile: Hostile, path: str, body: bytes) -> None:
        hostile.register(1)
        answer = hostile.raw(path, body, x_csrf_token=hostile.token(), accept="application/json")
        refused = (answer.status_code, answer.json()["code"])
        # Values are counted before any is read.
        assert refused in {(422, "request-invalid"), (413, "batch-too-large")}
        assert len(body) > 50_000 or refused[0] == 422

    @pytest.mark.parametrize("path", POSTED)
    def test_more_than_a_form_is_refused(self, hostile: Hostile, path: str) -> None:
        body = f"csrf={hostile.token()}&pin=".encode() + b"x" * 300_000
        answer = hostile.raw(path, body, x_csrf_token=hostile.token())
        # Where images are listed, more may come, but no form.
        assert answer.status_code == (422 if path.endswith("/submit") else 413)

    @pytest.mark.parametrize(
        "body",
        [
            b"&".join(b"f%d=" % number for number in range(100)),
            b"%ff%fe=1",
            b"\xff=1",
            b"number=%ED%A0%80",
        ],
    )
    @pytest.mark.parametrize("path", ["case", "staff/sign-in", "case/withdraw"])
    def test_a_form_that_cannot_be_read_is_refused(
        self, hostile: Hostile, path: str, body: bytes
    ) -> None:
        answer = hostile.raw(path, f"csrf={hostile.token()}&".encode() + body)
        assert answer.status_code == 422

    @pytest.mark.parametrize("text", ["\0", "\u202e", "٤" * 12, "1" * 60_000, HOSTILE, "﷽" * 4000])
    @pytest.mark.parametrize("path", ["case", "staff/sign-in"])
    def test_any_text_can_be_typed_into_a_form(self, served: Served, path: str, text: str) -> None:
        hostile = Hostile(served, address="203.0.113.77")
        fields = {"number": text, "pin": text, "name": text, "password": text, "code": text}
        number = number_of_nobody(served)
        for given in (fields, fields | {"number": number}):
            answer = hostile.raw(
                path,
                urlencode({"csrf": hostile.token(), **given}).encode(),
                content_type="application/x-www-form-urlencoded",
            )
            assert answer.status_code in {413, 422}
            assert "<script>alert" not in answer.text
        served.service.store.attempts.forget(FAR)


class TestInjection:
    """What would be shown as something else than text."""

    @pytest.mark.parametrize(
        "address",
        [
            f"/en/{HOSTILE}",
            f"/en/how/{HOSTILE}",
            f"/en/case?done={HOSTILE}",
            f"/en/register/images?adult=yes&authority={HOSTILE}",
            f"/en/staff/?state={HOSTILE}",
            f"/{HOSTILE}/how",
            "/en//evil.example",
            "//evil.example/en",
            "/en/\\\\evil.example",
            "/en/javascript:alert(1)",
            "/en/..//..//evil.example",
        ],
    )
    def test_no_address_is_shown_as_markup_or_leads_elsewhere(
        self, hostile: Hostile, address: str
    ) -> None:
        headers = {"accept-language": HOSTILE, "x-forwarded-host": "evil.example"}
        answer = hostile.client.get(address, headers=headers | {"host": "evil.example"})
        assert answer.status_code < 500
        page = Links.of(answer.text)
        assert page.scripts <= {"module", "application/json"}
        assert not page.handlers
        for link in page.links:
            # No other host of the request's choosing, and no other scheme.
            assert link.startswith(("/en/", "/fr/", "/static/", "https://", "#", "mailto:")), link
            assert "evil.example" not in link or re.match(r"/(en|fr)/[^/\\]", link), link
        assert answer.headers.get("location", "/").startswith("/")
        assert "evil" not in answer.headers.get("location", "")

    def test_what_an_operator_sets_is_text(self, tmp_path: Path) -> None:
        helplines = tmp_path / "helplines.toml"
        helplines.write_text(
            f"""[[helpline]]
            country = "FR"
            name = {json.dumps(HOSTILE)}
            url = "https://x.example/{HOSTILE[:3].replace('"', "%22")}"
            what = {{ en = {json.dumps(HOSTILE)}, fr = {json.dumps(HOSTILE)} }}
            languages = ["fr"]
            audience = "all"
            source = "https://x.example/"
            """
        )
        settings = {"pages_name": HOSTILE[:60], "pages_contact": HOSTILE, "case_proof_bits": 0}
        with serve(tmp_path, pages=True, pages_helplines=helplines, **settings) as running:
            visitor = Hostile(running)
            visitor.register(1)
            for path in routes_of("GET"):
                page = Links.of(visitor.get(path).text)
                assert page.scripts <= {"module", "application/json"}
                assert not page.handlers

    @pytest.mark.parametrize("name", ["<b>x</b>", "a\r\nSet-Cookie: b=c", "\0", "é" * 80])
    def test_no_name_of_staff_is_markup(self, served: Served, name: str) -> None:
        from egide.errors import NameInvalid

        with pytest.raises(NameInvalid):
            account(served, name)

    @pytest.mark.parametrize(
        "name",
        [
            "../frame.py",
            "..%2fframe.py",
            "%2e%2e/frame.py",
            "css/../../frame.py",
            "/etc/passwd",
            "//etc/passwd",
            "..\\frame.py",
            "locale/en/home.toml",
            "../templates/base.html.j2",
            "css/site.css%00.py",
            "",
            ".",
        ],
    )
    def test_no_other_file_is_handed_out(self, hostile: Hostile, name: str) -> None:
        home = hostile.get().text
        found = re.search(r"/static/([0-9a-f]+)/", home)
        assert found
        assert hostile.client.get(f"/static/{found[1]}/{name}").status_code == 404

    @pytest.mark.parametrize("path", routes_of("GET"))
    def test_every_answer_is_closed_to_frames_and_caches(
        self, served: Served, owner: Hostile, path: str
    ) -> None:
        worker = Hostile(served)
        if path.startswith("staff"):
            worker.sign_in_as(account(served, next(NAMES)))
        owner.register(1)
        for visitor in (owner, worker, Hostile(served)):
            headers = visitor.get(path).headers
            assert headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert headers["x-frame-options"] == "DENY"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers


class TestNumbersInPaths:
    @pytest.mark.parametrize("number", [DIGITS, "0", "-1", "1e3", "１", "²", "0x1", "%00", "1_0"])
    def test_no_number_in_an_address_breaks_anything(
        self, served: Served, owner: Hostile, number: str
    ) -> None:
        worker = Hostile(served)
        worker.sign_in_as(account(served, next(NAMES)))
        for route in routes_of("GET"):
            path = route.replace("cases/1", f"cases/{number}")
            if path != route:
                for visitor in (owner, worker):
                    assert visitor.get(path).status_code in {303, 404}, path
        owner.register(1)
        assert owner.get(f"case/withdraw?image={number}").status_code == 303
        assert owner.post("case/withdraw", {"image": number}).status_code == 303
        assert worker.get(f"staff/?before={number}").status_code == 200


class TestForwardedAddresses:
    def test_a_forged_address_opens_no_more_cases(self, tmp_path: Path) -> None:
        with serve(tmp_path, pages=True, case_proof_bits=0, cases_per_hour=2) as running:
            statuses = [
                register_as(Hostile(running, address="203.0.113.5"), f"198.51.100.{n}")
                for n in range(6)
            ]
        assert statuses == [201, 201, 429, 429, 429, 429]

    def test_behind_a_proxy_only_what_it_adds_counts(self, tmp_path: Path) -> None:
        settings = {"case_proof_bits": 0, "cases_per_hour": 1, "trusted_proxies": ["10.0.0.0/8"]}
        with serve(tmp_path, pages=True, **settings) as running:
            proxied = [
                register_as(Hostile(running, address="10.0.0.1"), f"192.0.2.{n}, 203.0.113.9")
                for n in range(3)
            ]
            # Whoever reaches the server beside the proxy can forge nothing either.
            beside = [
                register_as(Hostile(running, address="203.0.113.8"), f"203.0.113.{n}")
                for n in range(2)
            ]
            # An IPv6 subscriber has one place.
            sites = [
                register_as(Hostile(running, address="10.0.0.1"), f"2001:db8::{n:x}")
                for n in range(1, 4)
            ]
        assert proxied == [201, 429, 429]
        assert beside == [201, 429]
        assert sites == [201, 429, 429]


def register_as(visitor: Hostile, forwarded: str) -> int:
    """Register with a header of somebody else's address."""
    visitor.client.headers["x-forwarded-for"] = forwarded
    visitor.client.headers["x-real-ip"] = forwarded
    visitor.client.headers["forwarded"] = f"for={forwarded}"
    answer = visitor.post_json("register/submit", visitor.form(1))
    return answer.status_code


class Links(HTMLParser):
    """What of a page a browser would follow or run."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.scripts: set[str | None] = set()
        self.handlers: list[str] = []

    @classmethod
    def of(cls, text: str) -> Links:
        page = cls()
        page.feed(text)
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "script":
            self.scripts.add(given.get("type"))
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.links += [given[name] or "" for name in ("href", "src", "action") if name in given]
