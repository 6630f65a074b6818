"""Reaching out: fetching a URL, calling a webhook, following or asking another register."""

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


class MatcherError(Failed):
    """Cannot match at {matcher}: {reason}."""

    code = "matcher-failed"


class MatcherKeyInvalid(MatcherError):
    """The key for {matcher} cannot be used: {reason}. Put it into EGIDE_MATCHER_KEY, or name its file with --matcher-key."""

    code = "matcher-key-invalid"


class MatcherRefused(MatcherError):
    """{matcher} refused the key ({status}): ask for a new one of the role `matcher`."""

    code = "matcher-refused"


class MatcherUnreachable(MatcherError):
    """{matcher} did not answer in {tries} tries: {reason}. Run the same command again to go on; with --out, what was answered is kept."""

    code = "matcher-unreachable"


class MatcherBusy(MatcherError):
    """{matcher} asks to wait {wait_s} s ({reason}), longer than EGIDE_MATCHER_MAX_WAIT_S. Run the same command again then, to go on; with --out, what was answered is kept."""

    code = "matcher-busy"


class MatcherInvalid(MatcherError):
    """The answer of {matcher} is not as promised ({reason}): none of it was used."""

    code = "matcher-invalid"


class MatcherChanged(MatcherError):
    """{matcher} changed during the audit: {reason}. Run the same command again: what has to be asked anew is."""

    code = "matcher-changed"
