"""The client that drives Firefox: what it reads of a page, and what it does there."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from firefox_bidi import FirefoxFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from firefox_bidi import Firefox

# The tests in Firefox use all of it.
pytestmark = pytest.mark.slow

PAGE = b"""<!doctype html><html lang="en"><title>Page</title><link rel="icon" href="/icon.svg">
<script>window.inline = true</script>
<input id="name"><input id="files" type="file" multiple></html>"""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "image/svg+xml")
        self.send_header("Content-Length", str(len(PAGE)))
        self.send_header("Content-Security-Policy", "default-src 'none'; img-src 'self'")
        self.send_header("Set-Cookie", "__Host-seen=1; Secure; SameSite=Strict; Path=/")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_scripts_run_whatever_the_policy_of_the_page(firefox: Firefox, address: str) -> None:
    with firefox.page(320, 700) as page:
        page.goto(address)
        assert page.evaluate("[innerWidth, innerHeight, 'inline' in window]") == [320, 700, False]
        assert page.call("async (one, other) => ({ sum: await one + other })", 1, 2) == {"sum": 3}
        assert page.evaluate("undefined") is None
        with pytest.raises(FirefoxFault, match="nothing is not defined"):
            page.evaluate("nothing")


def test_what_a_page_says_and_asks_for_is_heard(firefox: Firefox, address: str) -> None:
    with firefox.page() as page:
        page.goto(address)
        page.evaluate("console.error('wrong')")
        page.evaluate("console.log('right')")
        blocked, wrong = page.complaints()
        assert "Content-Security-Policy" in blocked
        assert wrong == "error: wrong"
        assert page.requests()[0] == address


def test_files_are_chosen_keys_pressed_and_the_page_pictured(
    firefox: Firefox, address: str, tmp_path: Path
) -> None:
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    for path in paths:
        path.write_text(path.name)
    with firefox.page(400, 300) as page:
        page.goto(address)
        page.set_files("#files", paths)
        chosen = "[...document.querySelector('#files').files].map((file) => file.name)"
        assert page.evaluate(chosen) == ["one.txt", "two.txt"]
        with pytest.raises(FirefoxFault, match=r"^input\.setFiles"):
            page.set_files("#name", paths)
        with pytest.raises(FirefoxFault, match="there is no #nothing"):
            page.set_files("#nothing", paths)
        page.evaluate("document.querySelector('#name').focus()")
        page.press("o", "k", "\ue004")
        typed = "[document.querySelector('#name').value, document.activeElement.id]"
        assert page.evaluate(typed) == ["ok", "files"]
        assert Image.open(io.BytesIO(page.screenshot())).size == (400, 300)


def test_pages_share_no_cookie(firefox: Firefox, address: str) -> None:
    for _ in range(2):
        with firefox.page() as page:
            page.goto(address)
            assert page.evaluate("document.cookie") == "__Host-seen=1"
            page.evaluate("document.cookie = '__Host-mine=2; Secure; Path=/'")
            assert "__Host-mine=2" in page.evaluate("document.cookie")
