"""The log of the server: one line per request, never with data from the request.

Lines go to standard error. The text of our own and of uvicorn's messages is written. Messages of
other libraries are written without their text, which may contain anything. Of exceptions only the
places in the code are written, never their text.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from egide.text.visible import visible

if TYPE_CHECKING:
    from egide.server.settings import ServerSettings

_OURS = ("egide", "uvicorn")
FIELDS = "egide_fields"
"""Name of a log record's attribute that holds its fields."""


def configure(settings: ServerSettings) -> None:
    """Send all log records of this process to standard error, in the configured format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else Lines())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(settings.log_level.upper())
    logging.captureWarnings(capture=True)


def log(logger: logging.Logger, level: int, message: str, **fields: str | float | None) -> None:
    """Log a message with fields; neither may contain data from a request."""
    logger.log(level, message, extra={FIELDS: fields})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    values: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
    }
    if record.name.partition(".")[0] in _OURS:
        values["message"] = record.getMessage()
    values |= getattr(record, FIELDS, {})
    if record.exc_info and record.exc_info[1] is not None:
        values["exception"] = type(record.exc_info[1]).__name__
        values["places"] = [
            f"{frame.filename}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(record.exc_info[2])
        ]
    return values


class JsonLines(logging.Formatter):
    """Format a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(_fields(record), default=str)


class Lines(logging.Formatter):
    """Format a record as one readable line: time, level, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        values = _fields(record)
        start = (values.pop("at"), values.pop("level"), values.pop("message", ""))
        rest = (f"{name}={value}" for name, value in values.items() if value is not None)
        return visible(" ".join((*start, *rest)))
