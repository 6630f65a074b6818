"""Hostile pictures, bodies and connections: they cost seconds, no memory, and nobody else."""

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO

import pytest
from PIL import Image

from attacked import (
    CLOSED,
    MAX_GROWTH_MIB,
    Target,
    assert_refused,
    assert_works,
    form,
    head,
    read_answer,
    under_attack,
)

pytestmark = pytest.mark.slow
FINGERPRINTS = "/v1/match/fingerprints"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with under_attack(tmp_path_factory.mktemp("attacked")) as running:
        yield running


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of one bit a pixel, all black."""
    row = bytes(1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    start = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", start), *chunks, chunk(b"IDAT", data),
         chunk(b"IEND", b"")]
    )  # fmt: skip


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def gif(frames: int, side: int) -> bytes:
    drawn = BytesIO()
    Image.new("P", (side, side)).save(drawn, "GIF")
    one = drawn.getvalue()
    first = one.index(b",", 13 + (3 << ((one[10] & 7) + 1)))
    return one[:first] + one[first:-1] * frames + b";"


def texts() -> bytes:
    """A PNG with twenty texts, each of 50 MB of nothing."""
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000), 9))
    return png(100, 100, *[text] * 20)


@pytest.mark.parametrize(
    ("bomb", "codes"),
    [
        (partial(png, 30_000, 30_000), {"image-too-large"}),
        (partial(png, 13_000, 13_000), {"image-too-large"}),
        (partial(png, 7_000, 7_000), {None, "decode-timeout", "decoder-crashed"}),
        (texts, {None, "decode-failed"}),
        (partial(gif, 90_000, 200), {None, "decode-timeout"}),
        (partial(gif, 2000, 4000), {None, "decode-timeout", "decoder-crashed"}),
    ],
    ids=["30000x30000", "13000x13000", "7000x7000", "texts", "90000-frames", "2000-large-frames"],
)
def test_bomb_costs_a_few_seconds_and_no_other(
    served: Target, bomb: Callable[[], bytes], codes: set[str | None]
) -> None:
    body, content_type = form(('name="file"; filename="x"', bomb()))
    for path in ("/v1/match", "/v1/banks/helpline/entries"):
        answer = served.ask("POST", path, body, content_type=content_type)

        assert answer.status in {200, 201, 422}
        assert answer.code in codes
    assert_works(served)


def test_body_may_not_be_larger_than_it_may(served: Target) -> None:
    long = served.raw(head(served, FINGERPRINTS, "Content-Length: 99999999999"))
    chunked = head(served, FINGERPRINTS, "Transfer-Encoding: chunked")
    endless = served.raw(chunked + (b"186a0\r\n" + b" " * 100_000 + b"\r\n") * 20)

    assert long.code == "body-too-large"
    assert endless.code == "body-too-large"


def test_length_that_lies_is_found_out(served: Target) -> None:
    longer = served.raw(head(served, FINGERPRINTS, "Content-Length: 50") + b"{}")
    shorter = served.raw(head(served, FINGERPRINTS, "Content-Length: 2") + b"{}XX")

    assert longer.code == "request-timeout"
    assert shorter.status in {400, 422}


@pytest.mark.parametrize("size", [b"-2", b"f" * 17, b"0x2", b"2 2"])
def test_chunk_of_no_size_is_refused(served: Target, size: bytes) -> None:
    sent = head(served, FINGERPRINTS, "Transfer-Encoding: chunked") + size + b"\r\n{}\r\n0\r\n\r\n"

    assert_refused(served.raw(sent))


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (b"", b"1\r\n \r\n"),
        (b"", b"1;" + b"e" * 60_000 + b"\r\n \r\n"),
        (b"1;", b"e" * 60_000),
        (b"1\r\n \r\n0\r\n", b"X: " + b"e" * 60_000 + b"\r\n"),
    ],
    ids=["chunks", "long extensions", "one extension", "trailers"],
)
def test_body_that_never_ends_is_given_up(served: Target, start: bytes, part: bytes) -> None:
    with served.connect() as connection:
        connection.sendall(head(served, FINGERPRINTS, "Transfer-Encoding: chunked") + start)
        began = time.monotonic()
        try:
            while time.monotonic() < began + 10:
                connection.sendall(part)
                time.sleep(0.01)
            pytest.fail("it listens on")
        except OSError:
            pass
        assert read_answer(connection).code in {"request-timeout", None}


def test_many_slow_requests_keep_nobody_out(served: Target) -> None:
    connections = [served.connect() for _ in range(100)]
    try:
        for number, connection in enumerate(connections):
            part = b"GET /v1/st" if number % 2 else head(served, "/v1/match", "Content-Length: 9")
            connection.sendall(part)
        assert_works(served)
        answers = [read_answer(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    assert {answer.code for answer in answers[::2]} == {"request-timeout"}
    assert all(answer == CLOSED for answer in answers[1::2])


def test_requests_sent_in_advance_do_not_pile_up(served: Target) -> None:
    before_mib = served.memory_mib()
    few = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    large = b"POST /healthz HTTP/1.1\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60_000
    for request in (few, few * 1000, large):
        with served.connect() as connection:
            connection.settimeout(0.5)
            began = time.monotonic()
            with suppress(OSError):
                while time.monotonic() < began + 2:
                    connection.sendall(request)  # and nothing is read
        assert served.memory_mib() < before_mib + MAX_GROWTH_MIB
    with served.connect() as connection:
        connection.sendall(few * 10)
        received = b""
        while received.count(b"HTTP/1.1 200") < 10:
            received += connection.recv(65536)


def test_rubbish_after_a_request_ends_the_connection(served: Target) -> None:
    with served.connect() as connection:
        connection.sendall(head(served, "/v1/status", method="GET") + b"rubbish\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.endswith(b"Invalid HTTP request received.")
