"""The canonical form of addresses, and the digests by which lists hold them."""

from hashlib import md5, sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.hashlist.addresses import (
    address_digests,
    canonical_address,
    threatexchange_address,
)

_HOST = st.from_regex(r"[a-zA-Z]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?\.[a-zA-Z]{2,5}", fullmatch=True)
_SEGMENT = st.from_regex(r"[a-zA-Z0-9_~-]{1,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("HTTP://EXAMPLE.com:80/a/../b#f", "http://example.com/b"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com:443?q", "https://example.com/?q"),
        ("http://example.com:443/", "http://example.com:443/"),
        (" https://münchen.example/ü?ü\n", "https://xn--mnchen-3ya.example/%C3%BC?%C3%BC"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("https://e.example/%7Ea/%2E%2e/b", "https://e.example/b"),
        ("https://e.example/A?B=c&b=a", "https://e.example/A?B=c&b=a"),
        ("https:\\\\e.example\\a", "https://e.example/a"),
        ("mailto:a@b.example", None),
        ("//e.example/a", None),
        ("http://a b/", None),
        ("http://", None),
        ("http://[::1", None),
        ("https://e.example/" + "a" * 9000, None),
        ("https://e.example/\ud800", "https://e.example/%EF%BF%BD"),
        ("", None),
    ],
)
def test_the_canonical_form_is_what_a_browser_requests(text: str, canonical: str | None) -> None:
    found = canonical_address(text)
    assert found == canonical or (found is None and "\ud800" in text)


@given(
    st.sampled_from(["http", "https", "HTTPS"]),
    _HOST,
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.lists(_SEGMENT, max_size=4),
    st.booleans(),
    st.sampled_from(["", "?", "?a=B&c"]),
    st.sampled_from(["", "#", "#Part"]),
)
def test_a_plain_address_is_canonical_by_parts(
    scheme: str, host: str, port: str, path: list[str], dots: bool, query: str, fragment: str
) -> None:
    host = host.replace("xn--", "a")
    text = f"{scheme}://{host}{port}/" + "/".join(path)
    if dots and path:
        text += "/x/.."
    default = {"http": ":80", "https": ":443"}[scheme.lower()]
    kept = "" if port == default else port
    tail = "/" if dots and path else ""
    expected = f"{scheme.lower()}://{host.lower()}{kept}/" + "/".join(path) + tail + query
    found = canonical_address(text + query + fragment)
    if found is None:  # a label that Punycode refuses
        assert "--" in host
        return
    assert found == expected
    assert canonical_address(found) == found


@given(st.text(max_size=60))
def test_any_text_has_one_canonical_form_or_none(rest: str) -> None:
    for text in (rest, f"http://{rest}"):
        found = canonical_address(text)
        assert found is None or canonical_address(found) == found
        threatexchange_address(text)


def test_an_address_is_looked_up_in_each_form_that_lists_hash() -> None:
    digests = address_digests("https://Example.com/A#b")
    assert digests is not None
    forms = ["https://example.com/A", "https://Example.com/A#b"]
    field = "example.com/a#b"  # ThreatExchange's: lower case, no scheme
    assert digests.url_sha256 == tuple(sha256(form.encode()).digest() for form in forms)
    assert digests.url_md5 == tuple(md5(form.encode()).digest() for form in [*forms, field])
    assert address_digests("not one") is None


PIECES = (
    *("a", "B", "1", "0x7f", "com", "-", "--", "xn--", "_", ".", "..", "/", "//", "/.", "/%2e"),
    *("%41", "?", "#", "&", "'", '"', ";", "[", "^", "|", "~", "\\", "é", " ", "\n", ":80", "@"),
)


@given(st.sampled_from(["http://", "https://", "https://a.b/"]), st.lists(st.sampled_from(PIECES)))
def test_an_address_that_is_taken_as_it_is_has_the_digests_of_its_forms(
    start: str, pieces: list[str]
) -> None:
    text = start + "".join(pieces)
    canonical, digests = canonical_address(text), address_digests(text)
    if canonical is None:
        assert digests is None
        return
    given_form = text.strip("".join(map(chr, range(0x21))))
    forms = dict.fromkeys([canonical, given_form])
    fields = dict.fromkeys([*forms, threatexchange_address(given_form) or canonical])
    assert digests is not None
    assert digests.url_sha256 == tuple(sha256(form.encode()).digest() for form in forms)
    assert digests.url_md5 == tuple(md5(form.encode()).digest() for form in fields)
