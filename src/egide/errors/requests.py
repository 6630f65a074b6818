"""Requests to a served register, whatever they are about."""

from __future__ import annotations

from http import HTTPStatus

from egide.errors.base import Busy, Conflict, Invalid, Missing, Refused, TooLarge, Unavailable


class RequestInvalid(Invalid):
    """The request cannot be understood: {reason}."""

    code = "request-invalid"
    page_words = "unreadable"


class PathMissing(Missing):
    """There is nothing at this path: /openapi.json lists what there is."""

    code = "path-missing"
    page_words = "missing"


class MethodNotAllowed(Missing):
    """This path does not take this method; it takes {allowed}."""

    code = "method-not-allowed"
    status = HTTPStatus.METHOD_NOT_ALLOWED  # the path exists
    page_words = "missing"


class RequestTimeout(Refused):
    """The request's body did not arrive within {limit_s} s."""

    code = "request-timeout"
    status = HTTPStatus.REQUEST_TIMEOUT  # the same request is welcome again
    page_words = "slow"


class BodyTooLarge(TooLarge):
    """The request's body is over the limit of {limit} bytes."""

    code = "body-too-large"
    page_words = "unreadable"


class BatchTooLarge(TooLarge):
    """{count} items are over the limit of {limit} a request: send them in several."""

    code = "batch-too-large"


class IdempotencyConflict(Conflict):
    """This idempotency key was used for another request: use a new one for each."""

    code = "idempotency-conflict"


class IdempotencyBusy(Busy):
    """The first request with this idempotency key is still running: try again in a second."""

    code = "idempotency-busy"
    status = HTTPStatus.CONFLICT  # as the IETF's draft of the header asks


class Overloaded(Busy):
    """The server is doing too much at once: try again in {retry_after_s} s."""

    code = "overloaded"
    status = HTTPStatus.SERVICE_UNAVAILABLE  # it is not this client who asks too much
    page_words = "busy"


class NotReady(Unavailable):
    """The register is not ready: {reason}."""

    code = "not-ready"
    told = None
    page_words = "busy"


class RegisterStale(Unavailable):
    """The register is stale: its store has been silent for {stalled_s} s. Ask again once it is back."""

    code = "register-stale"
    told = None
