"""An S3 on the loopback that holds what a test gives it, and refuses what the test says."""

from __future__ import annotations

import threading
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "photos"


@dataclass
class FakeS3:
    """One bucket.

    Attributes:
        objects: contents by key.
        refused: status and code of the answer, by prefix that is listed or by key.
        page_keys: the most keys and prefixes in an answer.
        requests: headers of each request.
        unwritable: status and code of the answer, by key that is written; '' for all.
        broken: answers 503 to so many writes before one succeeds.
    """

    objects: MutableMapping[str, bytes]
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    page_keys: int = 1000
    requests: list[dict[str, str]] = field(default_factory=list)
    unwritable: dict[str, tuple[int, str]] = field(default_factory=dict)
    broken: int = 0
    url: str = ""
    parts: dict[int, bytes] = field(default_factory=dict)

    def list(self, prefix: str, delimiter: str, after: str) -> tuple[list[str], list[str], str]:
        """Keys, prefixes and the last of them, if there are more."""
        found: dict[str, bool] = {}
        for key in sorted(self.objects):
            if key.startswith(prefix):
                rest, cut, _ = key.removeprefix(prefix).partition(delimiter)
                found[prefix + rest + cut if cut else key] = bool(cut)
        page = [(name, cut) for name, cut in found.items() if name > after]
        last = page[self.page_keys - 1][0] if len(page) > self.page_keys else ""
        page = page[: self.page_keys]
        return [name for name, cut in page if not cut], [name for name, cut in page if cut], last


def unchunked(body: bytes) -> bytes:
    """What stands in the chunks of AWS."""
    found = b""
    while True:
        head, _, body = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            return found
        found, body = found + body[:size], body[size + 2 :]


@contextmanager
def serving(store: FakeS3) -> Iterator[FakeS3]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            store.requests.append(dict(self.headers))
            address = urlsplit(self.path)
            _, _, key = unquote(address.path).removeprefix("/").partition("/")
            asked = {name: values[0] for name, values in parse_qs(address.query).items()}
            if not key and "list-type" in asked:
                self.list(asked)
            elif key in store.refused:
                self.refuse(*store.refused[key])
            elif key in store.objects:
                self.give(store.objects[key])
            else:
                self.refuse(404, "NoSuchKey")

        def do_PUT(self) -> None:
            key, asked, body = self.sent()
            if refused := store.unwritable.get(key) or store.unwritable.get(""):
                self.refuse(*refused)
            elif store.broken:
                store.broken -= 1
                self.refuse(503, "SlowDown")
            elif "partNumber" in asked:
                store.parts[int(asked["partNumber"])] = body
                self.answer(200, b"", {"ETag": '"0"'})
            else:
                store.objects[key] = body
                self.answer(200, b"", {"ETag": '"0"'})

        def do_POST(self) -> None:
            key, asked, _ = self.sent()
            if refused := store.unwritable.get(key) or store.unwritable.get(""):
                self.refuse(*refused)
            elif "uploads" in asked:
                store.parts.clear()
                self.answer(
                    200,
                    f"<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket>"
                    f"<Key>{escape(key)}</Key><UploadId>1</UploadId>"
                    "</InitiateMultipartUploadResult>".encode(),
                )
            else:
                store.objects[key] = b"".join(store.parts[one] for one in sorted(store.parts))
                self.answer(
                    200,
                    f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key>"
                    "<ETag>&quot;0&quot;</ETag></CompleteMultipartUploadResult>".encode(),
                )

        def do_DELETE(self) -> None:
            key, _, _ = self.sent()
            store.objects.pop(key, None)
            self.answer(204, b"")

        def sent(self) -> tuple[str, dict[str, str], bytes]:
            store.requests.append(dict(self.headers))
            address = urlsplit(self.path)
            _, _, key = unquote(address.path).removeprefix("/").partition("/")
            asked = parse_qs(address.query, keep_blank_values=True)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("x-amz-content-sha256", "").startswith("STREAMING"):
                body = unchunked(body)
            return key, {name: values[0] for name, values in asked.items()}, body

        def list(self, asked: dict[str, str]) -> None:
            prefix, after = asked.get("prefix", ""), asked.get("continuation-token", "")
            if (refused := store.refused.get(prefix + "?" + after)) or (
                refused := store.refused.get(prefix) if not after else None
            ):
                self.refuse(*refused)
                return
            keys, prefixes, last = store.list(prefix, asked.get("delimiter", "\n"), after)
            contents = "".join(
                f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(store.objects[key])}</Size>"
                f"<ETag>&quot;{len(key)}&quot;</ETag>"
                "<LastModified>2026-11-01T00:00:00.000Z</LastModified></Contents>"
                for key in keys
            )
            common = "".join(
                f"<CommonPrefixes><Prefix>{escape(quote(one))}</Prefix></CommonPrefixes>"
                for one in prefixes
            )
            more = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if last else ""
            self.answer(
                200,
                f"<ListBucketResult><Name>{BUCKET}</Name><EncodingType>url</EncodingType>"
                f"<IsTruncated>{'true' if last else 'false'}</IsTruncated>{more}"
                f"<KeyCount>{len(keys) + len(prefixes)}</KeyCount>{contents}{common}"
                "</ListBucketResult>".encode(),
            )

        def give(self, content: bytes) -> None:
            headers = {"ETag": '"0"', "Last-Modified": "Sun, 01 Nov 2026 00:00:00 GMT"}
            span = self.headers.get("Range", "").removeprefix("bytes=")
            if not span:
                self.answer(200, content, headers)
                return
            start, _, end = span.partition("-")
            part = content[int(start) : int(end) + 1 if end else None]
            place = f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
            self.answer(206, part, headers | {"Content-Range": place})

        def refuse(self, status: int, code: str) -> None:
            self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
