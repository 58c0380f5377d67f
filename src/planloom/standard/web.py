"""`fetch_url`: one public page, as text.

The address that was checked is the address that is connected to, again after every redirect. Who may be asked, by what
resolver and within what limits is said in Python, when the tool is made; a plan can say nothing of it.
"""

from __future__ import annotations

import functools
import re
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.errors import ArgumentsError, DataError, Retry
from planloom.plan.issues import shorten
from planloom.standard.addresses import Address, Target, read_url, refusal_of
from planloom.standard.json_text import read_json
from planloom.standard.readable import read_html
from planloom.standard.transfer import Answer, Deadline, WebLimits, get
from planloom.tools import Tool, tool

__all__ = ["WebLimits", "WebPage", "fetch_tool", "fetch_url", "resolve_host"]

DEFAULT_TEXT_CHARACTERS: Final = 100_000
MAX_TITLE_CHARACTERS: Final = 500
MAX_RETRY_AFTER_S: Final = 3_600.0

Resolve = Callable[[str, int], Sequence[str]]
"""Takes a host and a port, gives its addresses; raises OSError."""
RefusalOf = Callable[[Address], str | None]
"""Gives why an address must not be asked, as "a loopback address", or None."""

_HEADERS: Final = (
    ("User-Agent", "planloom"),
    ("Accept", "text/html, application/json, text/*;q=0.9, application/xml;q=0.8"),
    ("Accept-Encoding", "gzip"),
)
_PASSING_STATUS: Final = frozenset({408, 425, 429})
_JSON: Final = re.compile(r"(application|text)/([\w.+-]+\+)?json")
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
_TEXT: Final = re.compile(r"text/[\w.+-]+|application/([\w.-]+\+)?xml|application/(x-)?(yaml|ndjson|javascript)")
_META_CHARSET: Final = re.compile(rb"<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}[\"']?([\w-]{1,40})", re.IGNORECASE)
_ENCODINGS: Final = {
    **dict.fromkeys(("utf-8", "utf8", "us-ascii", "ascii"), "utf-8"),
    # the web reads Latin-1 as its superset
    **dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "windows-1252", "cp1252"), "cp1252"),
    **{f"iso-8859-{number}": f"iso8859-{number}" for number in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **{f"windows-{number}": f"cp{number}" for number in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874)},
    **{name: name for name in ("utf-16", "utf-16le", "utf-16be", "koi8-r", "koi8-u")},
    **{name: name for name in ("gb18030", "big5", "euc-jp", "euc-kr")},
    **dict.fromkeys(("gbk", "gb2312"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis"), "cp932"),
    "iso-2022-jp": "iso2022_jp",
}  # fmt: skip


class WebPage(TypedDict):
    """`url` is where redirects led; `text` is cut if `truncated`; `json` is the value of a JSON answer, else null."""

    url: str
    content_type: str
    title: str | None
    text: str
    truncated: bool
    json: Any


def fetch_tool(
    *,
    resolve: Resolve | None = None,
    refusal: RefusalOf = refusal_of,
    limits: WebLimits | None = None,
    tls: ssl.SSLContext | None = None,
) -> Tool:
    """Make a `fetch_url` with other rules than the usual ones.

    `resolve` gives a host's addresses (default: the system's resolver), `refusal` says of each why it must not be asked
    (default: everything that is not public). One network of your own is let in by
    `refusal=lambda address: None if address in network else refusal_of(address)`. `tls` checks certificates.
    """
    limits = limits or WebLimits()

    @tool(read_only=True, open_world=True, retries=2, timeout_s=max(60.0, limits.total_s * 2), max_concurrency=16)
    def fetch_url(
        url: str, max_chars: Annotated[int, Field(ge=1, le=limits.max_bytes)] = DEFAULT_TEXT_CHARACTERS
    ) -> WebPage:
        """Get one public web page, JSON document or text file by its http or https URL.

        HTML comes as readable `text` with its `title`; a JSON answer also as a value in `json`, such as
        {{step.output.json.items}}. Pages inside private networks, files to download, forms and log-ins are refused.

        Args:
            url: The whole URL.
            max_chars: Cut `text` after this many characters; `truncated` says whether that happened.
        """
        target, answer = _follow(read_url(url), resolve or resolve_host, refusal, limits, tls or _default_tls())
        return _page(target, answer, max_chars)

    return fetch_url


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host by the system's resolver, each once. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@functools.cache
def _default_tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # 20 ms: it reads the system's certificates


def _follow(
    target: Target, resolve: Resolve, refusal: RefusalOf, limits: WebLimits, tls: ssl.SSLContext
) -> tuple[Target, Answer]:
    """Get a page, through its redirects; every target on the way is checked like the first."""
    deadline = Deadline(limits.total_s)
    for _ in range(limits.max_redirects + 1):
        addresses = _checked_addresses(target, resolve, refusal)
        answer = get(target, addresses, headers=_HEADERS, limits=limits, deadline=deadline, tls=tls)
        if answer.location is None:
            _check_status(target, answer)
            return target, answer
        target = target.follow(answer.location)
    raise DataError(f"{target}: more than {limits.max_redirects} redirects, one after another")


def _checked_addresses(target: Target, resolve: Resolve, refusal: RefusalOf) -> list[Address]:
    """Return the addresses of a target. One that is not public refuses them all: an honest name has none."""
    literal = target.address
    if literal is not None:
        addresses: list[Address] = [literal]
    else:
        try:
            addresses = [ip_address(text) for text in resolve(target.host, target.port)]
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise ConnectionError(f"{target}: the name of the host could not be looked up") from None
            raise DataError(f"{target}: there is no host called `{shorten(target.host, 80)}`") from None
        except OSError as error:
            raise ConnectionError(f"{target}: the name of the host could not be looked up ({error})") from None
        except ValueError:
            raise DataError(f"{target}: the name of the host leads to no address") from None
    for address in addresses:
        reason = refusal(address)
        if reason is not None:
            leads = "is" if literal is not None else f"leads to {address},"
            raise ArgumentsError(
                f"{target} is refused: the host {leads} {reason}\nhint: only public pages can be fetched"
            )
    if not addresses:
        raise DataError(f"{target}: there is no host called `{shorten(target.host, 80)}`")
    return addresses


def _check_status(target: Target, answer: Answer) -> None:
    if 200 <= answer.status <= 299:
        return
    reason = shorten(answer.reason, 60)
    message = f"{target} answered {answer.status}{f' {reason}' if reason else ''}"
    if answer.status in _PASSING_STATUS or answer.status >= 500:
        raise Retry(_retry_after_s(answer), message)
    raise DataError(message)


def _retry_after_s(answer: Answer) -> float | None:
    """Return the wait that the server asks for, in seconds, bounded; it comes as seconds or as a date."""
    value = (answer.headers.get("Retry-After") or "").strip()
    if value.isascii() and value.isdecimal() and len(value) < 10:
        return min(float(value), MAX_RETRY_AFTER_S)
    try:
        wait_s = parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0.0, wait_s), MAX_RETRY_AFTER_S)


