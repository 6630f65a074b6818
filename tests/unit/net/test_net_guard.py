from __future__ import annotations

import socket
import threading
from contextlib import suppress
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egide.errors import FetchDisabled, FetchError, FetchRefused, FetchTimeout, SettingInvalid
from egide.net import connect
from egide.net.addresses import may_reach, reached
from egide.net.deadline import Deadline
from egide.net.fetch import fetch
from egide.net.guard import FetchPolicy, check_url, resolve

ANY_HOST = FetchPolicy(("*.example.org", "example.org"))

# Everything here is a way that some parser or resolver has been talked into another host by. The
# policy allows the very host, so that it is the spelling that is refused.
SPELLINGS = [
    "",
    "https://",
    "https:///",
    "https:///example.org/",
    "https:example.org",
    "https:/example.org/",
    "//example.org/",
    "example.org",
    "/etc/passwd",
    "file:///etc/passwd",
    "file://example.org/etc/passwd",
    "ftp://example.org/",
    "gopher://example.org/",
    "data:text/plain,hello",
    "javascript://example.org/",
    "unix:///run/docker.sock",
    "http+unix://example.org/",
    "HTTPS//example.org",
    "https://user@example.org/",
    "https://user:word@example.org/",
    "https://example.org@127.0.0.1/",
    "https://127.0.0.1@example.org/",
    "https://@example.org/",
    "https://example.org:443@127.0.0.1/",
    "https://example.org\\@127.0.0.1/",
    "https://127.0.0.1\\example.org/",
    "https:\\\\example.org\\",
    "https://example.org\\",
    "https://example.org#@127.0.0.1/ ",
    "https://example.org /",
    " https://example.org/",
    "https://example.org/ ",
    "https://example.org/\n",
    "https://example.org/\r\nHost: 127.0.0.1",
    "https://example.org/a b",
    "https://exam\tple.org/",
    "https://exam\nple.org/",
    "https://example.org\x00.example.org/",
    "https://example.org%00/",
    "https://example.org%2f.example.org/",
    "https://%65xample.org/",
    "https://example.org./",
    "https://.example.org/",
    "https://example..org/",
    "https://-example.org/",
    "https://example-.org/",
    "https://exa_mple.org/",
    "https://*.example.org/",
    "https://example.org:/",
    "https://example.org:0/",
    "https://example.org:00443/",
    "https://example.org:65536/",
    "https://example.org:443443443/",
    "https://example.org:-443/",
    "https://example.org:443x/",
    "https://example.org: 443/",
    "https://example.org:+443/",
    "https://ex\u00e4mple.org/",
    "https://example\u3002org/",
    "https://\uff45xample.org/",
    "https://example.org/\u00e4",
    "https://e\u00adxample.org/",
    "https://\u2460\u2461\u2466.0.0.1/",
    "https://example.org\u202e/",
    "https://" + "a" * 64 + ".example.org/",
    "https://" + "a." * 130 + "example.org/",
    "https://example.org/" + "a" * 2048,
    "https://example.org/%",
    "https://example.org/%zz",
    "https://example.org/<a>",
    "https://[example.org]/",
    "https://[]/",
    "https://[::1",
    "https://::1/",
    "https://[::1%25lo]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[127.0.0.1]/",
    "https://[v1.fe80::]/",
    "https://[::ffff:127.0.0.1.]/",
    "https://[::1]x/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.1/",
    "https://0x7f.0x0.0x0.0x1/",
    "https://0x/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.000.000.001/",
    "https://0/",
    "https://127.0.0.1./",
    "https://127.0.0.256/",
    "https://1.1.1.1.1/",
    "https://example.org.0x7f/",
    "https://99999999999/",
]


def test_spellings_are_many():
    assert len(set(SPELLINGS)) >= 90


