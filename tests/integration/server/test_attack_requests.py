"""Hostile requests against `egide serve`: each gets its answer, with a code."""

from collections.abc import Iterator

import pytest

from attacked import Target, assert_refused, form, head, under_attack

PDQ = "f0" * 32
BANK = "/v1/banks/helpline"
FINGERPRINTS = "/v1/match/fingerprints"
POSTS = (
    FINGERPRINTS,
    "/v1/match",
    "/v1/match/files",
    "/v1/compare",
    "/v1/banks",
    f"{BANK}/entries",
    "/v1/feedback",
    "/v1/keys",
    "/v1/webhooks",
    "/v1/keys/uploads/revoke",
    "/v1/approvals/1/approve",
)
HMA_POSTS = (
    "/hma/c/banks",
    "/hma/c/bank/helpline/signal",
    "/hma/c/bank/helpline/content",
    "/hma/m/compare",
    "/hma/m/lookup",
    "/hma/h/hash",
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with under_attack(tmp_path_factory.mktemp("attacked")) as running:
        yield running


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/../hma/status", 404),
        ("/hma/../v1/keys", 404),
        ("/hma/" + "%2e%2e/" * 10 + "v1/keys", 404),
        ("//v1/status", 404),
        ("/v1//status", 404),
        ("/v1/%2e%2e/status", 404),
        ("/v1/banks/a%2Fb", 404),
        ("/v1/banks/..", 404),
        ("/v1/banks/helpline/", 404),
        ("/v1/banks/helpline%20", 422),
        ("/v1/banks/a%00b", 422),
        ("/v1/banks/a\0b", 400),
        ("/v1/banks/a%0Ab", 422),
        ("/v1/banks/a\nb", 400),
        ("/v1/banks/%ff%fe", 422),
        ("/v1/banks/'%3BDROP%20TABLE%20keys--", 422),
        ("/v1/" + "a" * 60_000, 404),
        (f"{BANK}/entries/0", 422),
        (f"{BANK}/entries/-1", 422),
        (f"{BANK}/entries/1e3", 422),
        (f"{BANK}/entries/{2**53}", 422),
        (f"{BANK}/entries/{2**63}", 422),
        (f"{BANK}/entries/{2**64}", 422),
        (f"{BANK}/entries/" + "9" * 5000, 422),
        (f"{BANK}/entries/%D9%A1", 422),
        (f"{BANK}/entries?limit=0", 422),
        (f"{BANK}/entries?limit=1001", 422),
        (f"{BANK}/entries?limit=1e3", 422),
        (f"{BANK}/entries?cursor=-1", 422),
        (f"{BANK}/entries?cursor=" + "9" * 5000, 422),
        (f"{BANK}/entries?source=%00", 422),
        (f"{BANK}/entries?source='%20OR%201=1--", 200),
        (f"{BANK}/entries?sate=active", 422),
        ("/v1/changes?bank=helpline", 403),
        ("/v1/status?" + "a=1&" * 5000, 422),
        ("/hma/c/bank/%00/content/1", 404),
        (f"/hma/c/bank/helpline/content/{2**70}", 400),
        ("/hma/m/lookup?url=file:///etc/passwd", 403),
        (f"/hma/m/raw_lookup?signal_type=pdq&signal={PDQ}&banks=%00,'", 404),
    ],
)  # fmt: skip
def test_path_leads_nowhere_else(served: Target, path: str, status: int) -> None:
    answer = served.raw(head(served, path, "Connection: close", method="GET"))

    assert answer.status == status, answer
    assert "location" not in answer.headers
    if status != 200:
        assert_refused(answer)


