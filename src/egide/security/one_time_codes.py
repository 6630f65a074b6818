"""One-time codes of a worker's app (TOTP): checking a code, and the URI that sets up the app.

Every app supports SHA-1, six digits and 30 s; several ignore other parameters of the URI.
PyOTP, which comes with the extra `server`, makes the codes.
"""

from __future__ import annotations

import hmac
import re
import secrets
import unicodedata
from base64 import b32encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyotp import TOTP

STEP_S = 30
SECRET_BYTES = 20
"""RFC 4226, section 4, R6: 160 bits are recommended."""
STEPS_APART = 1
"""Steps that a telephone's clock may be early or late."""


def new_secret() -> bytes:
    """Make a secret of 20 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def accepted_step(secret: bytes, code: str, now_unix_s: float, *, after: int | None) -> int | None:
    """The step of a code, if the code is valid now and was not used before.

    Takes constant time; PyOTP's own check stops at the first code that fits.

    Args:
        secret: of the account.
        code: as typed; spaces and hyphens are ignored.
        now_unix_s: the time.
        after: the step of the last accepted code; only later steps are accepted. A step in the
            future is ignored: it was accepted while the clock was ahead.

    Returns:
        the step, in whole 30 s since 1970, to be kept as `after`; None for an invalid code.
    """
    typed = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", code)).encode(errors="replace")
    current = int(now_unix_s) // STEP_S
    if after is not None and after > current + STEPS_APART:
        after = None
    app, found = _app(secret), None
    for step in range(max(current - STEPS_APART, 0), current + STEPS_APART + 1):
        right = hmac.compare_digest(app.generate_otp(step).encode(), typed)
        if right and (after is None or step > after):
            found = step
    return found


def app_uri(secret: bytes, *, account: str, issuer: str) -> str:
    """The `otpauth:` URI that an app reads from a QR code. It holds the secret.

    Args:
        secret: for the app to keep.
        account: the name to sign in with.
        issuer: the register's name in the app; a colon in it is left out.
    """
    issuer = " ".join(issuer.replace(":", " ").split())
    return _app(secret).provisioning_uri(name=account, issuer_name=issuer)


def _app(secret: bytes) -> TOTP:
    from pyotp import TOTP

    return TOTP(b32encode(secret).decode(), interval=STEP_S)
