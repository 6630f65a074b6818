"""Writes that may be repeated: the same request with the same idempotency key is done once.

A client that got no answer cannot know whether its request was done. It sends it again with the
same `Idempotency-Key`, and gets the first answer. Only answers to what was done are kept: a request
that failed changed nothing, and is tried anew.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from egide.errors import EgideError, IdempotencyBusy, IdempotencyConflict, StoreError
from egide.server.http.bodies import is_multipart, read_form
from egide.server.http.forms import Form
from egide.server.http.problems import problem_responses
from egide.server.service import ServiceDep

if TYPE_CHECKING:
    from collections.abc import Callable

    from egide.domain.access import Key
    from egide.store import Store

Done = TypeVar("Done", bound=BaseModel)

MAX_TOKEN_CHARS = 128
REPLAYED_HEADER = "Idempotent-Replayed"

IdempotencyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_TOKEN_CHARS,
        pattern=r"^[\x21-\x7e]+$",
        description="Any text of its own for each write, such as a random UUID; sent again with "
        "the same request, the first answer comes again.",
        examples=["3f0c8a52-8d61-4b0e-9f55-6c1f5c9a2b7e"],
    ),
]


@dataclass(frozen=True, slots=True)
class Write:
    """A request that changes something.

    Attributes:
        store: that keeps the answers.
        token: the idempotency key, if any.
        target: method, path and query.
        body: all of it, or empty for a form.
        form: its picture and its fields, or None where the body is no form.
        is_json: whether the body is JSON, by its content type.
    """

    store: Store
    token: str | None
    target: tuple[str, str, str]
    body: bytes
    form: Form | None
    is_json: bool

    def digest(self) -> bytes:
        """What tells this request from others, 32 bytes.

        The boundary of a form and the names of its files are no part of it: they change when a
        client makes the same request anew.
        """
        digest = sha256()
        parts = [part.encode() for part in self.target]
        if self.form is not None:
            parts.extend(self.form.files)
            for name, value in sorted(self.form.fields.items()):
                parts.extend((name.encode(), value.encode()))
        for part in (*parts, self.body):
            digest.update(len(part).to_bytes(8) + part)
        return digest.digest()

    def once(
        self,
        key: Key,
        act: Callable[[], Done],
        *,
        status: int = 200,
        kept: Callable[[Done], BaseModel] | None = None,
    ) -> Response:
        """Do it, unless it was done already; either way give the answer.

        Args:
            key: of whoever sends the request; an idempotency key is theirs alone.
            act: does it, and says what was done.
            status: of the answer.
            kept: what to keep of the answer, where it holds a secret that must not be stored.

        Raises:
            IdempotencyConflict: the idempotency key was used for another request.
            IdempotencyBusy: the first request is still running.
            EgideError: whatever `act` raises; nothing is kept then.
        """
        if self.token is None:
            return _answer(act().model_dump_json(), status)
        stored = self.store.idempotency.begin(key.id, self.token, self.digest())
        if stored is not None:
            response = _answer(stored.response, stored.status)
            response.headers[REPLAYED_HEADER] = "true"
            return response
        try:
            done = act()
        except BaseException:
            with suppress(StoreError):  # why it failed is the news
                self.store.idempotency.abandon(key.id, self.token)
            raise
        # It is done, so it is answered, even if the answer cannot be kept.
        with suppress(StoreError):
            remembered = done if kept is None else kept(done)
            self.store.idempotency.finish(key.id, self.token, status, remembered.model_dump_json())
        return _answer(done.model_dump_json(), status)


def _answer(content: str, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")


async def write_of(
    request: Request, service: ServiceDep, idempotency_key: IdempotencyHeader = None
) -> Write:
    """Read a request that changes something, whatever its body is."""
    form = await read_form(request, max_files=1) if is_multipart(request.headers) else None
    body = b"" if form is not None else await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return Write(
        service.store,
        idempotency_key,
        (request.method, request.url.path, request.url.query),
        body,
        form,
        kind == "application/json",
    )


def write_responses(*kinds: type[EgideError]) -> dict[int | str, dict[str, Any]]:
    """Document the errors of a route that writes, for `responses=`; see `problem_responses`."""
    return problem_responses(*kinds, IdempotencyConflict, IdempotencyBusy)


WriteDep = Annotated[Write, Depends(write_of)]
