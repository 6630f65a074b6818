"""Digests, against the published test vectors of RFC 1321 and FIPS 180-2."""

from egide.hashing import digest


def test_sha256_of_the_published_vector():
    assert digest.sha256(b"abc").hex() == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_md5_of_the_published_vector():
    assert digest.md5(b"message digest").hex() == "f96b697d7cb7938d525a2f31aaf161d0"
