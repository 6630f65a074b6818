"""The root of all errors, and the categories that say what an error means to who meets it."""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus
from typing import Any, ClassVar


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    FOUND = 1
    """Something matched; or something was left out, and the rest was done."""
    USAGE = 2
    FAILED = 3
    INTERRUPTED = 130


class EgideError(Exception):
    """Something went wrong: {reason}."""

    code: ClassVar[str] = "error"
    exit: ClassVar[Exit] = Exit.FAILED
    """With what a command ends that meets this error."""
    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    """With what the server answers a request that meets it."""
    told: ClassVar[str | None] = (
        "Something went wrong here; it was written to the log of the register."
    )
    """What the server says in place of the message; None where the message holds nothing of the
    machine, such as where its store is."""
    page_words: ClassVar[str] = "broken"
    """The words of a page that meets it: `problems.<page_words>` in the pages' catalogues."""

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__((self.__doc__ or "").strip().format(**fields))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by fields, so that an error crosses from a worker process unchanged."""
        return _rebuild, (type(self), self.fields)

    @property
    def message(self) -> str:
        """The sentence for the person who reads it."""
        return str(self)


def _rebuild(kind: type[EgideError], fields: dict[str, object]) -> EgideError:
    return kind(**fields)


# --- categories: never raised themselves ------------------------------------------------------


class Missing(EgideError):
    """What was named does not exist."""

    status = HTTPStatus.NOT_FOUND
    told = None


class Invalid(EgideError):
    """What was given cannot be understood or used: give something else."""

    exit = Exit.USAGE
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    told = None


class Refused(EgideError):
    """Who asks may not do this, or not yet."""

    status = HTTPStatus.FORBIDDEN
    told = None


class Conflict(EgideError):
    """It does not go with what is there already."""

    status = HTTPStatus.CONFLICT
    told = None


class Busy(EgideError):
    """Too much is asked for at once: the same request succeeds later."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    told = None


class TooLarge(EgideError):
    """It is over a limit of size."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    told = None


class Unavailable(EgideError):
    """Something that Egide depends on, such as its store, does not serve at present."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Failed(EgideError):
    """Something on this machine failed or is not set up: its operator has to act, not who asks."""
