"""The context of each page: its language, session, form tokens and headers.

A route takes `page: PageDep` and returns `page.render("name.html.j2", …)` or `page.redirect(…)`.
A route that changes something also takes `fields: FieldsDep` (a form) or `body: JsonDep` (a
script's JSON). These first check the token against forged requests. Routes are plain `def`, so they
run in a thread: the session is read from the store.

There is one cookie: a random value, from which the form token is derived. Once somebody is signed
in, it is the token of their session.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from egide.domain.access import Role
from egide.errors import FormExpired, PathMissing, RequestInvalid, SignInNeeded, StoreError
from egide.server.http.address import origin_of
from egide.server.pages.site.site import Site
from egide.server.service import Service, service_of
from egide.usecases.taking_part import TakingPart, taking_part

if TYPE_CHECKING:
    from egide.domain.staff import Session, SessionKind
    from egide.text.wording import Wording

COOKIE = "__Host-egide"
CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"
_MAX_FIELDS = 64
_VALUE_BYTES = 32
_MAX_VALUE_CHARS = 128
_KEY_PURPOSE = "page-forms"
_UNLISTED = ("case", "staff", "goodbye")
"""First parts of paths that search engines should not list."""

_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self'{images}; "
    "connect-src 'self'; {workers}form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PLAIN_POLICY = _POLICY.format(scripts="", images="", workers="")
FINGERPRINT_POLICY = _POLICY.format(
    # libheif is WebAssembly; without createImageBitmap, a picture is decoded from a `blob:`.
    # Neither admits anything from another origin.
    scripts=" 'wasm-unsafe-eval'",
    images=" blob:",
    workers="worker-src 'self'; ",
)
_FEATURES = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "clipboard-read",
    "display-capture",
    "encrypted-media",
    "fullscreen",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "xr-spatial-tracking",
)
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": ", ".join(f"{feature}=()" for feature in _FEATURES),
}
"""Of every page, in addition to those of `egide.server.http.envelope`."""


@dataclass(eq=False)
class Page:
    """One request for a page, with everything that its answer needs.

    Attributes:
        request: the request.
        site: shared by all pages.
        lang: `en` or `fr`, from the address.
        path: after the language, such as `case/withdraw`; the language switch leads there. A
            POST-only route sets it to the page with its form.
    """

    request: Request
    site: Site
    lang: str
    path: str
    _new_cookie: str | None = field(default=None, init=False)

    # --- language and addresses ---

    @property
    def words(self) -> Wording:
        """The strings of the page's language: `page.words.text("home.heading")`."""
        return self.site.wordings[self.lang]

    def url(self, path: str = "", lang: str | None = None) -> str:
        """The address of a page, such as `case/withdraw`, in the page's language or another."""
        return f"/{lang or self.lang}/{path}"

    # --- who asks ---

    @property
    def service(self) -> Service:
        """The register behind the pages."""
        return service_of(self.request)

    @property
    def origin(self) -> str:
        """Where the request comes from, for rates and attempts; never keep or log it."""
        return origin_of(self.request, self.site.settings.trusted_proxies)

    @cached_property
    def session(self) -> Session | None:
        """The session of a signed-in visitor, or None; reads the store at the first use.

        Raises:
            StoreError: the store cannot be read.
        """
        value = self._sent_cookie
        return None if value is None else self.service.store.sessions.find(value)

    def session_of(self, kind: SessionKind) -> Session:
        """The session of somebody signed in to a case, or as staff.

        Raises:
            SignInNeeded: there is no such session, or it is over; the answer leads to the form.
        """
        session = self.session
        if session is None or session.kind != kind:
            raise SignInNeeded
        return session

    def sign_in(self, kind: SessionKind, subject_id: int, *, idle_s: int, longest_s: int) -> None:
        """Start a session with a new cookie value, so that no value can be planted beforehand.

        Args:
            kind: to a case, or as staff.
            subject_id: the number of the case, or of the member of staff.
            idle_s: the session ends after this time without use.
            longest_s: the session ends after this time in any case.
        """
        sessions = self.service.store.sessions
        self._end()
        self._new_cookie = sessions.start(kind, subject_id, idle_s=idle_s, longest_s=longest_s)

    def sign_out(self) -> None:
        """End the session, if there is one, and delete its cookie.

        Raises:
            StoreError: the session remains in the store; the cookie is deleted nevertheless.
        """
        try:
            self._end()
        finally:
            self.drop_cookie()

    def drop_cookie(self) -> None:
        """Delete the cookie, and leave the session unchanged."""
        self._new_cookie = ""

    def _end(self) -> None:
        for value in (self._sent_cookie, self._new_cookie):
            if value:
                self.service.store.sessions.end(value)
        self.session = None

    # --- who looks ---

    @cached_property
    def taking_part(self) -> TakingPart | None:
        """The present partners; None if the store fails: then promise nothing."""
        settings = self.site.settings
        open_to_networks = settings.hma_enabled and settings.hma_networks
        # Nobody holds such a key: it stands for any caller from those networks.
        without = () if open_to_networks else {f"hma-{role.value}" for role in Role}
        try:
            return taking_part(
                self.service.store, settings.pages_bank, settings.pages_partners, without=without
            )
        except StoreError:
            return None

    def partner_name(self, key_name: str) -> str:
        """A partner's public name; only workers may see the names of keys."""
        named = self.site.settings.pages_partners.get(key_name)
        return self.words.text("partners.somebody") if named is None else named

    # --- forms ---

    @property
    def csrf(self) -> str:
        """The token that forms and scripts send back; a visitor without a cookie gets one."""
        value = self._new_cookie or self._sent_cookie
        if value is None:
            value = self._new_cookie = secrets.token_urlsafe(_VALUE_BYTES)
        return self._token(value)

    def require_token(self, token: str) -> None:
        """Refuse a request that does not come from a page of this visitor.

        Raises:
            FormExpired: the token does not fit the cookie, or there is no cookie.
        """
        value = self._sent_cookie
        # As bytes: compare_digest refuses non-ASCII text.
        if value is None or not hmac.compare_digest(self._token(value).encode(), token.encode()):
            raise FormExpired

    def visit_key(self, purpose: str) -> bytes:
        """A key for this visit, 32 bytes, which the cookie does not reveal.

        Raises:
            FormExpired: there is no cookie.
        """
        value = self._sent_cookie
        if value is None:
            raise FormExpired
        return hmac.digest(self.service.store.derived_key(purpose), value.encode(), "sha256")

    @property
    def _sent_cookie(self) -> str | None:
        value = self.request.cookies.get(COOKIE, "")
        return value if 0 < len(value) <= _MAX_VALUE_CHARS else None

    def _token(self, value: str) -> str:
        key = self.service.store.derived_key(_KEY_PURPOSE)
        digest = hmac.digest(key, value.encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")

    # --- answers ---

    def render(
        self,
        template: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        fingerprints: bool = False,
        headers: Mapping[str, str] | None = None,
        **context: Any,
    ) -> HTMLResponse:
        """Answer with a page.

        Args:
            template: its name, such as `case.html.j2`; it extends `base.html.j2`.
            status: 422 for a form with mistakes, so that nothing seems to be done.
            fingerprints: whether the page computes fingerprints, which its policy must allow.
            headers: further headers.
            context: variables of the template, besides those that `base.html.j2` lists.
        """
        content = self.site.templates.get_template(template).render(
            self._common_context() | context
        )
        policy = FINGERPRINT_POLICY if fingerprints else PLAIN_POLICY
        given = HEADERS | {"Content-Security-Policy": policy, "Content-Language": self.lang}
        if self.path.partition("/")[0] in _UNLISTED:
            given["X-Robots-Tag"] = "noindex"
        response = HTMLResponse(content, status_code=status, headers={**given, **(headers or {})})
        self.dress(response)
        return response

    def redirect(self, path: str = "") -> RedirectResponse:
        """Answer a finished form with a redirect to one of our pages."""
        response = RedirectResponse(self.url(path), status_code=HTTPStatus.SEE_OTHER)
        self.dress(response)
        return response

    def dress(self, response: Response) -> None:
        """Set or delete the cookie on an answer that a route builds itself, such as JSON."""
        if self._new_cookie is None:
            return
        response.set_cookie(
            COOKIE,
            self._new_cookie,
            max_age=None if self._new_cookie else 0,
            path="/",
            secure=True,
            httponly=True,
            samesite="strict",
        )

    def _common_context(self) -> dict[str, Any]:
        words = self.words

        def rich(key: str, **fields: object) -> Markup:
            return escape(words.unfilled(key)).format(**fields)

        return {
            "page": self,
            "lang": self.lang,
            "t": words.text,
            "rich": rich,
            "plural": words.plural,
            "number": words.number,
            "day": words.day,
            "listed": words.listed,
            "url": self.url,
            "asset": self.site.assets.url,
            "brand": self.site.branding,
            "languages": self.site.settings.pages_languages,
            "exit_url": self.site.settings.pages_exit_url,
            "exit_host": urlsplit(self.site.settings.pages_exit_url).hostname,
        }


_DAYS_A_YEAR = 365


def shown_lifetime(words: Wording, days: int) -> str:
    """Format a number of days, in whole years if possible: "2 years", "90 days"."""
    years, rest = divmod(days, _DAYS_A_YEAR)
    if rest:
        return words.plural("common.days", days)
    return words.plural("common.years", years)


async def _page(request: Request, lang: str) -> Page:
    site: Site = request.app.state.site
    if lang not in site.settings.pages_languages:
        raise PathMissing
    return Page(request, site, lang, request.url.path.removeprefix(f"/{lang}").lstrip("/"))


PageDep = Annotated[Page, Depends(_page)]


async def _posted_fields(page: PageDep) -> Mapping[str, str]:
    body = await page.request.body()
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS
        )
    except ValueError:
        # The parser's message may quote the form.
        raise RequestInvalid(reason="the form cannot be read") from None
    fields = dict(pairs)
    page.require_token(fields.pop(CSRF_FIELD, ""))
    if len(fields) + 1 < len(pairs):
        raise RequestInvalid(reason="a field is repeated")
    return fields


FieldsDep = Annotated[Mapping[str, str], Depends(_posted_fields)]
"""The fields of a form (application/x-www-form-urlencoded), its token checked.

Raises FormExpired; or RequestInvalid if the form is unreadable or repeats a field.
"""


async def _posted_json(page: PageDep) -> bytes:
    page.require_token(page.request.headers.get(CSRF_HEADER, ""))
    return await page.request.body()


JsonDep = Annotated[bytes, Depends(_posted_json)]
"""The body from a script, unparsed, its header X-CSRF-Token checked.

Raises FormExpired. If the request's `Accept` names `application/json`, errors are answered with
problem+json, not with a page.
"""
