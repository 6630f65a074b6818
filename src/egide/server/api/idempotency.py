"""Writes that may be repeated: the same request with the same idempotency key is done once.

A client without an answer cannot know whether its request was done. It repeats the request with the
same `Idempotency-Key` and gets the first answer. Only answers of success are kept: a failed request
changed nothing and is tried anew.
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
        description="A unique text for each write, such as a random UUID. A repetition of the same "
        "request with the same text gets the first answer.",
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
        body: all of it; empty for a form.
        form: its picture and fields; None if the body is not a form.
        is_json: whether the content type is JSON.
    """

    store: Store
    token: str | None
    target: tuple[str, str, str]
    body: bytes
    form: Form | None
    is_json: bool

    def digest(self) -> bytes:
        """Identify this request by 32 bytes.

        They leave out a form's boundary and file names, which change when a client builds the same
        request again.
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
        """Perform the act unless it was done already; return its answer either way.

        Args:
            key: of the sender; an idempotency key belongs to one key.
            act: performs the write and returns what was done.
            status: of the answer.
            kept: returns what to store of an answer that holds a secret.

        Raises:
            IdempotencyConflict: the idempotency key was used for another request.
            IdempotencyBusy: the first request is still running.
            EgideError: from `act`; nothing is stored then.
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
            with suppress(StoreError):  # report the act's own error
                self.store.idempotency.abandon(key.id, self.token)
            raise
        # The act is done, so return its answer even if the answer cannot be stored.
        with suppress(StoreError):
            remembered = done if kept is None else kept(done)
            self.store.idempotency.finish(key.id, self.token, status, remembered.model_dump_json())
        return _answer(done.model_dump_json(), status)


def _answer(content: str, status: int) -> Response:
    return Response(content, status_code=status, media_type="application/json")


async def write_of(
    request: Request, service: ServiceDep, idempotency_key: IdempotencyHeader = None
) -> Write:
    """Read a request that changes something, with any kind of body."""
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
