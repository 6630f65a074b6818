"""Answers in HMA's format, without a server."""

from __future__ import annotations

import json

import pytest

from egide.errors import BodyTooLarge, EgideError, FetchTooLarge, FileTooLarge
from egide.server.hma.answers import answer_as_hma
from egide.server.http.problems import always_problem


@pytest.mark.parametrize(
    "error",
    [
        BodyTooLarge(limit=1),
        FetchTooLarge(limit=1),
        FileTooLarge(name="the upload", size=2, limit=1),
    ],
    ids=["body", "fetched", "picture"],
)
def test_what_is_too_large_is_said_in_hmas_words(error: EgideError) -> None:
    answer = answer_as_hma(always_problem, {"path": "/hma/h/hash"}, error)
    assert answer.status_code == 413
    assert json.loads(bytes(answer.body))["message"].startswith("Content too large")
    assert answer.headers["egide-code"] == error.code
    assert (
        answer_as_hma(always_problem, {"path": "/v1/match"}, error).media_type != "application/json"
    )
