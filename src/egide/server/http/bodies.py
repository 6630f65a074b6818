"""Request bodies, limited as they arrive: in size, time, number of values, and in total."""

from __future__ import annotations

import asyncio
from collections import deque
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import pydantic_core
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from egide.errors import BatchTooLarge, BodyTooLarge, Overloaded, RequestInvalid, RequestTimeout
from egide.server.http.forms import Form, Part, Parts
from egide.server.http.memory import Memory
from egide.server.http.places import most_askers

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable
    from contextlib import AbstractContextManager

    from fastapi import Request
    from starlette.types import Message, Receive

    from egide.server.http.kinds import Kind
    from egide.server.settings import ServerSettings

Parsed = TypeVar("Parsed")

_MULTIPART = "multipart/form-data"
_PIECE_BYTES = 64 * 1024
"""Small pieces are joined: stored singly, each byte would take 40."""
_IN_PLACE_BYTES = 16 * 1024
"""Smaller bodies are parsed in the event loop, in a tenth of a millisecond."""
_QUOTES_A_VALUE = 4
"""Two for a value and two for its name."""
_ALL = "all"
_NAMELESS = "without a key"
PARSED_AT_ONCE = 2
"""An interpreter parses one body at a time, however many threads there are; more at once would only
hold more memory."""


