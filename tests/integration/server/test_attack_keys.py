"""Guessing keys: nothing tells a wrong one from one that was right, and few can be tried."""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from egide.domain.access import Role, new_token
from server_samples import Served, bearer, serve

PATHS = ("/v1/status", "/v1/banks/absent", "/v1/match", "/v1/nothing", "/hma/c/banks", "/metrics")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serve(folder, max_failures_per_minute=10**9, hma_enabled=True) as served:
        yield served


@pytest.fixture(scope="module")
def guesses(served: Served) -> dict[str, str]:
    """Tokens that open nothing, by what is wrong with them."""
    right = served.key(Role.ADMIN, "right")[1]
    start = right[: len("egide_") + 13]
    expired = datetime.now(UTC) - timedelta(days=1)
    revoked = served.key(Role.ADMIN, "revoked")[1]
    served.service.store.keys.revoke("revoked")
    return {
        "unknown handle": new_token()[2],
        "wrong secret": start + new_token()[2][-43:],
        "nearly right": right[:-2] + ("AA" if right[-2:] != "AA" else "BA"),
        "expired": served.key(Role.ADMIN, "expired", expires=expired)[1],
        "revoked": revoked,
        "no token": "x",
        "another spelling": right.upper(),
    }


def test_answers_to_wrong_keys_are_equal(served: Served, guesses: dict[str, str]) -> None:
    for path in PATHS:
        answers = [served.client.get(path, headers=bearer(guess)) for guess in guesses.values()]
        answers.append(served.client.get(path))
        told = {
            (answer.status_code, answer.content,
             tuple((name, value) for name, value in answer.headers.items()
                   if name != "x-request-id"))
            for answer in answers
        }  # fmt: skip

        assert len(told) == 1, path
        assert answers[0].status_code == 401


def test_times_of_wrong_keys_are_told(
    served: Served, guesses: dict[str, str], record_property: Callable[[str, object], None]
) -> None:
    """Their medians stand in the report of `pytest --junit-xml`; a busy machine may not fail."""
    kinds = ("unknown handle", "wrong secret", "expired", "revoked")
    took_ms: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(150):
        for kind in kinds:
            began = time.perf_counter()
            answer = served.client.get("/v1/status", headers=bearer(guesses[kind]))
            took_ms[kind].append(1000 * (time.perf_counter() - began))
            assert answer.status_code == 401
    for kind, times in took_ms.items():
        record_property(f"{kind}: quartiles in ms", statistics.quantiles(times, n=4))


def test_guesses_of_an_address_are_counted_and_keys_of_it_are_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with serve(tmp_path_factory.mktemp("served"), max_failures_per_minute=20) as served:
        right = served.as_role(Role.MATCHER)
        statuses = [
            served.client.get("/v1/status", headers=bearer(new_token()[2])).status_code
            for _ in range(60)
        ]
        refused = served.client.get("/v1/status", headers=bearer(new_token()[2]))

        assert statuses.count(401) in range(20, 25)
        assert refused.status_code == 429
        assert refused.json()["code"] == "rate-limited"
        assert int(refused.headers["Retry-After"]) >= 1
        # Whoever shares the address, behind a proxy say, goes on.
        assert served.client.get("/v1/status", headers=right).status_code == 200


def test_revoked_key_opens_nothing_within_a_second(served: Served) -> None:
    headers = served.as_role(Role.MATCHER, name="short-lived")
    assert served.client.get("/v1/status", headers=headers).status_code == 200

    served.service.store.keys.revoke("short-lived")
    time.sleep(1)

    assert served.client.get("/v1/status", headers=headers).status_code == 401
