from __future__ import annotations

import io
import json
import logging

import pytest

from egide.errors import HashInvalid
from egide.server.http.logs import JsonLines, Lines, log

SECRET = "f8f8f0cee0f4a84f"


@pytest.fixture(params=[JsonLines, Lines])
def formatter(request: pytest.FixtureRequest) -> logging.Formatter:
    made: logging.Formatter = request.param()
    return made


def _logged(name: str, formatter: logging.Formatter) -> tuple[logging.Logger, io.StringIO]:
    logger = logging.Logger(name)
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return logger, out


def test_a_record_is_one_line_with_its_fields(formatter: logging.Formatter) -> None:
    logger, out = _logged("egide.server", formatter)
    log(logger, logging.INFO, "request", route="/v1/match", status=200, ms=1.5)
    line = out.getvalue()
    assert line.count("\n") == 1
    for part in ("request", "/v1/match", "200", "1.5", "info"):
        assert part in line


def test_exception_is_told_by_its_places_alone(formatter: logging.Formatter) -> None:
    logger, out = _logged("egide.server", formatter)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("failed")
    assert SECRET not in out.getvalue()
    assert "ValueError" in out.getvalue()
    assert "test_exception_is_told_by_its_places_alone" in out.getvalue()
    assert out.getvalue().count("\n") == 1


def test_other_libraries_do_not_get_their_text_in(formatter: logging.Formatter) -> None:
    logger, out = _logged("sqlalchemy.pool", formatter)
    logger.warning("parameters %s", SECRET)
    logger.error("failed", exc_info=HashInvalid(signal="pdq", digits=SECRET))
    assert SECRET not in out.getvalue()
    assert "sqlalchemy.pool" in out.getvalue()


def test_a_line_of_json_is_json() -> None:
    logger, out = _logged("egide", JsonLines())
    log(logger, logging.INFO, "line\nbreak", key=None)
    assert json.loads(out.getvalue())["message"] == "line\nbreak"
