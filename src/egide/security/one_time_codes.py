"""One-time codes of a worker's app (TOTP): which one is taken, and what the app has to know.

SHA-1, six digits and 30 s are what every app takes; several ignore other parameters of the URI.
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
"""How many steps a telephone's clock may be early or late."""


def new_secret() -> bytes:
    """Make a secret of 20 random bytes."""
    return secrets.token_bytes(SECRET_BYTES)


def accepted_step(secret: bytes, code: str, now_unix_s: float, *, after: int | None) -> int | None:
    """The step that a code belongs to, if the code is right now and was not used before.

    The work is the same whatever the code is; PyOTP's own check stops at the first that is right.

    Args:
        secret: of the account.
        code: as it was typed; spaces and hyphens in it do not matter.
        now_unix_s: the time.
        after: the step of the last code that was accepted; only later ones are. One that has not
            come yet was taken while the clock was ahead, and keeps nobody out.

    Returns:
        the step, in whole 30 s since 1970, to be kept as `after`; None for any other code.
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
        issuer: what the app calls this register; a colon in it is left out.
    """
    issuer = " ".join(issuer.replace(":", " ").split())
    return _app(secret).provisioning_uri(name=account, issuer_name=issuer)


def _app(secret: bytes) -> TOTP:
    from pyotp import TOTP

    return TOTP(b32encode(secret).decode(), interval=STEP_S)
