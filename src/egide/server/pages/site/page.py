"""What surrounds each page: its language, its session, its forms' tokens, and its headers.

A route takes `page: PageDep` and returns `page.render("name.html.j2", …)` or `page.redirect(…)`.
A route that changes something takes `fields: FieldsDep` (a form) or `body: JsonDep` (a script's
JSON) too, which checks the token against forged requests before anything else is done. Routes are
plain `def`: they run in a thread, since the session is read from the store.

One cookie holds all: a random value, from which the token follows; once somebody is signed in, it
is the token of their session.
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
from egide.errors import (
    FormExpired,
    PathMissing,
    RequestInvalid,
    SignInNeeded,
    StoreError,
)
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
"""First parts of paths that no search engine should show."""

_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self'; img-src 'self'{images}; "
    "connect-src 'self'; {workers}form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PLAIN_POLICY = _POLICY.format(scripts="", images="", workers="")
FINGERPRINT_POLICY = _POLICY.format(
    # libheif is WebAssembly; a picture is decoded from a `blob:` where there is no
    # createImageBitmap. Neither lets anything of another origin in.
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
"""Of every page, beside those of `egide.server.http.envelope`."""


@dataclass(eq=False)
class Page:
    """One request for a page, and what its answer needs.

    Attributes:
        request: it.
        site: what all pages have in common.
        lang: `en` or `fr`, from the address.
        path: after the language, as `case/withdraw`; what the language switch leads to. A route
            that answers only to POST sets it to the page that its form is on.
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
        """The address of a page, as `case/withdraw`, in the page's language or another."""
        return f"/{lang or self.lang}/{path}"

    # --- who asks ---

    @property
    def service(self) -> Service:
        """The register behind the pages."""
        return service_of(self.request)

    @property
    def origin(self) -> str:
        """Where the request comes from, for rates and attempts; never to be kept or logged."""
        return origin_of(self.request, self.site.settings.trusted_proxies)

    @cached_property
    def session(self) -> Session | None:
        """Who is signed in, if anybody; reads the store at the first use.

        Raises:
            StoreError: it cannot be read.
        """
        value = self._sent_cookie
        return None if value is None else self.service.store.sessions.find(value)

    def session_of(self, kind: SessionKind) -> Session:
        """The session of somebody signed in to a case, or as staff.

        Raises:
            SignInNeeded: nobody is, or it is over; answered with a page that leads to the form.
        """
        session = self.session
        if session is None or session.kind != kind:
            raise SignInNeeded
        return session

    def sign_in(self, kind: SessionKind, subject_id: int, *, idle_s: int, longest_s: int) -> None:
        """Start a session with a new value of the cookie, so that none can be planted before.

        Args:
            kind: to a case, or as staff.
            subject_id: the number of the case, or of the member of staff.
            idle_s: so long without use, and it is over.
            longest_s: so long in all.
        """
        sessions = self.service.store.sessions
        self._end()
        self._new_cookie = sessions.start(kind, subject_id, idle_s=idle_s, longest_s=longest_s)

    def sign_out(self) -> None:
        """End the session, if there is one, and take its cookie back.

        Raises:
            StoreError: it lives on in the store; the cookie is taken back all the same.
        """
        try:
            self._end()
        finally:
            self.drop_cookie()

    def drop_cookie(self) -> None:
        """Take the cookie back, and leave the session as it is."""
        self._new_cookie = ""

    def _end(self) -> None:
        for value in (self._sent_cookie, self._new_cookie):
            if value:
                self.service.store.sessions.end(value)
        self.session = None

    # --- who looks ---

    @cached_property
    def taking_part(self) -> TakingPart | None:
        """Who takes part now; None where the store cannot tell, and nothing may be promised."""
        settings = self.site.settings
        open_to_networks = settings.hma_enabled and settings.hma_networks
        # Such a key was given to nobody: it stands for whoever asks from those networks.
        without = () if open_to_networks else {f"hma-{role.value}" for role in Role}
        try:
            return taking_part(
                self.service.store, settings.pages_bank, settings.pages_partners, without=without
            )
        except StoreError:
            return None

    def partner_name(self, key_name: str) -> str:
        """What a partner is called on pages: the names of keys are for workers alone."""
        named = self.site.settings.pages_partners.get(key_name)
        return self.words.text("partners.somebody") if named is None else named

    # --- forms ---

    @property
    def csrf(self) -> str:
        """The token that forms and scripts send back; a visitor without a cookie is given one."""
        value = self._new_cookie or self._sent_cookie
        if value is None:
            value = self._new_cookie = secrets.token_urlsafe(_VALUE_BYTES)
        return self._token(value)

    def require_token(self, token: str) -> None:
        """Refuse a request that no page of this visitor's sent.

        Raises:
            FormExpired: the token is not that of the cookie, or there is none.
        """
        value = self._sent_cookie
        # As bytes: compare_digest refuses text beyond ASCII.
        if value is None or not hmac.compare_digest(self._token(value).encode(), token.encode()):
            raise FormExpired

    def visit_key(self, purpose: str) -> bytes:
        """A key of this visit alone, 32 bytes, that its cookie does not tell.

        Raises:
            FormExpired: there is no cookie, so no visit.
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
            template: its name, as `case.html.j2`; it extends `base.html.j2`.
            status: 422 for a form with mistakes, so that nothing is taken for done.
            fingerprints: whether it computes fingerprints, which its policy must allow.
            headers: further ones.
            context: what the template names, beside what `base.html.j2` lists.
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
        """Answer a form that was done with: see this page of ours."""
        response = RedirectResponse(self.url(path), status_code=HTTPStatus.SEE_OTHER)
        self.dress(response)
        return response

    def dress(self, response: Response) -> None:
        """Set or take back the cookie on an answer that a route makes by itself, as JSON."""
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
    """Say a number of days, in years where it is a whole number of them: "2 years", "90 days"."""
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
        # What the parser says may quote the form.
        raise RequestInvalid(reason="the form cannot be read") from None
    fields = dict(pairs)
    page.require_token(fields.pop(CSRF_FIELD, ""))
    if len(fields) + 1 < len(pairs):
        raise RequestInvalid(reason="a field stands there twice")
    return fields


FieldsDep = Annotated[Mapping[str, str], Depends(_posted_fields)]
"""The fields of a form (application/x-www-form-urlencoded), its token checked.

Raises FormExpired, or RequestInvalid: a field stands there twice.
"""


async def _posted_json(page: PageDep) -> bytes:
    page.require_token(page.request.headers.get(CSRF_HEADER, ""))
    return await page.request.body()


JsonDep = Annotated[bytes, Depends(_posted_json)]
"""The body that a script sent, unparsed, its header X-CSRF-Token checked.

Raises FormExpired. Errors are answered with problem+json, not with a page, where
the request's `Accept` names `application/json`.
"""
