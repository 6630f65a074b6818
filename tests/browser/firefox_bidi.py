"""Drive Firefox by WebDriver BiDi, without geckodriver: a window, scripts, files, what it says.

Source: the W3C's WebDriver BiDi, https://www.w3.org/TR/webdriver-bidi/; Firefox answers on a
WebSocket of its own, which it names in its profile.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.sync.connection import Connection

EXECUTABLES = ("firefox-esr", "firefox")
ARGUMENTS = ("--headless", "--no-remote", "--remote-debugging-port=0")

START_S = 60.0
COMMAND_S = 90.0
STOP_S = 15.0

# What Firefox would fetch by itself at its start. The rest is quiet as soon as BiDi listens.
QUIET = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "browser.safebrowsing.downloads.remote.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.getAddons.cache.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.server": "",
}


class FirefoxFault(Exception):
    """Firefox refused a command, or a script in a page threw."""


class Firefox:
    """A running Firefox with a profile of its own."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._pages: dict[str, Page] = {}

    @classmethod
    @contextmanager
    def started(cls, executable: str, **preferences: str | int | bool) -> Iterator[Self]:
        """Start Firefox without a screen, and stop it at the end; only processes of its own.

        Args:
            executable: path of Firefox.
            preferences: as in about:config, with `__` for a dot.

        Raises:
            FirefoxFault: it did not start to listen within a minute.
        """
        with tempfile.TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as folder:
            profile = Path(folder, "profile")
            profile.mkdir()
            wanted = QUIET | {name.replace("__", "."): v for name, v in preferences.items()}
            lines = [f"user_pref({json.dumps(n)}, {json.dumps(v)});\n" for n, v in wanted.items()]
            (profile / "user.js").write_text("".join(lines), "utf-8")
            process = subprocess.Popen(
                [executable, *ARGUMENTS, "--profile", str(profile), "about:blank"],
                env=os.environ | {"HOME": folder, "MOZ_CRASHREPORTER_DISABLE": "1"},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that its content processes can be stopped with it
            )
            try:
                address = _address(process, profile / "WebDriverBiDiServer.json")
                with connect(address, max_size=None, compression=None, proxy=None) as socket:
                    firefox = cls(socket)
                    firefox.send("session.new", capabilities={"alwaysMatch": {}})
                    events = ["log.entryAdded", "network.beforeRequestSent"]
                    firefox.send("session.subscribe", events=events)
                    yield firefox
            finally:
                _stop(process)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; events that come before it are kept.

        Raises:
            FirefoxFault: Firefox answered with an error.
            TimeoutError: it did not answer in 90 s.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        deadline = time.monotonic() + COMMAND_S
        while True:
            message = json.loads(self._socket.recv(timeout=deadline - time.monotonic()))
            if message["type"] == "event":
                self._heard(message["method"], message["params"])
            elif message["id"] == number:
                break
        if message["type"] == "error":
            raise FirefoxFault(f"{method}: {message['error']}: {message['message']}")
        result: dict[str, Any] = message["result"]
        return result

    @contextmanager
    def page(self, width_px: int = 1280, height_px: int = 900) -> Iterator[Page]:
        """Open a tab that shares no cookie with another, and close it at the end."""
        user = self.send("browser.createUserContext")["userContext"]
        created = self.send("browsingContext.create", type="tab", userContext=user)
        page = Page(self, created["context"])
        self._pages[page.context] = page
        size = {"width": width_px, "height": height_px}
        self.send("browsingContext.setViewport", context=page.context, viewport=size)
        try:
            yield page
        finally:
            del self._pages[page.context]
            self.send("browser.removeUserContext", userContext=user)

    def _heard(self, method: str, params: dict[str, Any]) -> None:
        source = params.get("source", params)
        page = self._pages.get(source.get("context") or "")
        if page is None:
            return
        if method == "log.entryAdded":
            page.said.append(f"{params['level']}: {params['text']}")
        else:
            page.requested.append(params["request"]["url"])


class Page:
    """A tab of Firefox."""

    def __init__(self, firefox: Firefox, context: str) -> None:
        self.context = context
        self.said: list[str] = []
        self.requested: list[str] = []
        self._firefox = firefox

    def goto(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""
        self._send("browsingContext.navigate", url=url, wait="complete")

    def call(self, function: str, *arguments: Any) -> Any:
        """Call a function in the page, which may be async, whatever the page's CSP.

        Args:
            function: JavaScript of a function.
            arguments: what JSON can say; the function's result comes back by JSON too.

        Raises:
            FirefoxFault: the function threw.
        """
        result = self._send_script(
            f"async (json) => JSON.stringify(await ({function})(...JSON.parse(json)))",
            {"type": "string", "value": json.dumps(arguments)},
        )
        return json.loads(result["value"]) if "value" in result else None

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression in the page; see `call`."""
        return self.call(f"async () => ({expression})")

    def set_files(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files in an `<input type=file>`, as a person does.

        Raises:
            FirefoxFault: there is no such input.
        """
        element = self._send_script(
            "(selector) => document.querySelector(selector)",
            {"type": "string", "value": selector},
        )
        if "sharedId" not in element:
            raise FirefoxFault(f"there is no {selector}")
        files = [str(path) for path in paths]
        self._send("input.setFiles", element={"sharedId": element["sharedId"]}, files=files)

    def press(self, *keys: str) -> None:
        """Press and release keys one after another, each a character, U+E000… for special ones."""
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": strokes}
        self._send("input.performActions", actions=[source])

    def screenshot(self) -> bytes:
        """The whole page as a PNG."""
        shot = self._send("browsingContext.captureScreenshot", origin="document")
        return base64.b64decode(shot["data"])

    def complaints(self) -> list[str]:
        """What stood in the console so far: warnings, errors, refused content; not plain logs."""
        self._firefox.send("session.status")  # what came before its answer has been heard
        return [line for line in self.said if not line.startswith(("debug:", "info:"))]

    def requests(self) -> list[str]:
        """Every address that the page asked for so far."""
        self._firefox.send("session.status")
        return list(self.requested)

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        return self._firefox.send(method, context=self.context, **params)

    def _send_script(self, function: str, argument: dict[str, Any]) -> dict[str, Any]:
        outcome = self._firefox.send(
            "script.callFunction",
            target={"context": self.context},
            functionDeclaration=function,
            arguments=[argument],
            awaitPromise=True,
        )
        if outcome["type"] == "exception":
            raise FirefoxFault(outcome["exceptionDetails"]["text"])
        result: dict[str, Any] = outcome["result"]
        return result


@pytest.fixture(scope="session")
def firefox() -> Iterator[Firefox]:
    """A Firefox for all tests of a process; their tabs share nothing."""
    with Firefox.started(found_firefox()) as started:
        yield started


def found_firefox() -> str:
    """Return the path of Firefox, or skip the test; on CI the test fails."""
    for name in EXECUTABLES:
        if path := shutil.which(name):
            return path
    reason = "no firefox-esr on the PATH: nothing was tried in Firefox"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _address(process: subprocess.Popen[bytes], path: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server = json.loads(path.read_text("utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # not there yet, or half written
            time.sleep(0.05)
        else:
            return f"ws://{server['ws_host']}:{server['ws_port']}/session"
    raise FirefoxFault(f"Firefox does not listen; its exit status is {process.poll()}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(STOP_S)
    except ProcessLookupError:  # it has ended by itself
        process.wait(STOP_S)
