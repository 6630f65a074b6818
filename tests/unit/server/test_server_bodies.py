from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.requests import Request

from egide.errors import (
    BatchTooLarge,
    BodyTooLarge,
    EgideError,
    Overloaded,
    RequestInvalid,
    RequestTimeout,
)
from egide.server.http.bodies import Bodies, read_form, read_json
from egide.server.http.kinds import Kind
from egide.server.settings import ServerSettings

JSON = {"content-type": "application/json", "transfer-encoding": "chunked"}
FILES = {"content-type": "Multipart/Form-Data; boundary=x", "transfer-encoding": "chunked"}
SETTINGS = ServerSettings(
    max_buffered_bytes=1_500_000, max_upload_bytes=700_000, body_timeout_s=0.05
)
KIND = Kind(max_bytes=100_000, max_values=20, max_upload_bytes=700_000)


async def _messages(parts: Iterable[bytes]) -> AsyncIterator[dict[str, Any]]:
    for part in parts:
        if part == b"slow":
            await asyncio.sleep(10)
        yield {"type": "http.request", "body": part, "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


async def _through(
    bodies: Bodies,
    headers: dict[str, str],
    parts: Iterable[bytes],
    asker: str = "a",
    *,
    kind: Kind = KIND,
    keyed: bool = True,
) -> bytes:
    """Send a body in parts; return what comes through."""
    messages = _messages(parts)

    async def receive() -> dict[str, Any]:
        return await anext(messages)

    body = await bodies.take(Headers(headers), receive, kind, asker, keyed=keyed)
    seen, more = b"", True
    while more:
        message = await body.receive()
        seen += message["body"]
        more = message["more_body"]
    body.forget()
    return seen


def _refusal(headers: dict[str, str], parts: Iterable[bytes]) -> type[EgideError]:
    bodies = Bodies(SETTINGS)
    with pytest.raises(EgideError) as caught:
        asyncio.run(_through(bodies, headers, parts))
    assert bodies.held_bytes == 0
    return type(caught.value)


def test_body_comes_through_as_it_was_sent() -> None:
    parts = [b"x" * 30_000, b"", b"y" * 50_000, b"z"]
    assert asyncio.run(_through(Bodies(SETTINGS), JSON, parts)) == b"".join(parts)


def test_declared_length_over_the_limit_is_refused_unread() -> None:
    assert _refusal({"content-length": "100001"}, [b"slow"]) is BodyTooLarge


@pytest.mark.parametrize("length", ["-1", "1e3", "٣", "", "9" * 5000])
def test_strange_length_is_refused(length: str) -> None:
    headers = Headers(raw=[(b"content-length", length.encode())])
    with pytest.raises(BodyTooLarge):
        asyncio.run(Bodies(SETTINGS).take(headers, _never, KIND, "a", keyed=True))


async def _never() -> dict[str, Any]:
    raise AssertionError("it was read")


def test_length_that_lies_and_chunks_are_counted() -> None:
    lying = {"content-type": "application/json", "content-length": "1"}
    assert _refusal(lying, [b"x" * 60_000] * 2) is BodyTooLarge
    assert _refusal(JSON, [b"x" * 1000] * 101) is BodyTooLarge


def test_uploads_have_a_limit_of_their_own_where_they_are_taken() -> None:
    whole = asyncio.run(_through(Bodies(SETTINGS), FILES, [b"x" * 200_000] * 3))
    assert len(whole) == 600_000
    assert _refusal(FILES, [b"x" * 200_000] * 4) is BodyTooLarge
    kind = Kind(max_bytes=100_000, max_values=20)
    with pytest.raises(BodyTooLarge):
        asyncio.run(_through(Bodies(SETTINGS), FILES, [b"x" * 100_001], kind=kind))


def test_slow_body_is_given_up_however_regularly_it_drips() -> None:
    assert _refusal(JSON, [b"x", b"slow"]) is RequestTimeout


@pytest.mark.parametrize(
    ("askers", "keyed", "size"),
    [
        (("a", "b", "c", "d"), True, 500_000),  # all together
        (("a", "a"), True, 400_000),  # one key: half
        (("a", "b"), False, 200_000),  # all without a key: a quarter
    ],
)
def test_bodies_have_a_limit_together_and_are_forgotten_at_their_end(
    askers: tuple[str, ...], keyed: bool, size: int
) -> None:
    bodies = Bodies(SETTINGS)

    async def all_at_once() -> list[Any]:
        first = [_through(bodies, FILES, [b"x" * size, b"slow"], one, keyed=keyed)
                 for one in askers[:-1]]  # fmt: skip
        last = _through(bodies, FILES, [b"x" * size], askers[-1], keyed=keyed)
        return await asyncio.gather(*first, last, return_exceptions=True)

    *first, last = asyncio.run(all_at_once())
    assert {type(one) for one in first} == {RequestTimeout}
    assert isinstance(last, Overloaded)
    assert bodies.held_bytes == 0
    assert len(asyncio.run(_through(bodies, FILES, [b"x" * size], keyed=keyed))) == size


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('{"a":[' + ",".join(["1"] * 19) + "]}", True),
        ('{"a":[' + ",".join(["1"] * 20) + "]}", False),
        ('{"a":[' + ",".join(["{}"] * 11) + "]}", False),
        ("[" * 21, False),
        ('"' + "," * 500 + "[{" * 500 + '"', True),
        (json.dumps(['","' * 100, "\\" * 101, '"[,' * 100]), True),
        (json.dumps(["\\"]) + "," * 21, False),
        ('"" ' * 60, False),
        ('{"\\ud800\\\\":"' + '\\",' * 200 + '"}', True),
    ],
    ids=range(9),
)
def test_values_are_counted_as_they_arrive(text: str, fits: bool, size: int) -> None:
    sent = text.encode()
    parts = [sent[at : at + size] for at in range(0, len(sent), size)]
    if fits:
        assert asyncio.run(_through(Bodies(SETTINGS), JSON, parts)) == sent
    else:
        assert _refusal(JSON, parts) is RequestInvalid


