"""Two registers, served: a platform asks one, the other follows it, and a withdrawal arrives.

Draws a picture, starts a helpline's register and a partner's on loopback, and stops both. Needs the
extra `server`; everything stands in `demo-output/serving/`. The requests are printed as curl's.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drawings import drawings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL import Image

OUTPUT = Path("demo-output") / "serving"
EGIDE = Path(sys.executable).with_name("egide")
PATIENCE_S = 30.0


def main() -> None:
    """Run the demo."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    picture, copy = draw()
    with served("helpline") as helpline, served("partner") as partner:
        print("\nA helpline makes a bank; a partner makes one of its own, and follows it:\n")
        helpline.run("bank", "create", "ncii")
        partner.run("bank", "create", "from-helpline")
        key_file = OUTPUT / "helpline.key"
        key_file.touch(mode=0o600)
        key_file.write_text(helpline.key("partner", "the-partner"), "ascii")
        partner.run("sync", "add", "helpline", helpline.address, "--key-file", str(key_file),
                    "--from", "ncii", "--into", "from-helpline")  # fmt: skip

        print("\nA platform asks the partner about an upload, before and after it is registered:\n")
        asking = partner.key("matcher", "uploads")
        print("  →", action(partner.post("/v1/match", asking, picture=copy)))
        curating = helpline.key("curator", "ana", "--holder", "Ana Diaz")
        helpline.post("/v1/banks/ncii/entries", curating, picture=picture)
        took_s = wait_until(partner, asking, copy, "review")
        print(f"  → review, {took_s:.1f} s after it was registered with the helpline")

        print("\nThe person takes their consent back:\n")
        helpline.post("/v1/banks/ncii/entries/1/withdraw", curating)
        took_s = wait_until(partner, asking, copy, "allow")
        print(f"  → allow, {took_s:.1f} s after it was withdrawn; erased in both registers")

        print("\nWho did what, by the partner's log:\n")
        partner.run("log", "show")
        partner.run("log", "verify")


def draw() -> tuple[bytes, bytes]:
    """Return a drawing as a JPEG, and a smaller, coarser copy of it."""
    _, image = next(iter(drawings(1)))
    return encoded(image, 92), encoded(image.reduce(2), 60)


def encoded(image: Image.Image, quality: int) -> bytes:
    """Return the bytes of a JPEG."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


class Served:
    """A register that is being served.

    Attributes:
        name: of it, and of its database.
        address: where it answers.
    """

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address

    @property
    def store(self) -> str:
        """The URL of its store."""
        return f"sqlite:///{OUTPUT / self.name}.db"

    def run(self, *words: str) -> None:
        """Print a command and run it on this register's store."""
        say("egide", *words, "--store", self.store)
        subprocess.run([EGIDE, *words, "--store", self.store], check=True)

    def key(self, role: str, name: str, *words: str) -> str:
        """Make a key and return it."""
        command = ["key", "create", "--role", role, "--name", name, *words, "--store", self.store]
        say("egide", *command)
        done = subprocess.run(
            [EGIDE, *command, "--json"], check=True, stdout=subprocess.PIPE, text=True
        )
        return str(json.loads(done.stdout)["key"])

    def post(
        self, path: str, key: str, picture: bytes = b"", *, quiet: bool = False
    ) -> dict[str, Any]:
        """Send a picture, or nothing, and return the answer."""
        form = ["-F", "file=@picture.jpg"] if picture else ["-X", "POST"]
        if not quiet:
            say("curl", "-H", "Authorization: Bearer …", *form, self.address + path)
        headers = {"Authorization": f"Bearer {key}"}
        body = b""
        if picture:
            boundary = uuid.uuid4().hex
            headers["Content-Type"] = f"multipart/form-data; boundary={boundary}"
            disposition = 'Content-Disposition: form-data; name="file"; filename="picture.jpg"'
            body = f"--{boundary}\r\n{disposition}\r\n\r\n".encode() + picture
            body += f"\r\n--{boundary}--\r\n".encode()
        request = urllib.request.Request(  # noqa: S310 - it is our own server
            self.address + path, body, headers, method="POST"
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def served(name: str) -> Iterator[Served]:
    """Serve a new register for as long as this lasts."""
    register = Served(name, "")
    say("egide", "serve", "--store", register.store, "--port", "0")
    with (OUTPUT / f"{name}.log").open("wb") as log:
        server = subprocess.Popen(
            [EGIDE, "serve", "--store", register.store, "--port", "0", "--json"],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
    try:
        assert server.stdout is not None
        for line in server.stdout:
            register.address = json.loads(line).get("address", "")
            if register.address:
                break
        else:
            sys.exit(f"{name} did not start: see {OUTPUT / name}.log")
        yield register
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


def wait_until(register: Served, key: str, picture: bytes, wanted: str) -> float:
    """Ask until the answer is the wanted one; return how long it took, in seconds."""
    start = time.monotonic()
    while action(register.post("/v1/match", key, picture, quiet=True)) != wanted:
        if time.monotonic() - start > PATIENCE_S:
            sys.exit(f"It is not {wanted} after {PATIENCE_S:g} s")
        time.sleep(0.1)
    return time.monotonic() - start


def action(answer: dict[str, Any]) -> str:
    """Return what an answer says to do."""
    return str(answer["decision"]["action"])


def say(*words: str) -> None:
    """Print a command."""
    print("$", shlex.join(words), flush=True)


if __name__ == "__main__":
    main()
