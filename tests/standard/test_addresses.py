"""URLs and addresses: one reading of each, and no spelling of a private one gets through."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.errors import ArgumentsError
from planloom.standard.addresses import read_url, refusal_of

NOT_PUBLIC = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1",
    "172.31.255.255", "192.168.0.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.255", "192.0.0.1",
    "192.0.0.170", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.9", "192.88.99.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1", "::127.0.0.1", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
    "100:0:0:1::1", "2001::1", "2001:0:7f00:1::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1",
    "2002:7f00:1::", "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "4000::1", "5f00::1", "fc00::1",
    "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:7f00:1", "2606:4700::1%eth0",
]  # fmt: skip

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
    "192.167.1.1", "223.255.255.254", "93.184.216.34", "2606:4700::6810:84e5", "2a00:1450:4001:830::200e",
    "2001:4860:4860::8888",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    """Private, loopback, link-local, multicast, reserved, shared and translated addresses are refused by name."""
    assert refusal_of(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    """The edges of the refused networks do not take their neighbours with them."""
    assert refusal_of(ip_address(address)) is None


@pytest.mark.parametrize(
    "url",
    [
        # one number for an address, in every base and length that some library takes
        "http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://0X7F000001/", "http://0x7f.0.0.1/",
        "http://0177.0.0.1/", "http://0x7f.1/", "http://127.1/", "http://127.0.1/", "http://0/", "http://0x/",
        "http://00000177.0.0.1/", "http://127.0.0.01/", "http://256.0.0.1/", "http://1.2.3.4.5/", "http://1.1.1.4294967296/",
        "http://example.127/", "http://example.0x7f/", "http://2130706433./",
        # other readings of where the host begins and ends
        "http://user@site.test/", "http://user:pass@site.test/", "http://site.test:80@127.0.0.1/", "http://@site.test/",
        "http://site.test\\@127.0.0.1/", "http://127.0.0.1\\.site.test/", "http:\\\\127.0.0.1/", "http://site.test%2f@x/",
        "http://127.0.0.1%2f.site.test/", "http://%31%32%37.0.0.1/", "http://site.test%00.x/", "http://site.test\0.x/",
        "http://si\tte.test/", "http://si\nte.test/", "http://site.test/\r\nHost: x", "http://site.test/a\x7fb",
        "http://[::1]site.test/", "http://site.test[::1]/", "http://[::1", "http://::1/", "http://[::1]:80:80/",
        "http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[127.0.0.1]/", "http://[v1.a]/", "http://[]/",
        # letters that become other letters
        "http://127。0。0/", "http://①②⑦.①/", "http://０ｘ７ｆ.1/", "http://site.test／@127.0.0.1/", "http://x？@y/", "http://a％b/",
        "http://stra\u00dfe.de/", "http://a\u200db.de/", "http://\u00ad/", "http://\ud800/", f"http://{'ü' * 300}.de/",
        # no host, no web, no end
        "", " ", "site.test", "//site.test/", "/etc/passwd", "http:", "http://", "http:///x", "http:/site.test",
        "http:site.test",
        "file:///etc/passwd", "FILE:///etc/passwd", "ftp://site.test/", "gopher://site.test/", "data:text/plain,x",
        "javascript:alert(1)", "jar:http://site.test/", "view-source:http://site.test/", "ws://site.test/",
        "http://site..test/", "http://.site.test/", "http://site.test../", "http://a b.test/", "http://*.test/",
        f"http://{'a' * 64}.test/", f"http://{'a.' * 130}test/", f"http://site.test/{'a' * 4_000}",
        "http://site.test:0/", "http://site.test:22/", "http://site.test:25/", "http://site.test:65536/", "http://site.test:x/",
        "http://site.test:-80/", "http://site.test:８０/",
    ],
)  # fmt: skip
def test_url_refused(url: str) -> None:
    """What can be read in two ways, or is not the plain web, is refused and not repaired."""
    with pytest.raises(ArgumentsError):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://site.test", "http://site.test/"),
        (" HTTPS://Site.TEST:443/A?b=c#d ", "https://site.test/A?b=c"),
        ("http://site.test.:8080/", "http://site.test:8080/"),
        ("http://site.test:/", "http://site.test/"),
        ("https://site.test:80/", "https://site.test:80/"),
        ("http://bücher.example/ä b?q=ü c&d=%20", "http://xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC%20c&d=%20"),
        ("http://ＳＩＴＥ。test/", "http://site.test/"),
        ("http://1.1.1.1/", "http://1.1.1.1/"),
        ("http://[2606:4700:0:0::1]/", "http://[2606:4700::1]/"),
        ("http://１２７.0.0.1/", "http://127.0.0.1/"),
        ("http://127。0。0。1/", "http://127.0.0.1/"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://[::ffff:7f00:1]/", "http://[::ffff:7f00:1]/"),
        ("http://my_host.test/?", "http://my_host.test/"),
        ('http://site.test/"<>?"<>', "http://site.test/%22%3C%3E?%22%3C%3E"),
    ],
)
def test_url_read(url: str, expected: str) -> None:
    """A URL has one spelling from then on, which is what is checked, said to the server and shown."""
    assert expected == read_url(url).url
    assert expected == read_url(expected).url


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/b?c", "https://site.test/b?c"),
        ("b", "https://site.test/dir/b"),
        ("//other.test/x", "https://other.test/x"),
        ("https://other.test", "https://other.test/"),
        ("http://other.test", None),
        ("http://[", None),
        ("//user@other.test/", None),
        ("file:///etc/passwd", None),
        ("//0x7f.1/", None),
        ("https:\\\\127.0.0.1", None),
    ],
)
def test_redirect(location: str, expected: str | None) -> None:
    """A redirect is read like any URL, and does not lead from https to http."""
    target = read_url("https://site.test/dir/a")
    if expected is None:
        with pytest.raises(ArgumentsError):
            target.follow(location)
    else:
        assert expected == target.follow(location).url


def test_messages_keep_secrets() -> None:
    """Neither a password nor a query, where keys stand, is repeated in a message."""
    for url in ("http://user:CANARY@site.test/", "http://site.test:22/?key=CANARY"):
        with pytest.raises(ArgumentsError) as raised:
            read_url(url)
        assert "CANARY" not in str(raised.value)
    assert "`http://site.test/a?…`" == str(read_url("http://site.test/a?key=CANARY"))


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.text(max_size=40).map("http://{}".format)
    | st.text(alphabet="0127.xXfF:[]@%/\\#?．。①ａ-_ ", max_size=24).map("http://{}".format)
    | st.text(max_size=40)
)
def test_any_text_is_refused_or_has_one_reading(url: str) -> None:
    """What gets through is plain ASCII, reads the same again, and is a name or one exact address."""
    try:
        target = read_url(url)
    except ArgumentsError:
        return
    assert target.url.isascii()
    assert not set(target.url) & set(" \t\r\n\0\\@#" if "@" not in target.path else " \t\r\n\0\\#")
    assert target == read_url(target.url)
    if target.address is None:
        assert not target.host.rpartition(".")[2].isdecimal()
