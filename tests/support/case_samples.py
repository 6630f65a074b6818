"""Images, PINs and a worker's app for tests of cases."""

from hashlib import sha256

import pyotp

from egide.domain.cases import ImageKind, NewImage
from store_samples import anchored

PIN = "amande-48"


def image(number: int, kind: ImageKind = ImageKind.STILL, quality: int = 80) -> NewImage:
    """The fingerprints of a made-up file; another number is another picture."""
    pdq = sha256(b"pdq of %d" % number).digest()
    digest = sha256(b"file %d" % number).digest()
    return NewImage(kind, pdq, quality, digest, anchored(10**6 + number))


def submission(number: int) -> bytes:
    return sha256(b"submission %d" % number).digest()


def app_code(uri: str, at_unix_s: float) -> str:
    """The code that an app with this `otpauth:` URI shows at a time."""
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    return app.at(at_unix_s)
