"""Schemathesis over the whole OpenAPI document: what it says is what the register does."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig

from egide.domain.access import Role
from egide.server.app import create_app
from egide.server.settings import ServerSettings
from egide.store.changing import ChangingStore
from server_samples import Served, at_address, serve

pytestmark = pytest.mark.slow

PLENTY = 10**9
_SIZES = "413"  # what is too large or too many has a status of its own
_ACCEPTED = ["2xx", "401", "403", "404", "409", "429"]
CONFIG: dict[str, Any] = {
    "checks": {
        "negative_data_rejection": {
            "expected-statuses": ["400", "401", "403", "404", "405", "409", "422", _SIZES]
        },
        "positive_data_acceptance": {"expected-statuses": _ACCEPTED},
    },
    "operations": [
        {
            # No schema tells pictures and records from other bytes, nor which have enough detail.
            "include-path-regex": "/match$|/match/files$|/match/packed$|/compare$|/entries$",
            "include-method": ["POST"],
            "checks": {"positive_data_acceptance": {"expected-statuses": [*_ACCEPTED, "422"]}},
        },
        {
            # No pattern knows which characters can be printed: a holder is shown on terminals.
            "include-name": "POST /v1/keys",
            "checks": {"positive_data_acceptance": {"expected-statuses": [*_ACCEPTED, "422"]}},
        },
    ],
}
schema = schemathesis.openapi.from_dict(
    create_app(ServerSettings()).openapi(), config=SchemathesisConfig.from_dict(CONFIG)
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("served"),
        max_requests_per_second=PLENTY,
        max_failures_per_minute=PLENTY,
        bulk_limit=PLENTY,
    ) as served:
        ChangingStore.of(served.service.store).banks.create("helpline")
        yield served


@pytest.fixture(scope="module")
def address(served: Served) -> Iterator[str]:
    """That of the application behind the server that is used in earnest."""
    with at_address(served) as address:
        yield address


@pytest.fixture(scope="module")
def admin(served: Served) -> dict[str, str]:
    return served.as_role(Role.ADMIN)


@schema.parametrize()
@settings(
    max_examples=20,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_route_does_what_the_document_says(
    case: schemathesis.Case, address: str, admin: dict[str, str]
) -> None:
    case.call_and_validate(address, headers=admin)
