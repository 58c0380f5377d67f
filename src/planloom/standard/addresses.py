"""Which URLs may be fetched and which addresses are public: pure decisions, no network.

A host is read in exactly one way. Every spelling that another reader could take for something else (numbers in octal,
hex or short form, percent signs, user names, backslashes, zone ids) is refused, not repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from planloom.errors import ArgumentsError
from planloom.plan.issues import shorten

Address = IPv4Address | IPv6Address

MAX_URL_CHARACTERS: Final = 4_000
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LEAST_FREE_PORT: Final = 1024

_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_USER: Final = re.compile(r"//[^/]*@")
_QUAD: Final = re.compile(r"(0|[1-9][0-9]{0,2})(\.(0|[1-9][0-9]{0,2})){3}")
_BRACKETS: Final = re.compile(r"\[[0-9A-Fa-f:.]+\](:[0-9]*)?")
_AMBIGUOUS: Final = frozenset("ßς\u200c\u200d")
"""Characters that two versions of IDNA make different hosts of."""

_NOT_PUBLIC_4: Final = tuple(
    (ip_network(network), name)
    for network, name in (
        ("0.0.0.0/8", "an address of this host"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "an address shared behind a provider (CGNAT)"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.31.196.0/24", "a reserved address"),
        ("192.52.193.0/24", "a reserved address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("192.175.48.0/24", "a reserved address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_PUBLIC_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    (ip_network(network), name)
    for network, name in (
        ("::1/128", "a loopback address"),
        ("::ffff:0:0/96", "an IPv4 address in IPv6 form"),
        ("::/96", "an IPv4 address in IPv6 form"),
        ("64:ff9b::/32", "a NAT64 address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "a 6to4 address"),
        ("2620:4f:8000::/48", "a reserved address"),
        ("3fff::/20", "a reserved address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
    )
)
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})


def refusal_of(address: Address) -> str | None:
    """Return why an address is not public, as "a loopback address", or None when it is.

    The lists are our own: what `ipaddress` calls global differs between versions of Python and lets multicast through.
    It is asked as well.
    """
    known = _NOT_PUBLIC_4 if isinstance(address, IPv4Address) else _NOT_PUBLIC_6
    for network, name in known:
        if address in network:
            return name
    if isinstance(address, IPv6Address):
        if address not in _PUBLIC_6 or address.scope_id is not None:
            return "a reserved address"
        if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
            return "an IPv4 address in IPv6 form"
    return None if address.is_global else "a reserved address"


@dataclass(frozen=True, slots=True)
class Target:
    """What one request goes to. `host` is a name or an address in its one spelling; `path` is ready to be sent."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> Address | None:
        """The host as an address, or None when it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host and port, as in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.scheme}://{self.authority}{self.path}"

    def __str__(self) -> str:
        """The URL for a message: without the query, where keys and tokens stand."""
        path, question, _ = self.path.partition("?")
        return f"`{shorten(f'{self.scheme}://{self.authority}{path}', 120)}{'?…' if question else ''}`"

    def follow(self, location: str) -> Target:
        """Return where a redirect leads. Raises ArgumentsError like `read_url`, and for a step from https to http."""
        try:
            url = urljoin(self.url, location.strip(" "))
        except ValueError:
            raise ArgumentsError(f"{self} redirects to what is no URL") from None
        target = read_url(url)
        if self.scheme == "https" and target.scheme == "http":
            raise ArgumentsError(
                f"{self} redirects from https to http, to {target}\nhint: fetch that URL if you mean it"
            )
        return target


def read_url(url: str) -> Target:
    """Read a URL to fetch. Raises ArgumentsError for anything but plain http and https."""
    url = url.strip(" ")
    if len(url) > MAX_URL_CHARACTERS:
        raise ArgumentsError(f"the URL has {len(url)} characters, at most {MAX_URL_CHARACTERS} are allowed")
    shown = f"`{shorten(_USER.sub('//…@', url.partition('?')[0]), 120)}`"  # neither a query nor a password
    if any(ord(character) < 32 or ord(character) == 127 or character == "\\" for character in url):
        raise ArgumentsError(f"the URL {shown} has a backslash or a control character in it")
    try:
        split = urlsplit(url)
        port = split.port
        host = _read_host(split)
        path = quote(split.path or "/", safe="/%:@!$&'()*+,;=~-._")
        query = quote(split.query, safe="/?%:@!$&'()*+,;=~-._[]{}|^`") if split.query else ""
    except UnicodeError:
        raise ArgumentsError(f"the URL {shown} is not valid Unicode or IDNA") from None
    except ValueError as error:
        raise ArgumentsError(f"{shown} is no URL that can be fetched: {shorten(str(error), 160)}") from None
    if port is None:
        port = _DEFAULT_PORTS[split.scheme]
    elif port not in _DEFAULT_PORTS.values() and port < _LEAST_FREE_PORT:
        raise ArgumentsError(f"{shown}: port {port} belongs to another service than the web")
    return Target(split.scheme, host, port, path + (f"?{query}" if query else ""))


def _read_host(split: SplitResult) -> str:
    """Return the host in lower-case ASCII. Raises ValueError with half a sentence."""
    if split.scheme not in _DEFAULT_PORTS:
        given = f"not {shorten(split.scheme, 20)}" if split.scheme else "write https:// in front of it"
        raise ValueError(f"only http and https, {given}")
    if "@" in split.netloc:
        raise ValueError("it has a user name in front of the host")
    host = split.hostname or ""
    if not host:
        raise ValueError("it names no host")
    if "%" in split.netloc:
        raise ValueError("it has a % in the host")
    if "[" in split.netloc:
        if not _BRACKETS.fullmatch(split.netloc):
            raise ValueError("its host is not an address in brackets")
        return str(IPv6Address(host))
    if len(host) > 253:
        raise ValueError("its host is longer than 253 characters")
    if not _AMBIGUOUS.isdisjoint(host):
        raise ValueError("its host has a letter that two standards read differently; write the host as xn--…")
    if not host.isascii():
        host = host.encode("idna").decode("ascii").lower()
    host = host.removesuffix(".")
    if not _HOST.fullmatch(host):
        raise ValueError("its host is not a name")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        # browsers and C libraries read 2130706433, 0177.1 and 0x7f.1 as addresses, each in its own way
        if not _QUAD.fullmatch(host):
            raise ValueError("its host is a number; write an address as four decimal numbers")
        return str(IPv4Address(host))
    return host