@pytest.mark.parametrize("url", SPELLINGS)
def test_spelling_is_refused_whatever_is_allowed(url):
    with pytest.raises(FetchRefused):
        check_url(url, ANY_HOST)
    with pytest.raises(FetchRefused):
        FetchPolicy.for_url(url, allow_http=True, allow_loopback=True)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.org", "example.org", 443, "/"),
        ("HTTPS://EXAMPLE.ORG/A", "example.org", 443, "/A"),
        ("https://example.org:443/a%20b?c=d#e", "example.org", 443, "/a%20b?c=d"),
        ("https://example.org?c=//127.0.0.1@x", "example.org", 443, "/?c=//127.0.0.1@x"),
        ("https://a.b.example.org:80/", "a.b.example.org", 80, "/"),
        ("https://xn--exmple-cua.example.org/", "xn--exmple-cua.example.org", 443, "/"),
    ],
)
def test_plain_url_is_read(url, host, port, path):
    target = check_url(url, ANY_HOST)
    assert (target.scheme, target.host, target.port, target.path) == ("https", host, port, path)


def test_target_does_not_show_its_path():
    assert "secret" not in repr(check_url("https://example.org/secret?token=secret", ANY_HOST))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "https://badexample.org/",
        "https://example.org.example.com/",
        "https://xn--xample-9uf.org/",
        "https://1.1.1.1/",
        "https://[2606:4700:4700::1111]/",
        "https://localhost/",
    ],
)
def test_host_that_is_not_allowed_is_refused(url):
    with pytest.raises(FetchRefused, match="among those allowed"):
        check_url(url, ANY_HOST)


def test_wildcard_allows_what_is_below_and_not_the_name_itself():
    policy = FetchPolicy(("*.example.org",))
    assert check_url("https://a.b.example.org/", policy).host == "a.b.example.org"
    with pytest.raises(FetchRefused):
        check_url("https://example.org/", policy)


def test_literal_address_is_allowed_only_literally():
    assert check_url("https://1.1.1.1/", FetchPolicy(("1.1.1.1",))).host == "1.1.1.1"
    long_form = "https://[2606:4700:4700:0:0:0:0:1111]/"
    target = check_url(long_form, FetchPolicy(("[2606:4700:4700::1111]",)))
    assert (target.host, target.authority) == ("2606:4700:4700::1111", "[2606:4700:4700::1111]")
    with pytest.raises(FetchRefused):
        check_url("https://1.1.1.1/", FetchPolicy(("*.1.example.org",)))


def test_without_allowed_hosts_fetching_is_off():
    with pytest.raises(FetchDisabled):
        check_url("https://example.org/", FetchPolicy(()))


def test_http_and_other_ports_are_refused_by_default():
    for url in ("http://example.org/", "https://example.org:8443/", "https://example.org:22/"):
        with pytest.raises(FetchRefused):
            check_url(url, ANY_HOST)


@pytest.mark.parametrize("rule", ["*", "*.org", "*.*.org", "https://a.org", "", "a b", "*.1.1.1.1"])
def test_allowed_host_that_is_no_name_is_refused(rule):
    with pytest.raises(SettingInvalid, match="allowed_hosts"):
        FetchPolicy((rule,))


def test_policy_for_a_url_allows_its_host_and_port_alone():
    policy = FetchPolicy.for_url("https://hooks.example.org:8443/in")
    assert check_url("https://hooks.example.org:8443/other", policy).port == 8443
    for url in ("https://hooks.example.org/in", "https://example.org:8443/in"):
        with pytest.raises(FetchRefused):
            check_url(url, policy)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.3.2.1", "[::1]"])
def test_loopback_is_reached_where_it_is_named_and_allowed(host):
    policy = FetchPolicy.for_url(f"http://{host}:8000/", allow_loopback=True)
    target = check_url(f"http://{host}:8000/", policy)
    assert resolve(target, policy, Deadline.after(10))
    with pytest.raises(FetchRefused):
        FetchPolicy.for_url(f"http://{host}:8000/")


REFUSED_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:808:808::1",
    "2620:fe::5efe:127.0.0.1",
    "2620:fe::200:5efe:10.0.0.1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::a9fe:a9fe",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("text", REFUSED_ADDRESSES)
def test_address_that_is_not_public_is_not_reached(text):
    assert not may_reach(ip_address(text), ())


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "9.9.9.9", "172.32.0.1", "2606:4700:4700::1111", "2a00::1", "::ffff:9.9.9.9",
     "64:ff9b::9.9.9.9"],
)  # fmt: skip
def test_public_address_is_reached(text):
    assert may_reach(ip_address(text), ())