class Bodies:
    """Takes bodies in, and counts their bytes in the memory of all workers."""

    def __init__(self, settings: ServerSettings, memory: Memory | None = None) -> None:
        self._settings = settings
        memory = memory or Memory()
        self._held = memory.tally(most_askers(settings))
        self._together = memory.tally(2)

    @property
    def held_bytes(self) -> int:
        """Bytes in memory of all bodies together."""
        return self._together.total(_ALL)

    async def take(
        self, headers: Headers, receive: Receive, kind: Kind, asker: Hashable, *, keyed: bool
    ) -> Body:
        """Wait for a body, and return it whole.

        Args:
            headers: of its request.
            receive: gives it in parts.
            kind: of the request, with its limits.
            asker: the sender, a key or an address; the large bodies of one may fill half of the
                room.
            keyed: whether it has a key; the large bodies of all others may fill a quarter.

        Raises:
            BodyTooLarge, BatchTooLarge: it exceeds the bytes or values of its kind.
            RequestTimeout: it does not arrive in time.
            Overloaded: too much is in memory already.
            RequestInvalid: it cannot be JSON, or has too many values.
            ClientDisconnect: the client went away.
        """
        uploads = kind.max_upload_bytes is not None and is_multipart(headers)
        limit = kind.max_upload_bytes if uploads else kind.max_bytes
        assert limit is not None
        declared = headers.get("content-length", "0")
        if not (declared.isascii() and declared.isdigit()) or int(declared[:20]) > limit:
            raise BodyTooLarge(limit=limit)
        body = Body(self, receive, asker, keyed=keyed)
        if declared == "0" and "transfer-encoding" not in headers:
            return body
        values = None if uploads or kind.max_values is None else _Values(kind)
        timeout_s = self._settings.body_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                await body.arrive(limit, values)
        except TimeoutError:
            body.forget()
            raise RequestTimeout(limit_s=timeout_s) from None
        except BaseException:
            body.forget()
            raise
        return body

    def count(self, body: Body, further: int) -> None:
        """Count bytes that stay in memory until their request ends.

        Raises:
            Overloaded: too many bytes are in memory.
        """
        room = self._settings.max_buffered_bytes
        # With any settings, one upload of the allowed size fits.
        share = max(room // 2, self._settings.max_upload_bytes)
        with self._held.memory:
            self._held.add(body.asker, further)
            body.counted_bytes += further
            for kind in _kinds(body):
                self._together.add(kind, further)
            beyond = self._held.total(body.asker) > share or (
                not body.keyed and self._together.total(_NAMELESS) > room // 4
            )
            if self.held_bytes > room or (beyond and body.counted_bytes > _PIECE_BYTES):
                raise Overloaded(retry_after_s=1)

    def forget(self, body: Body) -> None:
        """Stop counting the bytes of a body."""
        if body.counted_bytes:
            with self._held.memory:
                self._held.give_back(body.asker, body.counted_bytes)
                for kind in _kinds(body):
                    self._together.give_back(kind, body.counted_bytes)
            body.counted_bytes = 0


def _kinds(body: Body) -> tuple[str, ...]:
    return (_ALL,) if body.keyed else (_ALL, _NAMELESS)


class Body:
    """One body: it first arrives completely, then is handed on."""

    def __init__(self, bodies: Bodies, source: Receive, asker: Hashable, *, keyed: bool) -> None:
        self.asker = asker
        self.keyed = keyed
        self.arrived_bytes = 0
        self.counted_bytes = 0
        self._bodies = bodies
        self._source = source
        self._pieces: deque[bytes] = deque()
        self._handed_on = True

    async def arrive(self, limit: int, values: _Values | None) -> None:
        """Take the body in.

        Raises:
            BodyTooLarge, BatchTooLarge, RequestInvalid, Overloaded, ClientDisconnect: see
                `Bodies.take`.
        """
        gathered = bytearray()
        more = True
        while more:
            message = await self._source()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            more = message.get("more_body", False)
            if self.arrived_bytes + len(part) > limit:
                raise BodyTooLarge(limit=limit)
            self.arrived_bytes += len(part)
            self._bodies.count(self, len(part))
            gathered += part
            if gathered and (len(gathered) >= _PIECE_BYTES or not more):
                piece = bytes(gathered)
                gathered.clear()
                if values is not None:
                    values.count(piece)
                self._pieces.append(piece)
        self._handed_on = False

    async def receive(self) -> Message:
        """Hand on the next part; after the last one, messages of the connection."""
        if self._handed_on:
            return await self._source()
        piece = self._pieces.popleft() if self._pieces else b""
        self._handed_on = not self._pieces
        return {"type": "http.request", "body": piece, "more_body": not self._handed_on}

    def forget(self) -> None:
        """Stop counting the body, once its request has ended."""
        self._bodies.forget(self)


class _Values:
    """Counts the values of JSON as it arrives, before it is parsed.

    Each value takes a comma or bracket outside of strings. The three bytes of a `{}` take a hundred
    times as much memory when parsed, and an error about them two hundred times.
    """

    def __init__(self, kind: Kind) -> None:
        assert kind.max_values is not None
        self._limit = kind.max_values
        self._max_items = kind.max_items
        self._values = 0
        self._quotes = 0
        self._in_string = False
        self._left = b""

    def count(self, piece: bytes) -> None:
        """Count the values of the next piece.

        Raises:
            RequestInvalid: it is not JSON in UTF-8, or has too many values.
            BatchTooLarge: a list has too many items.
        """
        if b"\0" in piece:  # as in UTF-16, which some parsers accept
            raise RequestInvalid(reason="the body is no JSON")
        piece = self._left + piece
        self._left = b""
        if b"\\" in piece:
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
            if piece.endswith(b"\\"):
                piece, self._left = piece[:-1], b"\\"
        between = piece.split(b'"')
        outside = b"".join(between[self._in_string :: 2])
        self._quotes += len(between) - 1
        self._in_string ^= len(between) % 2 == 0
        self._values += sum(outside.count(mark) for mark in (b",", b"[", b"{"))
        if self._values > self._limit or self._quotes > _QUOTES_A_VALUE * (self._limit + 1):
            if self._max_items is not None:
                raise BatchTooLarge(count=f"More than {self._max_items}", limit=self._max_items)
            raise RequestInvalid(reason=f"it has more than {self._limit} values")


def is_multipart(headers: Headers) -> bool:
    """Whether a request declares a form with files."""
    return headers.get("content-type", "").strip().lower().startswith(_MULTIPART)


async def read_form(request: Request, *, max_files: int) -> Form:
    """Read a request's files and fields.

    Raises:
        BatchTooLarge: more than `max_files`.
        RequestInvalid: it is not a form, has no file, or has a file under another name.
    """
    files: list[bytes] = []
    fields: dict[str, str] = {}
    for part in await read_parts(request, max_files=max_files, file_fields=("file",)):
        if not isinstance(part.content, bytes):
            if part.name in fields:
                raise RequestInvalid(reason="a field other than `file` is repeated")
            fields[part.name] = part.content
        elif part.name != "file":
            raise RequestInvalid(reason="a file has to be in a field named `file`")
        else:
            files.append(part.content)
    if not files:
        raise RequestInvalid(reason="there is no file in a field named `file`")
    return Form(tuple(files), fields)


async def read_parts(request: Request, *, max_files: int, file_fields: Iterable[str]) -> list[Part]:
    """Read a form's parts, in order, whatever their names.

    Args:
        request: with the form as its body.
        max_files: that the form may hold.
        file_fields: names of fields that hold a file, even if sent without a file name.

    Raises:
        BatchTooLarge: more than `max_files`.
        RequestInvalid: it is not a form.
    """
    if not is_multipart(request.headers):
        raise RequestInvalid(reason="the content type has to be multipart/form-data")
    pieces = deque([piece async for piece in request.stream()])
    parts = Parts(request.headers["content-type"], max_files, file_fields)

    def read() -> list[Part]:
        while pieces:  # each piece is freed once read
            parts.feed(pieces.popleft())
        return parts.end()

    return await run_in_threadpool(read)


async def read_json(request: Request) -> Any:
    """Read a request's body as JSON, faster than FastAPI for large bodies.

    Raises:
        RequestInvalid: the body is not JSON.
    """
    body = await request.body()

    def parse() -> Any:
        try:
            return pydantic_core.from_json(body, allow_inf_nan=False)
        except ValueError:
            # The parser's message may quote the body.
            raise RequestInvalid(reason="the body is no JSON") from None

    if len(body) <= _IN_PLACE_BYTES:
        return parse()
    return await run_in_threadpool(parse_in_turn, parse)


class _Parsing:
    """The places for parsing large bodies.

    Attributes:
        places: of this process; `share_parsing` sets those of all workers.
    """

    places: ClassVar[AbstractContextManager[Any]] = BoundedSemaphore(PARSED_AT_ONCE)


def share_parsing(places: AbstractContextManager[Any]) -> None:
    """Parse large bodies in places that this process shares with others."""
    _Parsing.places = places


def parse_in_turn(parse: Callable[[], Parsed]) -> Parsed:
    """Parse a large body in this thread, queued behind others."""
    with _Parsing.places:
        return parse()