@pytest.mark.parametrize(
    "method", ["get", "TRACE", "CONNECT", "OPTIONS", "PUT", "PROPFIND", "FOO", "G" * 10_000]
)
def test_method_is_refused(served: Target, method: str) -> None:
    answer = served.raw(head(served, "/v1/banks", "Connection: close", method=method))

    assert_refused(answer)
    if answer.status == 405:
        assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("X: a\0b", 400),
        ("X: a\rb", 400),
        ("\0: x", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: -1", 400),
        ("Content-Length: " + "9" * 30, 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: gzip", 400),
        ("X: " + "x" * 70_000, 400),
        ("X: y\r\n" * 20_000 + "X: y", 400),
        ("Upgrade: websocket\r\nConnection: Upgrade", 200),
        ("Host: y", 200),
        ("X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1", 200),
        ("Content-Encoding: gzip", 200),
    ],
)
def test_header_is_answered(served: Target, line: str, status: int) -> None:
    answer = served.raw(head(served, "/v1/status", line, "Connection: close", method="GET"))

    assert answer.status == status, answer
    assert "server" not in answer.headers


@pytest.mark.parametrize("name", ["Idempotency-Key", "Egide-Approval"])
@pytest.mark.parametrize(
    "value", ["", " ", "x" * 129, "\x01", "\xff", "'; DROP TABLE keys --", str(2**64), "-1", "0x1"]
)
def test_header_with_rubbish_is_answered(served: Target, name: str, value: str) -> None:
    body = b'{"radius_bits": 31}'
    sent = head(served, BANK, f"{name}: {value}", f"Content-Length: {len(body)}",
                "Content-Type: application/json", "Connection: close", method="PATCH")  # fmt: skip

    answer = served.raw(sent + body)

    assert answer.status in {200, 400, 403, 409, 422}, answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"1",
        b'"x"',
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"1e400",
        b"NaN",
        b"-Infinity",
        b'{"fingerprints":NaN,"name":Infinity}',
        b'{"name":"a","name":"b","url":"c","url":"d"}',
        b'{"\\ud800":1}',
        b'{"fingerprints":[{"pdq":"\\ud800"}],"name":"\\ud800","url":"\\ud800","a":"\\ud800"}',
        b'{"a":{"pdq":"\\udfff"},"b":{"pdq":"\\udfff"},"pdq":["\\ud800"],"holder":"\\ud800"}',
        b"9" * 100_000,
        b'{"name":' + b"9" * 5000 + b"}",
        b'{"name":"x","radius_bits":' + b"9" * 400 + b"}",
        b'{"name":"x","radius_bits":true}',
        b'{"name":"x","radius_bits":1e400}',
        b'{"name":"x\\u0000"}',
        b'{"name":"\\u001b[31m\\n"}',
        b'{"name":"\'; DROP TABLE banks; --"}',
        b'{"entries":[{"sha256":"' + b"0f" * 32 + b'","note":"\\u0000"}]}',
        b'{"entries":[{"sha256":"' + b"0f" * 32 + b'","note":"\\ud800"}]}',
        b'{"entries":[{"sha256":"' + b"0f" * 32 + b'","expires":"9999-99-99T99:99:99Z"}]}',
        b'{"entries":[{"sha256":"' + b"0f" * 32 + b'","expires":"0001-01-01T00:00:00+14:00"}]}',
        b'{"entries":[' + b"{}," * 100_000 + b"{}]}",
        b'{"feedback":[{"bank":"helpline","entry":1e300,"kind":"matched","at":"x"}]}',
        b'{"fingerprints":[{"pdq":"' + b"f0" * 32 + b'"}],"banks":["\\u0000","\\ud800"]}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b'{"a":1}\0',
    ],
    ids=lambda body: repr(body[:40]),
)
def test_json_is_refused(served: Target, body: bytes) -> None:
    for path in POSTS[:-2]:
        assert_refused(served.ask("POST", path, body))
    for path in HMA_POSTS[1:]:
        assert_refused(served.ask("POST", path, body))
    # Clients of HMA send more fields than are known, so some of these make a bank.
    assert served.ask("POST", HMA_POSTS[0], body).status in {201, 400, 403, 413}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-99",
        "multipart/mixed; boundary=b",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "b" * 5000,
        "multipart/form-data; boundary*=utf-8''%00",
        "\x7f;;;=",
    ],
)
def test_content_type_is_refused(served: Target, content_type: str) -> None:
    body, _ = form(('name="file"; filename="x"', b"x"))
    for path in (*POSTS[:-2], *HMA_POSTS):
        assert_refused(served.ask("POST", path, body, content_type=content_type))


