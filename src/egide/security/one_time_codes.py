"""One-time codes from an app: TOTP as RFC 6238 has it, SHA-1, six digits, a new one every 30 s.

SHA-1, six digits and 30 s are what every app takes; several ignore other parameters of the URI.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from base64 import b32encode
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20
"""RFC 4226, section 4, R6: 160 bits are recommended."""
STEPS_APART = 1
"""How many steps a telephone's clock may be early or late."""
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}", re.ASCII)


def new_secret() -> bytes:
    """Make a secret of 20 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def code_at(secret: bytes, step: int) -> str:
    """The code of a step, six digits.

    Args:
        secret: that the app has too.
        step: whole 30 s since 1970.

    Source: RFC 4226, section 5.3 (the truncation), and RFC 6238, section 4.2 (the step).
    """
    digest = hmac.digest(secret, step.to_bytes(8), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def accepted_step(secret: bytes, code: str, now_unix_s: float, *, after: int | None) -> int | None:
    """The step that a code belongs to, if the code is right now and was not used before.

    The work is the same whatever the code is.

    Args:
        secret: of the account.
        code: as it was typed; spaces and hyphens in it do not matter.
        now_unix_s: the time.
        after: the step of the last code that was accepted; only later ones are. One that has not
            come yet was taken while the clock was ahead, and keeps nobody out.

    Returns:
        the step, to be kept as `after`; None for any other code.
    """
    typed = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", code))
    if not _CODE.fullmatch(typed):
        typed = "x" * DIGITS  # compares like a code, and is none
    current = int(now_unix_s) // STEP_S
    if after is not None and after > current + STEPS_APART:
        after = None
    found = None
    for step in range(max(current - STEPS_APART, 0), current + STEPS_APART + 1):
        right = hmac.compare_digest(code_at(secret, step), typed)
        if right and (after is None or step > after):
            found = step
    return found


def app_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """The `otpauth:` URI that an app reads from a QR code. It holds the secret.

    Args:
        secret: for the app to keep.
        account: the name to sign in with.
        issuer: what the app calls this register; a colon in it is left out.

    Source: the "Key Uri Format" of Google Authenticator; the issuer stands in both places, as
    there, and parameters with the usual values are left out, since apps take them as given.
    """
    issuer = " ".join(issuer.replace(":", " ").split())
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    query = urlencode({"secret": secret_text(secret), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{label}?{query}"


def secret_text(secret: bytes) -> str:
    """The secret as apps take it when it is typed: base 32 without padding."""
    return b32encode(secret).decode().rstrip("=")
