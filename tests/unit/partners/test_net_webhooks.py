from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from egide.errors import FetchRefused, SettingInvalid
from egide.partners.webhooks import new_secret, sign, webhook_policy

SECRETS = st.binary(min_size=24, max_size=64).map(
    lambda key: f"whsec_{base64.b64encode(key).decode()}"
)


def headers_of(secret, message_id, timestamp, body):
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }


@given(SECRETS, st.from_regex(r"[A-Za-z0-9_-]{1,48}", fullmatch=True), st.text())
def test_reference_library_verifies_the_signature(secret, message_id, text):
    now = int(datetime.now(UTC).timestamp())
    body = json.dumps({"text": text}, ensure_ascii=False).encode("utf-8", "replace")
    assert Webhook(secret).verify(body, headers_of(secret, message_id, now, body))


def test_example_of_the_specification_gives_its_signature():
    # Source: the tests of the libraries in github.com/standard-webhooks/standard-webhooks.
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_change_of_anything_breaks_the_signature(part):
    secret, now = new_secret(), int(datetime.now(UTC).timestamp())
    body = b'{"a": 1}'
    headers = headers_of(secret, "msg_1", now, body)
    if part == "body":
        body = b'{"a": 2}'
    elif part == "secret":
        secret = new_secret()
    else:
        headers[part] = {"webhook-id": "msg_2", "webhook-timestamp": str(now + 1)}[part]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_secret_is_new_each_time():
    assert len({new_secret() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_c2hvcnQ=", "whsec_***", "whsec_\u00e9", "Mf" * 16,
     "whsec_" + "A" * 1000],
)  # fmt: skip
def test_what_is_no_secret_is_refused_unshown(secret):
    with pytest.raises(SettingInvalid) as refused:
        sign(secret, "msg_1", 0, b"")
    assert secret in {"", "whsec_"} or secret not in str(refused.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "a\r\nX: y", "a" * 49, "\u00e9"])
def test_identifier_that_could_pass_as_another_is_refused(message_id):
    with pytest.raises(ValueError, match="identifier"):
        sign(new_secret(), message_id, 0, b"")


def test_webhook_is_https_unless_http_is_allowed():
    with pytest.raises(FetchRefused):
        webhook_policy("http://hooks.example.org/in")
    assert webhook_policy("http://hooks.example.org/in", allow_http=True).schemes == (
        "https",
        "http",
    )


@pytest.mark.parametrize("url", ["https://user:word@hooks.example.org/", "hooks.example.org", ""])
def test_what_cannot_be_a_webhook_is_refused(url):
    with pytest.raises(FetchRefused):
        webhook_policy(url)


def test_webhook_reaches_own_networks_only_where_they_are_named():
    own = (ip_network("10.0.0.0/8"),)
    assert webhook_policy("https://10.0.0.1/").allowed_networks == ()
    assert webhook_policy("https://10.0.0.1/", allowed_networks=own).allowed_networks == own
