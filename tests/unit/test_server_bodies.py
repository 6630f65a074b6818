from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from starlette.requests import Request

from egide.errors import (
    BatchTooLarge,
    BodyTooLarge,
    EgideError,
    Overloaded,
    RequestInvalid,
    RequestTimeout,
)
from egide.server.bodies import BodyBounds, read_form, read_json
from egide.server.settings import ServerSettings

JSON = {"content-type": "application/json"}
SETTINGS = ServerSettings(
    max_body_bytes=100, max_upload_bytes=1000, max_buffered_bytes=1500, body_timeout_s=0.05
)


def _scope(headers: dict[str, str]) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw}


async def _receive_all(bounds: BodyBounds, headers: dict[str, str], parts: Iterable[bytes]) -> int:
    """Send a body in parts through the bounds; return how many bytes came through."""
    messages: AsyncIterator[dict[str, Any]] = _messages(parts)
    seen = 0

    async def receive() -> dict[str, Any]:
        return await anext(messages)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        more = True
        while more:
            message = await receive()
            seen += len(message["body"])
            more = message["more_body"]

    bounds._app = app
    await bounds(_scope(headers), receive, None)  # type: ignore[arg-type]
    return seen


async def _messages(parts: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
    for part in parts:
        if part == b"slow":
            await asyncio.sleep(10)
        yield {"type": "http.request", "body": part, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def _bounds() -> BodyBounds:
    return BodyBounds(None, SETTINGS)  # type: ignore[arg-type]


def _refusal(headers: dict[str, str], parts: Iterable[bytes]) -> type[EgideError]:
    with pytest.raises(EgideError) as caught:
        asyncio.run(_receive_all(_bounds(), headers, parts))
    return type(caught.value)


def test_body_within_the_bounds_passes() -> None:
    assert asyncio.run(_receive_all(_bounds(), JSON, [b"x" * 50] * 2)) == 100


def test_declared_length_over_the_limit_is_refused_unread() -> None:
    assert _refusal(JSON | {"content-length": "101"}, [b"slow"]) is BodyTooLarge


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "", "9" * 5000])
def test_strange_length_is_refused(length: str) -> None:
    assert _refusal(JSON | {"content-length": length}, [b"slow"]) is BodyTooLarge


def test_length_that_lies_and_chunks_are_counted() -> None:
    assert _refusal(JSON | {"content-length": "1"}, [b"x" * 60] * 2) is BodyTooLarge
    assert _refusal(JSON, [b"x"] * 101) is BodyTooLarge


def test_uploads_have_a_limit_of_their_own() -> None:
    form = {"content-type": "Multipart/Form-Data; boundary=x"}
    assert asyncio.run(_receive_all(_bounds(), form, [b"x" * 1000])) == 1000
    assert _refusal(form, [b"x" * 1001]) is BodyTooLarge


def test_slow_body_is_given_up_however_regularly_it_drips() -> None:
    assert _refusal(JSON, [b"x", b"slow"]) is RequestTimeout


def test_bodies_have_a_limit_together_and_are_forgotten_at_their_end() -> None:
    bounds = _bounds()
    form = {"content-type": "multipart/form-data"}

    async def both() -> list[Any]:
        return await asyncio.gather(
            _receive_all(bounds, form, [b"x" * 900, b"slow"]),
            _receive_all(bounds, form, [b"x" * 900]),
            return_exceptions=True,
        )

    first, second = asyncio.run(both())
    assert isinstance(first, RequestTimeout)
    assert isinstance(second, Overloaded)
    assert bounds._buffered_bytes == 0
    assert asyncio.run(_receive_all(bounds, form, [b"x" * 900])) == 900


def _request(headers: dict[str, str], body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(_scope(headers), receive)


FORM = {"content-type": "multipart/form-data; boundary=B"}


def _part(name: str, body: bytes, filename: str | None = None) -> bytes:
    named = "" if filename is None else f'; filename="{filename}"'
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + body + b"\r\n"


def test_form_is_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_file(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr("tempfile.TemporaryFile", no_file)
    monkeypatch.setattr("tempfile._os.open", no_file)
    large = bytes(5_000_000)
    body = _part("file", large, "a.jpg") + _part("bank", b"helpline") + b"--B--\r\n"
    form = asyncio.run(read_form(_request(FORM, body), max_files=1))
    assert form.files == (large,)
    assert form.fields == {"bank": "helpline"}
    assert "a.jpg" not in repr(form)


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        (JSON, b"{}", RequestInvalid),
        (FORM, b"", RequestInvalid),
        (FORM, b"--B--\r\n", RequestInvalid),
        (FORM, b"rubbish", RequestInvalid),
        (FORM, _part("photo", b"x", "a.jpg") + b"--B--\r\n", RequestInvalid),
        (FORM, _part("file", b"no file name") + b"--B--\r\n", RequestInvalid),
        (FORM, _part("file", b"x", "a") * 2 + b"--B--\r\n", BatchTooLarge),
        (FORM, _part("file", b"x", "a") * 9 + b"--B--\r\n", BatchTooLarge),
        (FORM, _part("file", b"x", "a") + _part("f", b"") * 17 + b"--B--\r\n", RequestInvalid),
        (FORM, _part("file", b"x", "a") + _part("f", b"0" * 70_000) + b"--B--", RequestInvalid),
        ({"content-type": "multipart/form-data"}, b"", RequestInvalid),
    ],
)
def test_wrong_form_is_refused(headers: dict[str, str], body: bytes, kind: type) -> None:
    with pytest.raises(kind):
        asyncio.run(read_form(_request(headers, body), max_files=1))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000, b'"\\ud800"', b"1" * 10_000 + b"x"]
)
def test_wrong_json_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(RequestInvalid) as caught:
        asyncio.run(read_json(_request(JSON, body)))
    assert caught.value.fields["reason"] == "the body is no JSON"
