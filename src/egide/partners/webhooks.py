"""Post messages to webhooks, signed as Standard Webhooks specifies.

Source: https://www.standardwebhooks.com/, specification 1.0: the headers `webhook-id`,
`webhook-timestamp` and `webhook-signature`, HMAC-SHA256 with a symmetric secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

from egide.errors import FetchError, SettingInvalid
from egide.net.connect import request
from egide.net.deadline import Deadline
from egide.net.guard import FetchPolicy, check_url

if TYPE_CHECKING:
    from egide.net.addresses import Network

SECRET_PREFIX = "whsec_"  # noqa: S105 -- what every secret begins with
_SECRET_BYTES = 32
_MIN_SECRET_BYTES, _MAX_SECRET_BYTES = 24, 64
_MAX_ANSWER_BYTES = 64 * 1024
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,48}")


def new_secret() -> str:
    """Make a random secret of 32 bytes, in the format of Standard Webhooks libraries."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """Sign one message.

    Args:
        secret: `whsec_` and base64 of 24 to 64 bytes.
        message_id: 1 to 48 letters, digits, hyphens or underscores; a full stop would let one
            message pass as another.
        timestamp: of this delivery attempt, in Unix seconds.
        body: the exact bytes that are sent.

    Returns:
        the value of `webhook-signature`.

    Raises:
        SettingInvalid: the secret is malformed. The message does not repeat it.
        ValueError: the identifier is malformed.
    """
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError("a message's identifier is letters, digits, hyphens and underscores")
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    digest = hmac.digest(_secret_bytes(secret), signed, "sha256")
    return f"v1,{base64.b64encode(digest).decode('ascii')}"


def webhook_policy(
    url: str,
    *,
    allowed_networks: tuple[Network, ...] = (),
    allow_http: bool = False,
    **bounds: Any,
) -> FetchPolicy:
    """Return the policy to post to one webhook; also validates a new webhook's URL.

    Args:
        url: of the webhook.
        allowed_networks: private networks, in addition to the public internet.
        allow_http: also without encryption.
        bounds: further fields of the policy; the time limit is 10 s by default.

    Raises:
        FetchRefused: the URL cannot be a webhook's.
    """
    bounds = {"timeout_s": 10.0, **bounds, "max_bytes": _MAX_ANSWER_BYTES}
    policy = FetchPolicy.for_url(
        url, allowed_networks=allowed_networks, allow_http=allow_http, **bounds
    )
    check_url(url, policy)
    return policy


def post(url: str, secret: str, message_id: str, body: bytes, policy: FetchPolicy) -> int:
    """Deliver one message.

    Args:
        url: of the webhook.
        secret: of the webhook.
        message_id: as `sign` takes it.
        body: JSON in UTF-8.
        policy: what may be reached; `webhook_policy` makes it.

    Returns:
        the status of the answer; redirects are not followed. The answer's body is ignored.

    Raises:
        FetchRefused: the policy forbids the URL or the address of its host.
        FetchTimeout: no answer within `policy.timeout_s`.
        FetchError: no connection, no valid certificate, no HTTP.
    """
    deadline = Deadline.after(policy.timeout_s)
    target = check_url(url, policy)
    timestamp = int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
    status: int | None = None
    try:
        with request("POST", target, policy, deadline, headers=headers, body=body) as response:
            status = response.status
            # Some receivers fail if the connection closes before their answer is written.
            response.read(_MAX_ANSWER_BYTES)
    except FetchError:
        if status is None:
            raise
    return status


def _secret_bytes(secret: str) -> bytes:
    try:
        if not secret.startswith(SECRET_PREFIX):
            raise binascii.Error
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _MIN_SECRET_BYTES <= len(key) <= _MAX_SECRET_BYTES:
        reason = "it is not whsec_ and base64 of 24 to 64 bytes"
        raise SettingInvalid(name="webhook secret", reason=reason)
    return key
