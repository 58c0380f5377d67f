"""`fetch_url`: public pages only, whatever they are called and wherever they redirect to; bounded every way."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import tracemalloc
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from scripted_site import PAUSE, STALL, answer

from planloom.errors import ArgumentsError, DataError, Retry
from planloom.standard import WebLimits, fetch_tool, fetch_url, toolbox
from planloom.standard.addresses import read_url
from planloom.standard.transfer import Deadline, _Unpacker, get
from planloom.standard.web import _default_tls

QUICK = WebLimits(max_bytes=100_000, total_s=0.2)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a socket or asking the system's resolver fails the test."""

    def fail(*arguments: Any, **options: Any) -> Any:
        raise AssertionError(f"the network was used: {arguments}")

    for name in ("socket", "create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, fail)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        (["127.0.0.1"], "leads to 127.0.0.1, a loopback address"),
        (["10.0.0.7"], "a private address"),
        (["169.254.169.254"], "a link-local address"),
        (["100.64.0.1"], "CGNAT"),
        (["224.0.0.1"], "a multicast address"),
        (["0.0.0.0"], "an address of this host"),
        (["::1"], "a loopback address"),
        (["fe80::1%eth0"], "a link-local address"),
        (["::ffff:10.0.0.1"], "an IPv4 address in IPv6 form"),
        (["2002:a00:1::"], "a 6to4 address"),
        (["64:ff9b::a00:1"], "a NAT64 address"),
        (["1.1.1.1", "10.0.0.1"], "leads to 10.0.0.1"),
        (["2606:4700::1", "fd00::1"], "leads to fd00::1"),
    ],
)
def test_names_of_addresses_that_are_not_public(addresses: list[str], reason: str) -> None:
    """A name is refused when any of its addresses is not public, and nothing is connected to."""
    with pytest.raises(ArgumentsError) as raised:
        fetch_tool(resolve=lambda host, port: addresses)(url="http://public.example/x?key=CANARY")
    assert reason in str(raised.value)
    assert "CANARY" not in str(raised.value)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "１２７.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1",
     "169.254.169.254", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "a@127.0.0.1", "%31%32%37.0.0.1",
     "[fe80::1%25eth0]", "[64:ff9b::7f00:1]"],
)  # fmt: skip
def test_spellings_of_addresses_that_are_not_public(host: str) -> None:
    """An address in the URL itself is refused in every spelling, without asking any resolver."""
    with pytest.raises(ArgumentsError):
        fetch_url(url=f"http://{host}/")


def test_localhost_by_the_real_resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual tool refuses the name of this machine."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: [(socket.AF_INET, 1, 6, "", ("127.0.0.1", 80))])
    with pytest.raises(ArgumentsError, match="a loopback address"):
        fetch_url(url="http://localhost/")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), DataError, "there is no host called `public.example`"),
        (socket.gaierror(socket.EAI_AGAIN, "later"), ConnectionError, "could not be looked up"),
        (OSError("broken"), ConnectionError, "could not be looked up"),
        (UnicodeError("label"), DataError, "leads to no address"),
        (None, DataError, "there is no host called"),
    ],
)
def test_names_that_lead_nowhere(error: Exception | None, expected: type[Exception], reason: str) -> None:
    """Only what can pass is an error that is tried again."""

    def resolve(host: str, port: int) -> list[str]:
        if error is not None:
            raise error
        return []

    with pytest.raises(expected, match=reason):
        fetch_tool(resolve=resolve)(url="http://public.example/")


