"""Bodies of requests: bounded while they arrive, in size, in time, and all together."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pydantic_core
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from egide.errors import BatchTooLarge, BodyTooLarge, Overloaded, RequestInvalid, RequestTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from egide.server.settings import ServerSettings

_MULTIPART = b"multipart/form-data"
_MAX_FIELDS = 16
_MAX_FIELD_BYTES = 64 * 1024


class BodyBounds:
    """Refuses a body that is too large, too slow, or too much beside the others."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings
        self._buffered_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a `receive` that raises where a bound is passed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        uploads = headers.get(b"content-type", b"").strip().lower().startswith(_MULTIPART)
        limit = self._settings.max_upload_bytes if uploads else self._settings.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if not declared.isdigit() or int(declared[:20]) > limit:
            raise BodyTooLarge(limit=limit)
        body = _Body(self, receive, limit, self._settings.body_timeout_s)
        try:
            await self._app(scope, body.receive, send)
        finally:
            self._buffered_bytes -= body.arrived_bytes

    def count(self, arrived_bytes: int) -> None:
        """Count bytes that are in memory until their request ends."""
        self._buffered_bytes += arrived_bytes
        if self._buffered_bytes > self._settings.max_buffered_bytes:
            raise Overloaded(retry_after_s=1)


@dataclass(slots=True)
class _Body:
    """One body that arrives."""

    bounds: BodyBounds
    source: Receive
    limit: int
    timeout_s: float
    arrived_bytes: int = 0
    ends_at: float = field(default=0.0)
    whole: bool = False

    async def receive(self) -> Message:
        """Return the next part of the body.

        Raises:
            BodyTooLarge, RequestTimeout, Overloaded: a bound is passed.
        """
        if self.whole:  # what comes now is news of the connection, which takes as long as it takes
            return await self.source()
        loop = asyncio.get_running_loop()
        self.ends_at = self.ends_at or loop.time() + self.timeout_s
        try:
            async with asyncio.timeout_at(self.ends_at):
                message = await self.source()
        except TimeoutError:
            raise RequestTimeout(limit_s=self.timeout_s) from None
        part = len(message.get("body", b""))
        self.arrived_bytes += part
        self.whole = not message.get("more_body", False)
        if self.arrived_bytes > self.limit:
            raise BodyTooLarge(limit=self.limit)
        self.bounds.count(part)
        return message


class _InMemory(MultiPartParser):
    """Keeps uploads in memory: a picture that is asked about never touches a disk."""

    spool_max_size = sys.maxsize


@dataclass(frozen=True, slots=True)
class Form:
    """A body of type multipart/form-data.

    Attributes:
        files: the bytes of each part named `file`, in order; the names that clients give files
            are not kept.
        fields: the other parts.
    """

    files: tuple[bytes, ...] = field(repr=False)
    fields: dict[str, str] = field(repr=False)


def is_multipart(request: Request) -> bool:
    """Return whether a request says that it carries files."""
    kind = request.headers.get("content-type", "")
    return kind.strip().lower().startswith(_MULTIPART.decode())


async def read_form(request: Request, *, max_files: int) -> Form:
    """Read a request's files and fields into memory.

    Raises:
        BatchTooLarge: more than `max_files`.
        RequestInvalid: it is no form, holds no file, or a file under another name.
        BodyTooLarge, RequestTimeout, Overloaded: see `BodyBounds`.
    """
    async with _parsed(request, max_files) as items:
        files: list[bytes] = []
        fields: dict[str, str] = {}
        for name, value in items:
            if not isinstance(value, UploadFile):
                if name in fields:
                    raise RequestInvalid(reason="a field other than `file` stands there twice")
                fields[name] = value
            elif name != "file":
                raise RequestInvalid(reason="a file has to be in a field named `file`")
            else:
                files.append(await value.read())
    if not files:
        raise RequestInvalid(reason="there is no file in a field named `file`")
    if len(files) > max_files:
        raise BatchTooLarge(count=len(files), limit=max_files)
    return Form(tuple(files), fields)


async def read_parts(request: Request, *, max_files: int) -> list[tuple[str, bytes | str]]:
    """Read a form's parts into memory, in order, whatever they are called.

    Raises:
        BatchTooLarge: more than `max_files`.
        RequestInvalid: it is no form.
        BodyTooLarge, RequestTimeout, Overloaded: see `BodyBounds`.
    """
    async with _parsed(request, max_files) as items:
        return [
            (name, await value.read() if isinstance(value, UploadFile) else value)
            for name, value in items
        ]


@asynccontextmanager
async def _parsed(
    request: Request, max_files: int
) -> AsyncIterator[list[tuple[str, UploadFile | str]]]:
    if not is_multipart(request):
        raise RequestInvalid(reason="the content type has to be multipart/form-data")
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=max_files + 1,  # one more tells too many from just enough
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if error.message.startswith("Too many files"):
            raise BatchTooLarge(count=f"More than {max_files}", limit=max_files) from error
        raise RequestInvalid(
            reason="the multipart body is damaged or has too many fields"
        ) from error
    try:
        yield form.multi_items()
    finally:
        await form.close()


async def read_json(request: Request) -> Any:
    """Read a request's body as JSON, quicker than FastAPI does for large ones.

    Raises:
        RequestInvalid: it is no JSON.
        BodyTooLarge, RequestTimeout, Overloaded: see `BodyBounds`.
    """
    body = await request.body()
    try:
        return pydantic_core.from_json(body, allow_inf_nan=False)
    except ValueError:
        # The message of the parser may quote the body.
        raise RequestInvalid(reason="the body is no JSON") from None