FILE = ('name="file"; filename="x"', b"x")


@pytest.mark.parametrize(
    "sent",
    [
        form(*[FILE] * 10_000),
        form(*[(f'name="a{number}"', b"x") for number in range(10_000)]),
        form(('name="file"; filename="' + "x" * 200_000 + '"', b"x")),
        form(('name="' + "x" * 200_000 + '"; filename="x"', b"x")),
        form(('name="file"; filename="a\0b"', b"x")),
        form(('name="file"; filename="a\nb"', b"x")),
        form(('name="file"; filename="a\r\nX: b"', b"x")),
        form(('filename="x"', b"x")),
        form(('name="file"', b"x")),
        form(FILE, ('name="bank"', b"x" * 100_000)),
        form(FILE, ('name="bank"', b"\0")),
        form(FILE, ('name="bank"', b"\xff")),
        form(FILE, ('name="bank"', b"' OR 1=1 --")),
        form(FILE, ('name="bank"', b"a"), ('name="bank"', b"helpline")),
        form(FILE, ('name="note"', b"\0")),
        form(FILE, ('name="again"', b"maybe")),
        form(),
        (b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\nx\r\n--b--\r\n",
         "multipart/form-data; boundary=b"),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx',
         "multipart/form-data; boundary=b"),
    ],
    ids=repr,
)  # fmt: skip
def test_form_is_refused(served: Target, sent: tuple[bytes, str]) -> None:
    body, content_type = sent
    for path in ("/v1/match", "/v1/compare", f"{BANK}/entries", *HMA_POSTS):
        assert_refused(served.ask("POST", path, body, content_type=content_type))


def test_nothing_is_asked_for_before_the_key_is_seen(served: Target) -> None:
    lines = ("Expect: 100-continue", "Content-Length: 2")
    with served.connect() as connection:
        connection.sendall(head(served, FINGERPRINTS, *lines).replace(b"Bearer ", b"Bearer x"))
        assert connection.recv(12) == b"HTTP/1.1 401"
    with served.connect() as connection:
        connection.sendall(head(served, FINGERPRINTS, *lines))
        assert connection.recv(12) == b"HTTP/1.1 100"


def test_request_of_http_1_0_is_answered_and_ends_its_connection(served: Target) -> None:
    body = b'{"fingerprints":[{"pdq":"' + PDQ.encode() + b'"}]}'
    sent = head(served, FINGERPRINTS, f"Content-Length: {len(body)}").replace(b"/1.1", b"/1.0")
    with served.connect() as connection:
        connection.sendall(sent + body)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 " in received.partition(b"\r\n")[0]


@pytest.mark.parametrize(("trailers", "status"), [(1, 200), (10_000, 400)])
def test_trailers_are_passed_over_until_they_are_too_many(
    served: Target, trailers: int, status: int
) -> None:
    body = b'{"fingerprints":[{"pdq":"' + PDQ.encode() + b'"}]}'
    chunks = (
        f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n" + b"X: yyyy\r\n" * trailers + b"\r\n"
    )
    answer = served.raw(head(served, FINGERPRINTS, "Transfer-Encoding: chunked") + chunks)
    assert answer.status in {status, 0 if status == 400 else status}


def test_more_headers_than_anybody_sends_are_refused(served: Target) -> None:
    lines = [f"X-{number}: y" for number in range(200)]
    assert served.raw(head(served, "/v1/status", *lines, method="GET")).status == 400
