"""Visits to the pages without a browser: cookies are kept, forms are sent as pages have them."""

from __future__ import annotations

import re
from typing import Any

from httpx2 import Response

from server_samples import Served

ORIGIN = "https://testserver"
TOKEN = re.compile(r'name="csrf" value="([^"]+)"')


class Visitor:
    """Somebody with a browser of their own, without scripts.

    Attributes:
        client: sends requests over what it takes for TLS, or no cookie would be kept.
        lang: of the pages; paths here are those after the language.
    """

    def __init__(self, served: Served, lang: str = "en") -> None:
        # It starts nothing: the application runs already.
        self.client = served.another_client(base_url=ORIGIN, follow_redirects=False)
        self.lang = lang

    def get(self, path: str = "", **given: Any) -> Response:
        return self.client.get(f"/{self.lang}/{path}", **given)

    def post(
        self, path: str, fields: dict[str, str] | None = None, *, form: str | None = None
    ) -> Response:
        """Send the form of a page.

        Args:
            path: it is posted to.
            fields: beside the token.
            form: the page that it is on, by default the same path.
        """
        token = token_of(self.get(path if form is None else form))
        return self.client.post(f"/{self.lang}/{path}", data={"csrf": token, **(fields or {})})

    def post_json(self, path: str, body: Any) -> Response:
        """Send JSON as a script does, with a fresh token."""
        headers = {"X-CSRF-Token": self.get("form-token").json()["csrf"]}
        headers["Accept"] = "application/json"
        return self.client.post(f"/{self.lang}/{path}", json=body, headers=headers)


def token_of(page: Response) -> str:
    found = TOKEN.search(page.text)
    assert found, "the page has no form"
    return found.group(1)
