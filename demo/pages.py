"""The pages for people, of a made-up helpline, with drawn pictures to register.

Serves them on loopback until Ctrl-C, with an account for the helpline's side and a made-up partner
that follows the register. Needs the extra `server`; everything stands in `demo-output/pages/`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pyotp import parse_uri

from drawings import drawings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyotp import TOTP

OUTPUT = Path("demo-output") / "pages"
EGIDE = Path(sys.executable).with_name("egide")
STORE = f"sqlite:///{OUTPUT / 'helpline.db'}"
PICTURES = 6
PORT = 8000
PARTNER = "photo-site"
PARTNER_ASKS_S = 3.0
PATIENCE_S = 30.0
SETTINGS = {
    "EGIDE_PAGES_NAME": "Helpline Willow (made up)",
    "EGIDE_PAGES_CONTACT": "help@willow.example",
    "EGIDE_PAGES_COLOUR": "#4a4a86",
}


def main() -> None:
    """Run the demo."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        serve()
    print("\nThe pages are closed.")


def serve() -> None:
    """Draw, serve, explain, and go on until interrupted."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    draw()
    with served() as address:
        account = run("staff", "add", "demo", "--issuer", "Egide demo")
        follow_as_partner(address)
        explain(address, account)
        app = cast("TOTP", parse_uri(account["uri"]))
        # Each Enter shows a code; where nobody can press it, the pages are served all the same.
        for _ in sys.stdin:
            print(f"Code for the helpline's side, each works once: {app.now()}", flush=True)
        threading.Event().wait()


def draw() -> None:
    """Draw pictures to register, and copies of two as somebody might post them."""
    originals, copies = OUTPUT / "pictures", OUTPUT / "found-online"
    originals.mkdir(parents=True)
    copies.mkdir()
    for number, (name, image) in enumerate(drawings(PICTURES, size=(1200, 800))):
        image.save(originals / (f"{name}.png" if number % 2 else f"{name}.jpg"))
        if number < 2:
            image.reduce(3).save(copies / f"smaller-{name}.jpg", quality=60)


@contextlib.contextmanager
def served() -> Iterator[str]:
    """Serve the register and its pages for as long as this lasts; yield where."""
    command = ["serve", "--pages", "--store", STORE, "--port", str(free_port()), "--json"]
    with (OUTPUT / "helpline.log").open("wb") as log:
        server = subprocess.Popen(
            [EGIDE, *command], stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, **SETTINGS},
            start_new_session=True,  # Ctrl-C is for this program, which then ends the server
        )  # fmt: skip
    try:
        assert server.stdout is not None
        for line in server.stdout:
            address = json.loads(line).get("address", "")
            if address:
                break
        else:
            sys.exit(f"The pages did not start: see {OUTPUT / 'helpline.log'}")
        # The pages' cookie needs HTTPS; of plain HTTP, browsers take it from this name alone.
        yield f"http://localhost:{urlsplit(address).port}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def free_port() -> int:
    """Return the usual port, or 0 for any where that is taken."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def run(*words: str) -> dict[str, Any]:
    """Run a command on the register's store; return what it prints as JSON."""
    done = subprocess.run(
        [EGIDE, *words, "--store", STORE, "--json"], check=True, stdout=subprocess.PIPE, text=True
    )
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def follow_as_partner(address: str) -> None:
    """Have a made-up partner fetch what is registered, so that cases say what it was sent."""
    key = run("key", "create", "--role", "partner", "--name", PARTNER, "--bank", "helpline")["key"]

    request = urllib.request.Request(  # noqa: S310 - it is our own server
        f"{address}/v1/changes?bank=helpline", headers={"Authorization": f"Bearer {key}"}
    )

    def ask() -> None:
        while True:
            with contextlib.suppress(OSError):  # as when the server is just ending
                urllib.request.urlopen(request, timeout=PATIENCE_S).close()  # noqa: S310
            time.sleep(PARTNER_ASKS_S)

    threading.Thread(target=ask, daemon=True).start()


def explain(address: str, account: dict[str, Any]) -> None:
    """Say where to go and what to try."""
    copy = next((OUTPUT / "found-online").iterdir())
    print(f"""
The pages of a made-up helpline:   {address}/
English {address}/en/, French {address}/fr/. They answer on this machine only.

1. Register the drawn pictures of   {(OUTPUT / "pictures").resolve()}
2. Look for a copy as a platform would, before and after you take the images out:
     {EGIDE} match {copy} --store {STORE}
3. The partner {PARTNER} fetches what is new every {PARTNER_ASKS_S:g} s; your case shows it.
4. The helpline's side:             {address}/en/staff/
     name demo, password {account["password"]}
     A code is shown here each time you press Enter; or give your app
     {account["uri"]}

Ctrl-C ends it. The server's log is in {OUTPUT / "helpline.log"}.
""", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
