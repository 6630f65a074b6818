"""The frame of the pages: languages, headers, forms, sessions, errors, files, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import Response
from starlette.responses import RedirectResponse

from egide import errors
from egide.server.app import create_app
from egide.server.pages.site.page import COOKIE, FieldsDep, JsonDep
from egide.server.pages.site.page import PageDep as Page
from egide.server.settings import ServerSettings
from page_visits import Visitor
from server_samples import Served, serve

CONTENT = ("", "how", "under-18", "help", "privacy", "accessibility", "goodbye")
LANGUAGES = ("en", "fr")
MAX_WEIGHT_BYTES = 100_000
SMALL = ServerSettings().max_small_body_bytes
EXIT_URL = "https://www.wikipedia.org/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pages")
    with serve(folder, pages=True, pages_name="Helpline <b>", pages_contact="a@b.example") as one:
        add_trial_routes(one.client.app)
        yield one


def add_trial_routes(app: object) -> None:
    """Routes that do what other pages do, and nothing else."""
    assert isinstance(app, FastAPI)

    @app.post("/{lang}/trial")
    def send(page: Page, fields: FieldsDep) -> dict[str, str]:
        return dict(fields)

    @app.post("/{lang}/trial/json")
    def send_json(page: Page, body: JsonDep) -> int:
        return len(body)

    @app.get("/{lang}/trial/in")
    def sign_in(page: Page) -> RedirectResponse:
        page.sign_in("case", 7, idle_s=60, longest_s=120)
        return page.redirect("trial/who")

    @app.get("/{lang}/trial/who")
    def who(page: Page) -> int:
        return page.session_of("case").subject_id

    @app.get("/{lang}/trial/origin")
    def origin(page: Page) -> str:
        return page.origin


@pytest.fixture
def visitor(served: Served) -> Visitor:
    return Visitor(served)


# --- languages ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "lang"),
    [
        ("fr", "fr"),
        ("fr-CA,fr;q=0.9,en;q=0.8", "fr"),
        ("de-AT, fr;q=0.5, en;q=0.7", "en"),
        ("fr;q=0, en;q=0.1", "en"),
        ("de", "en"),
        ("", "en"),
        ("fr;q=much", "en"),
    ],
)
def test_the_start_speaks_the_language_that_the_browser_asks_for(
    visitor: Visitor, asked: str, lang: str
) -> None:
    answer = visitor.client.get("/", headers={"Accept-Language": asked})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/{lang}/")


def test_an_address_without_its_last_slash_leads_to_the_start(visitor: Visitor) -> None:
    answer = visitor.client.get("/fr")
    assert (answer.status_code, answer.headers["location"]) == (303, "/fr/")


def test_the_switch_leads_to_the_same_page(visitor: Visitor) -> None:
    assert '<a href="/fr/how" lang="fr" hreflang="fr">Français</a>' in visitor.get("how").text


def test_an_operator_offers_one_language_alone(tmp_path: Path) -> None:
    with serve(tmp_path, pages=True, pages_languages=("fr",)) as served:
        visitor = Visitor(served, "fr")
        start = visitor.client.get("/", headers={"Accept-Language": "en"})
        assert start.headers["location"] == "/fr/"
        assert 'hreflang="en"' not in visitor.get().text
        missing = visitor.client.get("/en/")
        assert missing.status_code == 404
        assert '<html lang="fr"' in missing.text


# --- every page --------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("path", [*CONTENT, "no-such-page"])
def test_a_page_is_closed_to_everything_foreign(served: Served, path: str, lang: str) -> None:
    answer = Visitor(served, lang).get(path)
    assert answer.status_code == (404 if path == "no-such-page" else 200)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert answer.headers["content-language"] == lang
    assert f'<html lang="{lang}" dir="ltr">' in answer.text
    loaded = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]*)"', answer.text)
    assert loaded
    assert all(address.startswith("/static/") for address in loaded)
    assert not re.search(r"<style|<script>|\son\w+=|\sstyle=", answer.text)


@pytest.mark.parametrize("path", CONTENT)
def test_reading_needs_no_cookie(visitor: Visitor, path: str) -> None:
    assert "set-cookie" not in visitor.get(path).headers


@pytest.mark.parametrize("path", [*CONTENT, "no-such-page"])
def test_the_way_out_comes_first_after_the_skip_link(visitor: Visitor, path: str) -> None:
    body = visitor.get(path).text.partition("<body>")[2]
    links = re.findall(r'<(?:a|button|input)[^>]*?(?:href="([^"]*)"|>)', body)
    assert links[:2] == ["#main", "/en/leave"]
    assert f'data-exit-url="{EXIT_URL}"' in body
    assert "history" in body


def test_what_the_operator_sets_is_shown_and_escaped(visitor: Visitor) -> None:
    page = visitor.get("privacy").text
    assert "Helpline &lt;b&gt; runs this site" in page
    assert 'href="mailto:a@b.example"' in page


def test_pages_of_cases_and_staff_are_in_no_search_engine(visitor: Visitor) -> None:
    assert visitor.get("staff/none").headers["x-robots-tag"] == "noindex"
    assert "x-robots-tag" not in visitor.get("how").headers


def test_helplines_are_listed_without_a_script(served: Served) -> None:
    page = Visitor(served, "fr").get("help").text
    assert re.search(r'<details id="FR">\s*<summary>France</summary>', page)
    assert 'href="tel:3018"' in page


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        ("fr-BE,fr;q=0.9,en-US;q=0.8", "BE"),
        ("en-US,en;q=0.9,fr-FR;q=0.4", "FR"),
        ("en-US,en;q=0.9", "US"),
        ("zh-Hant-TW,ZZ-!,de-ch;q=0.2", "CH"),
        ("fr", "XX"),
        ("", "XX"),
    ],
)
def test_helplines_of_the_visitors_country_come_first(
    visitor: Visitor, asked: str, first: str
) -> None:
    answer = visitor.get("help", headers={"Accept-Language": asked})
    open_ones = re.findall(r'<h2 id="(..)"', answer.text)
    folded = re.findall(r'<details id="(..)"', answer.text)
    assert open_ones == [first] + ["XX"] * (first != "XX")
    assert {*open_ones, *folded} >= {"BE", "CA", "CH", "FR", "GB", "LU", "US"}
    assert not set(open_ones) & set(folded)
    assert "Accept-Language" in answer.headers["vary"]


def test_child_routes_are_shown_and_nothing_is_asked(visitor: Visitor) -> None:
    page = visitor.get("under-18").text
    for host in ("takeitdown.ncmec.org", "childline.org.uk", "3018.fr", "pointdecontact.net"):
        assert host in page
    assert "<form" not in page
    assert "<input" not in page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_home_says_two_sentences_before_one_can_begin_and_then_who_runs_it(
    served: Served, lang: str
) -> None:
    page = Visitor(served, lang).get().text
    lead = re.search(r'<p class="lead">(.*?)</p>', page, re.DOTALL)
    assert lead is not None
    assert len(re.findall(r"[.!?](?:\s|$)", lead[1].strip())) == 2
    fault = {"en": "not your fault", "fr": "pas votre faute"}[lang]
    run_by = {"en": "This site is run by Helpline", "fr": "Ce site est géré par Helpline"}[lang]
    limit = {"en": "cannot wipe the whole", "fr": "ne pouvons pas effacer tout"}[lang]
    begin = page.index(f'href="/{lang}/register"')
    assert lead[1].index(fault) < 40
    assert lead.end() < begin < page.index(run_by) < page.index(limit)


def test_a_head_request_is_answered(visitor: Visitor) -> None:
    answer = visitor.client.head("/en/how")
    assert (answer.status_code, answer.content) == (200, b"")


# --- forms -------------------------------------------------------------------------------------


def test_a_form_is_taken_with_its_token(visitor: Visitor) -> None:
    token = visitor.get("form-token").json()["csrf"]
    answer = visitor.client.post("/en/trial", data={"csrf": token, "pin": "été", "empty": ""})
    assert answer.json() == {"pin": "été", "empty": ""}


def test_the_cookie_is_closed_to_scripts_and_other_sites(visitor: Visitor) -> None:
    cookie = visitor.get("form-token").headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "path=/", "samesite=strict", "secure"}


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 43])
def test_a_form_without_its_token_changes_nothing(visitor: Visitor, token: str) -> None:
    visitor.get("form-token")
    answer = visitor.client.post("/en/trial", data={"csrf": token, "pin": "1"})
    assert answer.status_code == 403
    assert "nothing was changed" in answer.text
    assert 'href="/en/trial"' in answer.text


def test_a_token_is_worth_nothing_to_another_visitor(served: Served, visitor: Visitor) -> None:
    token = visitor.get("form-token").json()["csrf"]
    other = Visitor(served)
    assert other.client.post("/en/trial", data={"csrf": token}).status_code == 403
    other.get("form-token")
    assert other.client.post("/en/trial", data={"csrf": token}).status_code == 403


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"csrf=%(token)s&a=1&a=2", 422),
        (b"csrf=%(token)s&a=%%ff", 422),
        (b"&".join(b"f%d=" % number for number in range(99)), 422),
        (b"a=" + b"x" * SMALL, 413),
    ],
)
def test_a_form_that_is_none_is_refused(visitor: Visitor, body: bytes, status: int) -> None:
    token = visitor.get("form-token").json()["csrf"].encode()
    sent = body % {b"token": token} if b"%(" in body else body
    answer = visitor.client.post("/fr/trial", content=sent)
    assert answer.status_code == status
    assert "<h1>Nous n’avons pas pu lire l’envoi</h1>" in answer.text


def test_a_script_sends_its_token_in_a_header(visitor: Visitor) -> None:
    assert visitor.post_json("trial/json", {"a": 1}).json() == len('{"a":1}')
    large = visitor.post_json("trial/json", "x" * SMALL)
    assert (large.status_code, large.json()["code"]) == (413, "body-too-large")
    bare = visitor.client.post(
        "/en/trial/json", json=1, headers={"Accept": "application/json", "X-CSRF-Token": "x"}
    )
    assert (bare.status_code, bare.json()["code"]) == (403, "form-expired")


# --- sessions ----------------------------------------------------------------------------------


def test_signing_in_starts_a_new_cookie_and_new_tokens(visitor: Visitor) -> None:
    before = visitor.get("form-token").json()["csrf"]
    planted = visitor.client.cookies[COOKIE]
    visitor.get("trial/in")
    assert visitor.client.cookies[COOKIE] != planted
    assert visitor.get("trial/who").json() == 7
    assert visitor.client.post("/en/trial", data={"csrf": before}).status_code == 403


def test_signing_in_again_ends_the_session_before(served: Served, visitor: Visitor) -> None:
    visitor.get("trial/in")
    first = visitor.client.cookies[COOKIE]
    visitor.get("trial/in")
    assert served.service.store.sessions.find(first) is None


def test_who_is_not_signed_in_is_led_to_the_start(visitor: Visitor) -> None:
    answer = visitor.get("trial/who")
    assert answer.status_code == 401
    assert "Please sign in again" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_way_out_ends_the_session_and_clears_the_browser(
    served: Served, visitor: Visitor, method: str
) -> None:
    visitor.get("trial/in")
    token = visitor.client.cookies[COOKIE]
    answer = visitor.client.request(method, "/en/leave")
    assert (answer.status_code, answer.headers["location"]) == (303, EXIT_URL)
    assert answer.headers["clear-site-data"] == '"cache", "cookies", "storage"'
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert served.service.store.sessions.find(token) is None
    assert visitor.get("trial/who").status_code == 401


def test_the_way_out_is_open_to_who_never_signed_in(visitor: Visitor) -> None:
    assert visitor.get("leave").headers["location"] == EXIT_URL


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/en/none", "/case", "/xx/how", "/xx", "/wp-login.php"])
def test_what_is_not_there_is_told_on_a_page(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path, headers={"Accept-Language": "fr"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    lang = "en" if path.startswith("/en") else "fr"
    assert f'<html lang="{lang}"' in answer.text


def test_a_wrong_method_is_told_on_a_page(visitor: Visitor) -> None:
    answer = visitor.client.post("/en/how")
    assert answer.status_code == 405
    assert "<h1>There is no page here</h1>" in answer.text


@pytest.mark.parametrize("path", ["/v1/none", "/static/none", "/docs/none"])
def test_everything_beside_the_pages_answers_with_problems(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path, headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/problem+json"


def test_too_many_at_once_is_told_on_a_page(served: Served, visitor: Visitor) -> None:
    body = b"x" * (served.service.settings.max_body_bytes + 1)
    answer = visitor.client.post("/en/trial", content=body)
    assert answer.status_code == 413
    assert "could not read" in answer.text


def test_without_the_setting_there_are_no_pages(tmp_path: Path) -> None:
    with serve(tmp_path) as served:
        answer = served.client.get("/en/")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert [bank.name for bank in served.service.store.banks.list()] == []


def test_the_bank_is_made_at_the_start_and_once(tmp_path: Path) -> None:
    for _ in range(2):
        with serve(tmp_path, pages=True, pages_bank="people") as served:
            assert [bank.name for bank in served.service.store.banks.list()] == ["people"]


def test_a_look_that_cannot_be_read_stops_the_start() -> None:
    with pytest.raises(errors.SettingInvalid, match="pages_colour"):
        create_app(ServerSettings(pages=True, pages_colour="#ffff00"))


def test_no_page_stands_in_the_document_of_the_api(tmp_path: Path) -> None:
    paths = create_app(ServerSettings(pages=True)).openapi()["paths"]
    assert not [path for path in paths if "{lang}" in path or path.startswith("/static")]


# --- files -------------------------------------------------------------------------------------


def files_of(page: Response) -> list[str]:
    return re.findall(r'(?:src|href)="(/static/[^"]*)"', page.text)


def test_files_have_their_types_and_are_not_kept_for_long(visitor: Visitor) -> None:
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for address in files_of(visitor.get()):
        answer = visitor.client.get(address, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        ending = address[address.rindex(".") :]
        assert answer.headers["content-type"].startswith(kinds[ending])
        assert "immutable" not in answer.headers["cache-control"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-encoding" not in answer.headers
        zipped = visitor.client.get(address, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.content == answer.content
        refused = visitor.client.get(address, headers={"Accept-Encoding": "gzip;q=0"})
        assert "content-encoding" not in refused.headers


@pytest.mark.parametrize("name", ["css/none.css", "../locale/en/home.toml", "..%2Fframe.py", ""])
def test_no_other_file_is_handed_out(visitor: Visitor, name: str) -> None:
    base = files_of(visitor.get())[0].split("/")[2]
    assert visitor.client.get(f"/static/{base}/{name}").status_code == 404


def test_files_of_another_version_are_not_mixed_in(visitor: Visitor) -> None:
    assert visitor.client.get("/static/0123456789abcdef/css/site.css").status_code == 404


@pytest.mark.parametrize("path", ["", "how", "help"])
def test_a_page_with_all_its_files_is_light(visitor: Visitor, path: str) -> None:
    page = visitor.get(path)
    weight = len(page.content)
    for address in files_of(page):
        answer = visitor.client.get(address, headers={"Accept-Encoding": "gzip"})
        weight += int(answer.headers["content-length"])
    assert weight <= MAX_WEIGHT_BYTES


# --- who asks ----------------------------------------------------------------------------------


def test_no_header_changes_where_a_request_comes_from(visitor: Visitor) -> None:
    answer = visitor.get("trial/origin", headers={"X-Forwarded-For": "198.51.100.7"})
    assert answer.json() == "unknown"


@pytest.mark.parametrize("kind", [
    errors.CaseNumberInvalid, errors.PinRefused, errors.CaseNotFound, errors.TooManyAttempts,
    errors.CaseEnded, errors.CaseFull, errors.ImageMissing, errors.SubmissionConflict,
    errors.ProofInvalid, errors.ProofExpired, errors.FormExpired, errors.SignInNeeded,
    errors.StaffRefused, errors.RateLimited, errors.Overloaded, errors.StoreLocked,
])  # fmt: skip
def test_what_can_happen_to_a_person_is_not_called_a_fault_of_ours(
    kind: type[errors.EgideError],
) -> None:
    assert kind.page_words != errors.Unexpected.page_words
