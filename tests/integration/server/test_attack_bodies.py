"""Bodies whose parsing would freeze or fill the process: refused before it begins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from attacked import Answered, Target, form, target

MIB = 2**20
LARGEST_BYTES = 16 * MIB
AT_ONCE = 4
MAX_GROWTH_MIB = 200
"""Four bodies of 16 MiB that are what they say would be 64."""
MAX_PAUSE_S = 1.5
"""Of the process's work, however busy the machine; one such body took 2 s, and four follow."""
PDQ = b'"' + b"f0" * 32 + b'"'
ENTRIES = "/v1/banks/helpline/entries"
FINGERPRINTS = "/v1/match/fingerprints"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("bodies"), EGIDE_HMA_ENABLED="true") as running:
        running.ask("POST", "/v1/banks", {"name": "helpline"})
        yield running


class Filled(NamedTuple):
    """JSON that repeats an item until it has the size of the largest body."""

    start: bytes
    item: bytes
    end: bytes
    between: bytes = b","

    def body(self) -> bytes:
        left_bytes = LARGEST_BYTES - 100 - len(self.start) - len(self.end)
        items = [self.item] * (left_bytes // len(self.item + self.between))
        return self.start + self.between.join(items) + self.end


@pytest.mark.parametrize(
    ("path", "filled"),
    [
        (ENTRIES, Filled(b'{"entries":[', b"{}", b"]}")),
        (ENTRIES, Filled(b'{"entries":[', b'{"a":0}', b"]}")),
        (ENTRIES, Filled(b'{"entries":[{"pdq":[', b"[]", b"]}]}")),
        (ENTRIES, Filled(b'{"entries":[', b"[", b"", b"")),
        (ENTRIES, Filled(b'{"entries":[{"note":"', b"x", b'"}]}', b"")),
        (FINGERPRINTS, Filled(b'{"fingerprints":[', b'{"pdq":' + PDQ + b"}", b"]}")),
        (FINGERPRINTS, Filled(b'{"fingerprints":', b'""', b"}")),
        (FINGERPRINTS, Filled(b'{"fingerprints":', b"9", b"}", b"")),
        ("/v1/feedback", Filled(b'{"feedback":[', b"{}", b"]}")),
        ("/v1/keys", Filled(b'{"name":"a","banks":[', b"1", b"]}")),
        ("/v1/match", Filled(b'{"url":"x","banks":[', b"{}", b"]}")),
        ("/v1/compare", Filled(b'{"a":{"pdq":[', b"[]", b"]}}")),
        ("/hma/m/compare", Filled(b'{"pdq":[', b"[]", b"]}")),
        ("/hma/c/bank/helpline/signal", Filled(b'{"pdq":[', b"[]", b"]}")),
    ],
    ids=range(14),
)
def test_body_neither_freezes_nor_fills_the_process(
    served: Target, path: str, filled: Filled
) -> None:
    body = filled.body()
    before_mib = served.memory_mib()
    answers: list[Answered] = []

    def send() -> None:
        answers.append(served.ask("POST", path, body))

    senders = [threading.Thread(target=send) for _ in range(AT_ONCE)]
    for sender in senders:
        sender.start()
    most_mib, longest_s = 0.0, 0.0
    while any(sender.is_alive() for sender in senders):
        worked_s = served.worked_s()
        assert served.ask("GET", "/healthz").status == 200
        longest_s = max(longest_s, served.worked_s() - worked_s)
        most_mib = max(most_mib, served.memory_mib())
        time.sleep(0.005)
    assert most_mib < before_mib + MAX_GROWTH_MIB
    assert longest_s < MAX_PAUSE_S
    # 0: it was answered, and the connection closed, while it was still being sent.
    assert {answer.status for answer in answers} <= {0, 400, 413, 422}
    assert all(len(answer.body) < 1000 for answer in answers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ENTRIES, b'{"entries":[' + b",".join([b"{}"] * 9000) + b"]}"),
        (ENTRIES, b'{"entries":[{' + b",".join(b'"a%d":0' % n for n in range(99_999)) + b"}]}"),
        (ENTRIES, b'{"entries":[{"pdq":[' + b",".join([b"0"] * 99_999) + b"]}]}"),
        ("/v1/feedback", b'{"feedback":[' + b",".join([b"{}"] * 1000) + b"]}"),
        ("/v1/keys", b'{"name":"a","banks":[' + b",".join([b"0"] * 900) + b"]}"),
        ("/v1/keys", b'{"name":"a","name":"b",' + b'"name":"c",' * 900 + b'"name":"d"}'),
        ("/v1/webhooks", b'{"events":[' + b",".join([b'"a"'] * 900) + b"]}"),
    ],
    ids=range(7),
)
def test_error_about_many_values_is_small_and_quick(served: Target, path: str, body: bytes) -> None:
    before_mib = served.memory_mib()
    answer = served.ask("POST", path, body)
    assert answer.status == 422
    assert len(answer.body) < 1000
    assert served.memory_mib() < before_mib + 64


def test_first_content_type_counts_as_it_does_for_who_parses(served: Target) -> None:
    body = b" " * (17 * MIB)
    two = (("Content-Type", "multipart/form-data; boundary=b"),)
    answer = served.ask("POST", ENTRIES, body, headers=two)
    assert answer.code in {"body-too-large", None}
    assert answer.status in {413, 0}


def test_form_of_a_hundred_thousand_parts_is_refused_at_the_first_too_many(
    served: Target,
) -> None:
    body, content_type = form(*[('name="file"', b"x")] * 100_000)
    before_mib = served.memory_mib()
    answer = served.ask("POST", "/v1/match", body, content_type=content_type)
    assert answer.code == "batch-too-large"
    assert served.memory_mib() < before_mib + 64


def test_largest_batch_that_is_allowed_is_taken(served: Target) -> None:
    one = {"pdq": "f0" * 32, "sha256": "0f" * 32, "md5": "1e" * 16}
    answer = served.ask("POST", FINGERPRINTS, {"fingerprints": [one] * 10_000})
    assert answer.status == 200
    frames = [f"{number:02x}" * 32 for number in range(1, 65)]
    entries = [{"pdq": frames, "source": "a", "note": 'a, "b", [c]', "quality": 90}] * 3000
    assert served.ask("POST", ENTRIES, {"entries": entries}).status in {201, 403}
