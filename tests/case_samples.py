"""Images and PINs for tests of cases."""

from hashlib import sha256

from egide.cases import ImageKind, NewImage

PIN = "amande-48"


def image(number: int, kind: ImageKind = ImageKind.STILL, quality: int = 80) -> NewImage:
    """The fingerprints of a made-up file; another number is another picture."""
    pdq = sha256(b"pdq of %d" % number).digest()
    digest = sha256(b"file %d" % number).digest()
    return NewImage(kind, pdq, quality, digest)


def submission(number: int) -> bytes:
    return sha256(b"submission %d" % number).digest()