def test_own_network_is_reached_only_where_it_is_allowed():
    own = (ip_network("10.1.0.0/16"),)
    assert may_reach(ip_address("10.1.2.3"), own)
    assert may_reach(ip_address("::ffff:10.1.2.3"), own)
    assert not may_reach(ip_address("10.2.0.1"), own)


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"])
def test_address_of_no_machine_is_never_reached(text):
    assert not may_reach(ip_address(text), (ip_network("0.0.0.0/0"), ip_network("::/0")))


@given(st.ip_addresses())
def test_reached_addresses_are_global(address):
    if may_reach(address, ()):
        end = reached(address)
        assert end.is_global
        kinds = (end.is_private, end.is_loopback, end.is_link_local, end.is_multicast)
        assert not any(kinds)


def answer_of(*addresses):
    return [
        (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, 443))
        for text in addresses
    ]


def test_one_refused_address_among_several_refuses_all(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer_of("9.9.9.9", "10.0.0.1"))
    with pytest.raises(FetchRefused, match="not public") as refused:
        resolve(check_url("https://example.org/", ANY_HOST), ANY_HOST, Deadline.after(10))
    assert "10.0.0.1" not in str(refused.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "169.254.169.254", "[::1]", "[::]"])
def test_allowed_name_does_not_open_a_private_network(host):
    policy = FetchPolicy((host,))
    with pytest.raises(FetchRefused, match="not public"):
        resolve(check_url(f"https://{host}/", policy), policy, Deadline.after(10))


def test_changed_answer_of_the_name_server_changes_nothing(monkeypatch):
    answers = [answer_of("9.9.9.9"), answer_of("127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers.pop(0))
    reached_addresses = []

    def refuse(address, port, limit_s, bounds):
        reached_addresses.append((str(address), port))
        raise ConnectionRefusedError

    monkeypatch.setattr(connect, "_connect", refuse)
    with pytest.raises(FetchError, match="connection failed"):
        fetch("https://example.org/picture.jpg", ANY_HOST)
    assert reached_addresses == [("9.9.9.9", 443)]
    assert len(answers) == 1


def test_name_without_address_is_an_error(monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchError, match="no address"):
        fetch("https://example.org/", ANY_HOST)


def test_look_up_that_hangs_ends_with_the_deadline(monkeypatch):
    end = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: end.wait(60) and [])
    try:
        with pytest.raises(FetchTimeout):
            fetch("https://example.org/", FetchPolicy(("example.org",), timeout_s=0.2))
    finally:
        end.set()


HOSTS = st.one_of(
    st.ip_addresses().map(lambda a: f"[{a}]" if a.version == 6 else str(a)),
    st.integers(0, 2**33).map(str),
    st.integers(0, 2**33).map(hex),
    st.integers(0, 2**32).map(oct),
    st.sampled_from(["localhost", "example.org", "a.example.org", "127.0.0.1", "[::1]", "0"]),
    st.text(max_size=20),
)
ANSWERS = st.lists(st.ip_addresses().map(str), max_size=3)


@given(
    st.sampled_from(["https", "http", "HTTPS", "file", ""]),
    st.sampled_from(["", "user@", "example.org@", "\\", "@", " "]),
    HOSTS,
    st.sampled_from(["", ":443", ":80", ":22", ":0", ":", "\\@127.0.0.1", "#@127.0.0.1"]),
    st.text(max_size=10).map(lambda text: f"/{text}"),
    ANSWERS,
)
def test_no_url_leads_to_an_address_that_is_not_public(scheme, user, host, port, path, answers):
    url = f"{scheme}://{user}{host}{port}{path}"
    contacted = []

    def note(address, port, limit_s, bounds):
        contacted.append(address)
        raise ConnectionRefusedError

    rules = ["example.org", "*.example.org", "localhost"]
    with suppress(SettingInvalid):
        rules.extend(FetchPolicy((host,)).allowed_hosts)
    policy = FetchPolicy(tuple(rules), schemes=("http", "https"), timeout_s=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lambda *_, **__: answer_of(*answers))
        patch.setattr(connect, "_connect", note)
        with pytest.raises(FetchError):
            fetch(url, policy)
    assert all(reached(address).is_global for address in contacted)
