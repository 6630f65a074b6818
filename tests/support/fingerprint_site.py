"""A site of the tests' own: Egide's static files, an empty page under a strict policy, files."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import egide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

STATIC = Path(egide.__file__).parent / "server" / "pages" / "static"
HEIC = Path(__file__).parents[1] / "vectors" / "drawing.heic"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "worker-src 'self'; img-src 'self' blob:"
)
TYPES = {".js": "text/javascript", ".wasm": "application/wasm"}

FINGERPRINT_ALL = """
async ([names, options]) => {
    const { Fingerprinter } = await import('/static/js/fingerprints/client.js');
    const shares = [];
    const fingerprinter = new Fingerprinter({
        ...options,
        onEvent: (event) => shares.push(event.share),
    });
    const results = await Promise.all(names.map(async (name) => {
        const file = await (await fetch('/files/' + name)).blob();
        try {
            return await fingerprinter.fingerprint(file);
        } catch (error) {
            return { error: error.code ?? String(error) };
        }
    }));
    fingerprinter.close();
    return { results, shares };
}
"""


@dataclass(slots=True)
class Site:
    """A running site; what is in `files` is served at `/files/<name>`."""

    address: str
    files: dict[str, bytes | Path] = field(default_factory=dict)
    replaced: dict[str, bytes] = field(default_factory=dict)
    """Paths that are answered with something else than the file of that name."""
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> bytes | Path | None:
        """What stands at a path."""
        self.asked.append(path)
        if path == "/":
            return b"<!doctype html><title>Fingerprints</title>"
        if path in self.replaced:
            return self.replaced[path]
        if path.startswith("/files/"):
            return self.files.get(path.removeprefix("/files/"))
        found = STATIC / path.removeprefix("/static/")
        return found if path.startswith("/static/") and found.is_file() else None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, site: Site, *args: Any) -> None:
        self._site = site
        super().__init__(*args)

    def do_GET(self) -> None:
        found = self._site.answer(self.path)
        body = found.read_bytes() if isinstance(found, Path) else found or b""
        self.send_response(404 if found is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        kind = "text/html" if self.path == "/" else "application/octet-stream"
        self.send_header("Content-Type", TYPES.get(Path(self.path).suffix, kind))
        self.end_headers()
        with suppress(ConnectionError):  # the page is gone
            self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def running_site() -> Iterator[Site]:
    """Serve on a free port of the loopback."""
    site = Site("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, site))
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    # By default it looks every half second whether it is to end.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fingerprint_all(
    page: Page, site: Site, files: dict[str, bytes | Path], **options: Any
) -> dict[str, dict[str, Any]]:
    """Fingerprint files in a page, as someone who chose them all at once; by name."""
    site.files = dict(files)
    told = page.evaluate(FINGERPRINT_ALL, [list(files), options])
    return dict(zip(files, told["results"], strict=True))