def test_a_name_is_looked_up_once(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address that was checked is the one that is used: a resolver that changes its mind is not asked again."""
    site = serve({"/": answer(b"hello", content_type="text/plain")})
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **o: pytest.fail("a second look-up"))
    tool = fetch_tool(resolve=resolve, refusal=lambda address: None if address.is_loopback else "elsewhere")
    assert "hello" == tool(url=f"http://rebinding.example:{site.port}/")["text"]
    assert ["rebinding.example"] == asked
    with pytest.raises(ArgumentsError, match="elsewhere"):
        tool(url=f"http://rebinding.example:{site.port}/")


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://10.0.0.1/", "a private address"),
        ("http://inner.test/", "leads to 127.0.0.2, a loopback address"),
        ("//inner.test/", "127.0.0.2"),
        ("http://[::1]/", "a loopback address"),
        ("http://0x7f.1/", "its host is a number"),
        ("http://169.254.169.254/latest/meta-data/", "a link-local address"),
        ("file:///etc/passwd", "only http and https"),
        ("http://user:CANARY@site.test/", "a user name"),
        ("http://site.test:22/", "another service"),
        ("\\\\10.0.0.1\\x", "a backslash"),
    ],
)
def test_redirects_are_checked_like_the_first_url(serve: Any, make_tool: Any, location: str, reason: str) -> None:
    """No redirect leads to where a URL could not."""
    site = serve({"/": answer(status="302 Found", location=location)})
    tool = make_tool({"site.test": ["127.0.0.1"], "inner.test": ["127.0.0.2"]})
    with pytest.raises(ArgumentsError) as raised:
        tool(url=f"http://site.test:{site.port}/")
    assert reason in str(raised.value)
    assert "CANARY" not in str(raised.value)


def test_a_host_that_moves_between_redirects(serve: Any) -> None:
    """Each redirect looks the name up again and checks what it finds, also for the same host."""
    site = serve({"/": answer(status="307 Temporary Redirect", location="/next")})
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    tool = fetch_tool(
        resolve=lambda host, port: next(answers), refusal=lambda address: None if address.is_loopback else "elsewhere"
    )
    with pytest.raises(ArgumentsError, match=r"leads to 10\.0\.0\.1, elsewhere"):
        tool(url=f"http://site.test:{site.port}/")
    assert 1 == len(site.heads)


def test_redirects_are_followed_and_bounded(serve: Any, make_tool: Any) -> None:
    """Five redirects are followed, a circle ends, and the output says where they led."""
    hops = {f"/{n}": answer(b"ignored", "301 Moved", location=f"/{n + 1}") for n in range(6)}
    site = serve(
        {
            **hops,
            "/6": answer(b"there", content_type="text/plain"),
            "/loop": answer(status="302 x", location="/loop"),
        }
    )
    page = make_tool()(url=f"http://site.test:{site.port}/1")
    assert ("there", f"http://site.test:{site.port}/6") == (page["text"], page["url"])
    for path in ("/0", "/loop"):
        with pytest.raises(DataError, match="more than 5 redirects"):
            make_tool()(url=f"http://site.test:{site.port}{path}")
    site.pages["/"] = answer(status="302 Found")
    with pytest.raises(DataError, match="answered 302 Found"):
        make_tool()(url=f"http://site.test:{site.port}/")


def test_the_request(serve: Any, make_tool: Any) -> None:
    """The host is said, the path is encoded, nothing about the machine or the user is sent."""
    site = serve({"/%C3%A4?q=a%20b": answer(b"x", content_type="text/plain")})
    make_tool()(url=f"http://Site.Test:{site.port}/ä?q=a b#part")
    assert [
        "GET /%C3%A4?q=a%20b HTTP/1.1",
        f"Host: site.test:{site.port}",
        "User-Agent: planloom",
        "Accept: text/html, application/json, text/*;q=0.9, application/xml;q=0.8",
        "Accept-Encoding: gzip",
        "Connection: close",
    ] == site.heads[0].split("\r\n")[:-2]


def test_proxies_and_cookies_of_the_environment_are_not_used(
    serve: Any, make_tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy would look names up by itself, so none is used."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://10.0.0.1:9/")
    site = serve({"/": answer(b"x", content_type="text/plain", set_cookie="a=b")})
    tool = make_tool()
    assert ["x", "x"] == [tool(url=f"http://site.test:{site.port}/")["text"] for _ in range(2)]
    assert "cookie" not in "".join(site.heads).lower()


@pytest.mark.parametrize(
    ("status", "headers", "error", "after_s"),
    [
        ("404 Not Found", {}, DataError, None),
        ("403 Forbidden", {}, DataError, None),
        ("304 Not Modified", {}, DataError, None),
        ("500 Oops", {}, Retry, None),
        ("503 Busy", {"retry_after": "7"}, Retry, 7.0),
        ("429 Slow", {"retry_after": "99999999"}, Retry, 3_600.0),
        ("429 Slow", {"retry_after": "-5"}, Retry, None),
        ("429 Slow", {"retry_after": "soon"}, Retry, None),
        ("429 Slow", {"retry_after": "Wed, 01 Jan 2020 00:00:00 GMT"}, Retry, 0.0),
        ("408 Late", {}, Retry, None),
    ],
)
def test_status(fetch_from: Any, status: str, headers: dict[str, str], error: type[Exception], after_s: Any) -> None:
    """What can pass asks for another try, after the time that the server names; the rest is final."""
    with pytest.raises(error, match=f"answered {status}") as raised:
        fetch_from(answer(b"<p>secret page</p>", status, **headers))
    assert after_s == getattr(raised.value, "after_s", None)


def test_retry_after_as_a_date(fetch_from: Any) -> None:
    """A date is a wait from now, at most an hour."""
    date = format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)
    with pytest.raises(Retry) as raised:
        fetch_from(answer(b"", "503 Busy", retry_after=date))
    assert 3_600.0 == raised.value.after_s


HTML = "<title>Tea &amp; more</title><h1>Green</h1><p>grün"


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (HTML.encode(), "text/html; charset=utf-8", ("Tea & more", "# Green\n\ngrün", None)),
        (HTML.encode("cp1252"), "text/html; charset=ISO-8859-1", ("Tea & more", "# Green\n\ngrün", None)),
        (b"<meta charset='windows-1252'><p>gr\xfcn", "text/html", (None, "grün", None)),
        (b'<meta http-equiv=x content="text/html; charset=koi8-r"><p>\xc1', "text/html", (None, "а", None)),
        ("\ufeff<p>grün".encode("utf-16-le"), "text/html; charset=utf-8", (None, "grün", None)),
        ("<p>grün".encode(), "text/html; charset=unicode_escape", (None, "grün", None)),
        (b"<p>gr\xfcn", "text/html; charset=utf-8", (None, "gr\ufffdn", None)),
        ("<p>grün".encode(), "application/xhtml+xml", (None, "grün", None)),
        (b"a <b>c</b>\n", "text/plain", (None, "a <b>c</b>\n", None)),
        (b"a,b\n1,2", "text/csv; header=present", (None, "a,b\n1,2", None)),
        (b"<a/>", "application/rss+xml", (None, "<a/>", None)),
        (b'{"a": [1]}', "application/json", (None, '{"a": [1]}', {"a": [1]})),
        (b"\xef\xbb\xbf[1]", "application/ld+json;charset=UTF-8", (None, "[1]", [1])),
        (b'{"a": NaN}', "application/json", (None, '{"a": NaN}', None)),
        (b"plain", "", (None, "plain", None)),
        (b"", "text/html", (None, "", None)),
    ],
)
def test_content(fetch_from: Any, body: bytes, content_type: str, expected: tuple[Any, ...]) -> None:
    """HTML becomes text, JSON a value, text stays; the encoding is found or stated, never made up by a codec."""
    page = fetch_from(answer(body, **({"content_type": content_type} if content_type else {})))
    assert (*expected, False) == (page["title"], page["text"], page["json"], page["truncated"])


@pytest.mark.parametrize("content_type", ["application/pdf", "image/png", "application/octet-stream", "video/mp4"])
def test_content_that_is_not_read(fetch_from: Any, content_type: str) -> None:
    """What is no text is refused by its name."""
    with pytest.raises(DataError, match=f"is {content_type}\nhint: only HTML, JSON and text"):
        fetch_from(answer(b"%PDF", content_type=content_type))


def test_bytes_that_say_they_are_text(fetch_from: Any) -> None:
    """A picture without a type is not text."""
    with pytest.raises(DataError, match="it is not text"):
        fetch_from(answer(b"\x89PNG\0\0"))


def test_text_is_cut_and_says_so(fetch_from: Any) -> None:
    """`max_chars` cuts the text, not the value of a JSON answer."""
    page = fetch_from(answer(b'{"a": 12345}', content_type="application/json"), max_chars=5)
    assert ('{"a":', True, {"a": 12345}) == (page["text"], page["truncated"], page["json"])


def zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


def bomb(size: int) -> bytes:
    """A gzip stream of `size` zeros, made without ever holding them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = bytes(1_000_000)
    return b"".join([*(packer.compress(block) for _ in range(size // len(block))), packer.flush()])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (zipped(b"hello"), "hello"),
        (zipped(b"hel") + zipped(b"lo"), "hello"),
        (zipped(b"hello") + bytes(100), "hello"),
        (zipped(b"x" * 100_000), "x" * 100_000),
        (zipped(b""), ""),
        (b"", ""),
    ],
)
def test_gzip(fetch_from: Any, body: bytes, expected: str) -> None:
    """What the server packs is unpacked, up to the limit exactly, in several members and with padding too."""
    page = fetch_from(
        answer(body, content_type="text/plain", content_encoding="gzip"), limits=WebLimits(max_bytes=100_000)
    )
    assert expected == page["text"]


@pytest.mark.parametrize(
    ("body", "encoding", "error", "reason"),
    [
        (bomb(80_000_000), "gzip", DataError, "larger than 100,000 bytes"),
        (zipped(b"x" * 100_001), "gzip", DataError, "larger than 100,000 bytes"),
        (zipped(b"") * 200, "gzip", DataError, "larger than 100,000 bytes"),
        (zipped(zipped(b"x")) + b"garbage", "gzip", DataError, "not valid gzip"),
        (b"not packed", "gzip", DataError, "not valid gzip"),
        (zipped(b"hello" * 1000)[:-12], "gzip", ConnectionError, "cut off"),
        (b"x", "br", DataError, "packed with 'br'"),
        (b"x", "gzip, gzip", DataError, "packed with 'gzip, gzip'"),
    ],
)
def test_gzip_that_is_no_page(fetch_from: Any, body: bytes, encoding: str, error: type[Exception], reason: str) -> None:
    """A bomb stops at the limit, damage is said, and a second layer is not unpacked."""
    with pytest.raises(error, match=reason):
        fetch_from(
            answer(body, content_type="text/plain", content_encoding=encoding), limits=WebLimits(max_bytes=100_000)
        )


def test_a_bomb_is_never_held_in_memory() -> None:
    """What comes out of the packed bytes is bounded while it is unpacked, not afterwards."""
    packed = bomb(80_000_000)
    unpack = _Unpacker(read_url("http://site.test/"), WebLimits(max_bytes=100_000))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="larger than"):
            unpack.feed(packed)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("page", "error", "reason"),
    [
        (lambda: answer(b"x" * 100_001, content_type="text/plain"), DataError, "larger than 100,000 bytes"),
        (lambda: [answer(b"x", length=10**12), STALL], DataError, "larger than"),
        (lambda: [answer(b"x" * 100_001, length=None), STALL], DataError, "larger than"),
        (lambda: [CHUNKED, b"1ffff\r\n" + b"x" * 0x1FFFF + b"\r\n", STALL], DataError, "larger than"),
        (lambda: STALL, TimeoutError, "no whole answer within 0.2 s"),
        (lambda: [b"HTTP/1.1 200 OK\r\n", STALL], TimeoutError, "no whole answer"),
        (lambda: [answer(b"half", length=8), STALL], TimeoutError, "no whole answer"),
        (lambda: [CHUNKED, b"5\r\nhe", STALL], TimeoutError, "no whole answer"),
        (lambda: [b"HTTP/1.1 100 Continue\r\n\r\n", STALL], TimeoutError, "no whole answer"),
        (lambda: answer(b"half", length=8), ConnectionError, "cut off after 4 bytes"),
        (lambda: CHUNKED + b"5\r\nhe", ConnectionError, "cut off"),
        (lambda: CHUNKED + b"zz\r\nhello", ConnectionError, "not HTTP, or was cut off"),
        (lambda: b"", ConnectionError, "not HTTP, or was cut off"),
        (lambda: b"SSH-2.0-OpenSSH_9.6\r\n", ConnectionError, "not HTTP"),
        (lambda: b"HTTP/1.1 abc\r\n\r\n", ConnectionError, "not HTTP"),
        (lambda: b"HTTP/1.1 200 OK\r\n" + b"A: " + b"x" * 70_000 + b"\r\n\r\n", ConnectionError, "not HTTP"),
        (lambda: b"HTTP/1.1 200 OK\r\n" + b"A: x\r\n" * 200 + b"\r\n", ConnectionError, "not HTTP"),
    ],
)
def test_answers_without_end_or_shape(
    fetch_from: Any, page: Callable[[], Any], error: type[Exception], reason: str
) -> None:
    """Size, time and form are bounded at every step, and only what can pass is tried again."""
    script = page()
    # a deadline only where it is the subject: time decides no other case
    limits = QUICK if error is TimeoutError else WebLimits(max_bytes=100_000)
    with pytest.raises(error, match=reason):
        fetch_from([script] if script is STALL else script, limits=limits)


def test_a_trickle_does_not_outlast_the_deadline(fetch_from: Any) -> None:
    """Every byte comes in time and the whole does not: the limit is for the whole."""

    class Trickle(list[Any]):
        def __iter__(self) -> Any:
            yield b"HTTP/1.1 200 OK\r\nA: "
            while True:
                yield b"a"
                yield PAUSE

    with pytest.raises(TimeoutError, match=r"no whole answer within 0\.2 s"):
        fetch_from(Trickle(), limits=QUICK)


def test_chunks_and_answers_without_a_length(fetch_from: Any) -> None:
    """Both are read to their end."""
    assert "hello" == fetch_from(CHUNKED + b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: x\r\n\r\n")["text"]
    assert "hello" == fetch_from(answer(b"hello", length=None, content_type="text/plain"))["text"]
    assert "hello" == fetch_from(b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"hello"))["text"]


def test_the_next_address_is_tried(serve: Any, make_tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with several addresses is reached by one that answers; none at all is said."""
    site = serve({"/": answer(b"x", content_type="text/plain")})
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    with pytest.raises(ConnectionError, match="refused"):
        make_tool()(url=f"http://site.test:{closed}/")
    tool = fetch_tool(resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"], refusal=lambda address: None)
    assert "x" == tool(url=f"http://site.test:{site.port}/")["text"]


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a new certificate for `name`, which is also written to `folder` to be trusted."""
    pytest.importorskip("cryptography", reason="no library to make a certificate with")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


def test_https_checks_the_name_and_not_the_address(serve: Any, make_tool: Any, tmp_path: Path) -> None:
    """The connection goes to the pinned address; the server is told the host, and must prove to be it."""
    context = certificate(tmp_path, "site.test")
    names: list[str | None] = []
    context.sni_callback = lambda connection, name, _: names.append(name)
    site = serve({"/": answer(b"private", content_type="text/plain")}, tls=context)
    tool = make_tool(tls=ssl.create_default_context(cafile=tmp_path / "certificate.pem"))
    assert "private" == tool(url=f"https://site.test:{site.port}/")["text"]
    assert (["site.test"], f"Host: site.test:{site.port}") == (names, site.heads[0].split("\r\n")[1])
    for url, usual in ((f"https://other.test:{site.port}/", tool), (f"https://site.test:{site.port}/", make_tool())):
        with pytest.raises(DataError, match="its certificate is not valid"):
            usual(url=url)
    assert 1 == len(site.heads)


def test_https_to_a_server_that_speaks_http(serve: Any, make_tool: Any) -> None:
    """A failed handshake is a sentence, not a traceback."""
    site = serve({})
    with pytest.raises(ConnectionError, match=r"https://site\.test"):
        make_tool()(url=f"https://site.test:{site.port}/")


def test_certificates_are_checked_by_default() -> None:
    """The usual context wants a valid certificate for the host."""
    context = _default_tls()
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)


def test_a_plan_can_change_no_rule() -> None:
    """The URL and the length of the text are all that a plan can say."""
    tool = toolbox["fetch_url"]
    assert ["url", "max_chars"] == list(tool.parameters["properties"])
    assert (True, True, False) == (tool.read_only, tool.open_world, tool.destructive)
    for name in ("resolve", "refusal", "limits", "tls", "headers"):
        with pytest.raises(ArgumentsError):
            tool.prepare({"url": "http://site.test/", name: None})


def test_nothing_but_the_given_addresses_is_connected_to() -> None:
    """The transfer itself has no resolver: without an address there is no connection."""
    with pytest.raises(ConnectionError, match="there is no address"):
        get(read_url("http://site.test/"), [], headers=(), limits=QUICK, deadline=Deadline(1), tls=_default_tls())
