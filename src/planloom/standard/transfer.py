"""One GET over HTTP/1.1 to an address that was already checked; bounded in time and size at every step.

The connection goes to the address itself and the host is only said: in the Host header, and to TLS as the name that the
certificate must have. No proxy, no cookies, no redirect, no second look-up. The standard library does it all: no
extra is needed, and there is no client whose own machinery would have to be switched off.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from typing_extensions import Buffer

from planloom.errors import DataError
from planloom.standard.addresses import Address, Target

CHUNK_BYTES: Final = 65_536
MAX_GZIP_MEMBERS: Final = 100


@dataclass(frozen=True, slots=True)
class WebLimits:
    """What one fetch may use, redirects included; seconds and bytes.

    `max_bytes` holds for what comes over the wire and for what it unpacks to, each. `connect_s` holds per address.
    """

    max_bytes: int = 5_000_000
    max_redirects: int = 5
    max_addresses: int = 4
    connect_s: float = 10.0
    total_s: float = 30.0


class Deadline:
    """The end of one fetch, on the monotonic clock."""

    def __init__(self, total_s: float) -> None:
        self.total_s = total_s
        self._end = time.monotonic() + total_s

    def left_s(self) -> float:
        """Return the seconds left. Raises TimeoutError when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took longer than {self.total_s:g} s")
        return left


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer, and its body unpacked. The body of a redirect or an error is not read and empty."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes = b""

    @property
    def location(self) -> str | None:
        """Where it redirects to, or None."""
        return self.headers.get("Location") if self.status in (301, 302, 303, 307, 308) else None


def get(
    target: Target,
    addresses: Sequence[Address],
    *,
    headers: Sequence[tuple[str, str]],
    limits: WebLimits,
    deadline: Deadline,
    tls: ssl.SSLContext,
) -> Answer:
    """Ask for one page. Nothing but `addresses` is connected to; they are tried in order.

    Raises DataError for what will not get better, ConnectionError and TimeoutError for what can pass.
    """
    try:
        with _connect(target, addresses, limits, deadline) as plain:
            if target.scheme == "http":
                return _exchange(plain, target, headers, limits, deadline)
            plain.settimeout(deadline.left_s())
            with tls.wrap_socket(plain, server_hostname=target.host) as secured:
                return _exchange(secured, target, headers, limits, deadline)
    except ssl.SSLCertVerificationError as error:
        raise DataError(f"{target}: its certificate is not valid: {error.verify_message}") from None
    except TimeoutError:
        raise TimeoutError(f"{target}: no whole answer within {deadline.total_s:g} s") from None
    except http.client.HTTPException as error:
        raise ConnectionError(f"{target}: the answer is not HTTP, or was cut off ({type(error).__name__})") from None
    except OSError as error:
        if isinstance(error, ConnectionError) and error.errno is None:
            raise
        raise ConnectionError(f"{target}: {(error.strerror or type(error).__name__).lower()}") from None


def _connect(target: Target, addresses: Sequence[Address], limits: WebLimits, deadline: Deadline) -> socket.socket:
    last: OSError | None = None
    for address in addresses[: limits.max_addresses]:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(min(limits.connect_s, deadline.left_s()))
            connection.connect((str(address), target.port))
        except OSError as error:
            connection.close()
            last = error
            continue
        except BaseException:
            connection.close()
            raise
        return connection
    deadline.left_s()
    if isinstance(last, TimeoutError):
        raise ConnectionError(f"{target}: no connection within {limits.connect_s:g} s")
    raise last or ConnectionError(f"{target}: there is no address to connect to")


def _exchange(
    connection: socket.socket, target: Target, headers: Sequence[tuple[str, str]], limits: WebLimits, deadline: Deadline
) -> Answer:
    lines = [
        f"GET {target.path} HTTP/1.1",
        f"Host: {target.authority}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    connection.settimeout(deadline.left_s())
    connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("ascii"))
    # HTTPResponse only ever asks its socket for a file to read from
    response = http.client.HTTPResponse(cast("socket.socket", _Incoming(connection, deadline)), method="GET")
    with response:
        response.begin()
        answer = Answer(response.status, response.reason, response.headers)
        if not 200 <= response.status <= 299:
            return answer
        return Answer(response.status, response.reason, response.headers, _read_body(response, target, limits))


class _Incoming(io.RawIOBase):
    """What a socket receives, as a file that knows the deadline: a trickle of bytes cannot outlast it."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self._connection = connection
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 (the signature of a socket's)
        return io.BufferedReader(self, CHUNK_BYTES)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        self._connection.settimeout(self._deadline.left_s())
        return self._connection.recv_into(buffer)


def _read_body(response: http.client.HTTPResponse, target: Target, limits: WebLimits) -> bytes:
    encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise DataError(f"{target}: it is packed with {encoding[:40]!r}, which was not asked for")
    if (response.length or 0) > limits.max_bytes:
        raise _too_large(target, limits)
    unpack = None if encoding == "identity" else _Unpacker(target, limits)
    received = 0
    pieces: list[bytes] = []
    # never asks for more than one byte past the limit, so that it is seen as soon as it is passed
    while piece := response.read(min(CHUNK_BYTES, limits.max_bytes + 1 - received)):
        received += len(piece)
        if received > limits.max_bytes:
            raise _too_large(target, limits)
        pieces.append(unpack.feed(piece) if unpack else piece)
    if response.length or (unpack and not unpack.is_finished):
        raise ConnectionError(f"{target}: the answer was cut off after {received:,} bytes")
    return b"".join(pieces)


class _Unpacker:
    """gzip with a bound on what comes out, so that a small answer cannot fill the memory."""

    def __init__(self, target: Target, limits: WebLimits) -> None:
        self._target = target
        self._limits = limits
        self._left = limits.max_bytes
        self._members = 1
        self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._is_empty = True

    @property
    def is_finished(self) -> bool:
        return self._is_empty or self._stream.eof

    def feed(self, piece: bytes) -> bytes:
        out: list[bytes] = []
        self._is_empty = False
        while piece:
            if self._stream.eof:
                piece = piece.lstrip(b"\0")  # padding behind the last member
                if not piece:
                    break
                self._members += 1
                if self._members > MAX_GZIP_MEMBERS:
                    raise _too_large(self._target, self._limits)
                self._stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
            try:
                unpacked = self._stream.decompress(piece, self._left + 1)
            except zlib.error:
                raise DataError(f"{self._target}: the answer is not valid gzip") from None
            self._left -= len(unpacked)
            if self._left < 0:
                raise _too_large(self._target, self._limits)
            out.append(unpacked)
            piece = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(out)


def _too_large(target: Target, limits: WebLimits) -> DataError:
    return DataError(f"{target}: the answer is larger than {limits.max_bytes:,} bytes, the limit")