def _page(target: Target, answer: Answer, max_chars: int) -> WebPage:
    content_type = answer.headers.get_content_type() if answer.headers.get("Content-Type") else "text/plain"
    is_html, is_json = content_type in _HTML, _JSON.fullmatch(content_type) is not None
    if not (is_html or is_json or _TEXT.fullmatch(content_type)):
        raise DataError(f"{target} is {shorten(content_type, 60)}\nhint: only HTML, JSON and text can be read")
    text = _decoded(answer, is_html=is_html)
    title, value = None, None
    if is_html:
        title, text = read_html(text)
    elif "\0" in text:
        raise DataError(f"{target} says it is {content_type}, and it is not text")
    if is_json:
        try:
            value = read_json(text)
        except ValueError:
            value = None
    return {
        "url": target.url,
        "content_type": content_type,
        "title": None if title is None else shorten(title, MAX_TITLE_CHARACTERS),
        "text": text[:max_chars],
        "truncated": len(text) > max_chars,
        "json": value,
    }


def _decoded(answer: Answer, *, is_html: bool) -> str:
    """Decode by byte order mark, header, the page's own word, else UTF-8; what does not fit becomes U+FFFD."""
    body = answer.body
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16le"), (b"\xfe\xff", "utf-16be")):
        if body.startswith(mark):
            return body[len(mark) :].decode(encoding, "replace")
    named = answer.headers.get_param("charset")
    name = named if isinstance(named, str) else ""
    if not name and is_html and (found := _META_CHARSET.search(body[:2_048])):
        name = found[1].decode("ascii")
    return body.decode(_ENCODINGS.get(name.strip().lower(), "utf-8"), "replace")


fetch_url: Final = fetch_tool()
"""The usual `fetch_url`: public addresses only, the system's resolver and certificates."""
