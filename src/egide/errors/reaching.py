"""Reaching out: fetching a URL, calling a webhook, following a partner register."""

from __future__ import annotations

from http import HTTPStatus

from egide.errors.base import Conflict, Failed, Missing, Refused, TooLarge, Unavailable


class FetchError(Unavailable):
    """Cannot fetch the URL: {reason}."""

    code = "fetch-failed"
    status = HTTPStatus.BAD_GATEWAY  # another host failed, and this one serves
    told = None


class FetchDisabled(Refused, FetchError):
    """Fetching by URL is off: post the file, or allow hosts with EGIDE_FETCH_HOSTS."""

    code = "fetch-disabled"


class FetchRefused(Refused, FetchError):
    """The URL may not be fetched: {reason}."""

    code = "fetch-refused"


class FetchTooLarge(TooLarge, FetchError):
    """What the URL gives is over the limit of {limit} bytes."""

    code = "fetch-too-large"


class FetchTimeout(FetchError):
    """The URL did not answer in full within {limit_s} s."""

    code = "fetch-timeout"
    status = HTTPStatus.GATEWAY_TIMEOUT


class WebhookMissing(Missing):
    """No webhook {webhook}: list webhooks with `egide webhook list`."""

    code = "webhook-missing"


class WebhookExists(Conflict):
    """A webhook {webhook} exists already: choose another name."""

    code = "webhook-exists"


class WebhookRefused(Refused):
    """That cannot be a webhook's URL: {reason}."""

    code = "webhook-refused"


class UpstreamMissing(Missing):
    """No partner register {upstream}: list them with `egide sync list`."""

    code = "upstream-missing"


class UpstreamExists(Conflict):
    """A partner register {upstream} exists already: choose another name."""

    code = "upstream-exists"


class SyncError(Failed):
    """Cannot follow {upstream}: {reason}."""

    code = "sync-failed"


class UpstreamChanged(SyncError):
    """{upstream} is another register than before: if that is right, remove it and add it again."""

    code = "upstream-changed"


class UpstreamBusy(SyncError):
    """Another process is following {upstream} at this moment: it goes on there."""

    code = "upstream-busy"


class UpstreamKeyInvalid(SyncError):
    """The key for {upstream} in {name} cannot be used: {reason}."""

    code = "upstream-key-invalid"


class UpstreamRefused(SyncError):
    """{upstream} refused the key ({status}): ask for a new one and put it into the key file."""

    code = "upstream-refused"