def test_text_that_is_not_in_utf_8_hides_no_values() -> None:
    assert _refusal(JSON, ["[1]".encode("utf-16")]) is RequestInvalid


def _scope(headers: dict[str, str]) -> dict[str, Any]:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw}


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
        (FORM, _part("other", b"no file") + b"--B--\r\n", RequestInvalid),
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


@pytest.mark.parametrize("name", [None, "", "a.jpg"])
def test_field_called_file_is_a_file_whether_or_not_it_has_a_name(name: str | None) -> None:
    picture = b"\xff\xd8" + bytes(100_000)
    body = _part("file", picture, name) + b"--B--\r\n"
    assert asyncio.run(read_form(_request(FORM, body), max_files=1)).files == (picture,)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_part("file", b"x", "a"), "ends before its last boundary"),
        (b"--B\r\nX: y\r\n\r\nx\r\n--B--\r\n", "no Content-Disposition with a name"),
        (b"--B\r\n" + b"X: y\r\n" * 17 + b"\r\nx\r\n--B--\r\n", "too many headers|damaged"),
        (b"--B\r\nX: " + b"y" * 5000 + b"\r\n\r\nx\r\n--B--\r\n", "too long|damaged"),
        (_part("note", b"\xff") + b"--B--\r\n", "not in UTF-8"),
        (_part("note", b"0" * 70_000) + b"--B--\r\n", "over 65536 bytes"),
        (_part("f", b"") * 17 + b"--B--\r\n", "more than 16 fields"),
        (b"rubbish", "damaged"),
    ],
    ids=range(8),
)
def test_what_is_wrong_with_a_form_is_said(body: bytes, said: str) -> None:
    with pytest.raises(RequestInvalid, match=said):
        asyncio.run(read_form(_request(FORM, body), max_files=1))
